package tun

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// eventBacklog is how many events wait to be taken.
const eventBacklog = 16

// watch follows what happens to a link's device, to the process that its
// namespace belongs to and to the namespace's name.
type watch struct {
	link    *Link
	index   int32
	netlink *os.File
	process *os.File
	name    *nameWatch
	logger  *slog.Logger
	running sync.WaitGroup
	halted  chan struct{} // closed by the first halt
	halting sync.Once

	config     Config
	configured bool // the device is as config says, not as others want it
	missed     bool // changes were lost

	// mu keeps a change that is told late from being taken in after the end,
	// which comes from another goroutine.
	mu sync.Mutex
}

// startWatch takes over the subscriptions in d.
func startWatch(l *Link, d device, config Config) *watch {
	w := &watch{
		link: l, index: int32(d.index), netlink: d.netlink, process: d.process,
		name: d.netns, logger: config.Logger, config: config, configured: d.configured,
		halted: make(chan struct{}),
	}
	if w.netlink != nil {
		w.ask() // what opening did not find out
		w.running.Go(w.followDevice)
	}
	if w.process != nil {
		w.running.Go(w.followProcess)
	}
	if w.name != nil {
		w.running.Go(w.followName)
	}
	return w
}

// halt ends the watch and keeps the subscription.
func (w *watch) halt() {
	w.halting.Do(func() { close(w.halted) })
	for _, f := range []*os.File{w.netlink, w.process} {
		if f != nil {
			// It fails only on a closed file, which is halted already.
			_ = f.SetReadDeadline(time.Unix(1, 0))
		}
	}
	w.running.Wait()
}

// stop ends the watch. It may be called twice.
func (w *watch) stop() {
	w.halt()
	for _, f := range []*os.File{w.netlink, w.process} {
		if f != nil {
			f.Close()
		}
	}
}

// subscribe opens a netlink socket of this thread's namespace that is told of
// every change of a link (rtnetlink(7), RTNLGRP_LINK).
func subscribe() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK,
		unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	group := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}
	if err := unix.Bind(fd, group); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("subscribe to link changes: %w", err)
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// followProcess waits for the end of a process, which its pidfd tells by
// becoming readable.
func (w *watch) followProcess() {
	raw, err := w.process.SyscallConn()
	if err != nil {
		return
	}
	if err := raw.Read(readable); err == nil {
		w.removed(errProcessExited)
	}
}

// followDevice hands on what the kernel tells until the device is gone or the
// watch ends.
func (w *watch) followDevice() {
	defer close(w.link.overflow.ended)
	raw, err := w.netlink.SyscallConn()
	if err != nil {
		return
	}
	// What the kernel tells of one link takes a few KiB.
	buf := make([]byte, 64<<10)
	for {
		n, from, err := receiveNetlink(raw, buf)
		switch {
		case errors.Is(err, unix.ENOBUFS):
			// Changes were lost: ask for the state as it is now.
			w.missed = true
			w.ask()
			continue
		case err != nil:
			return
		}
		// Any process may send to a netlink socket; the kernel's number is 0.
		if source, ok := from.(*unix.SockaddrNetlink); !ok || source.Pid != 0 {
			continue
		}
		messages, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			continue
		}
		for _, m := range messages {
			if w.handle(m) {
				return
			}
		}
	}
}

// receiveNetlink waits for one datagram, which holds one or more messages.
func receiveNetlink(raw syscall.RawConn, buf []byte) (n int, from unix.Sockaddr, err error) {
	waitErr := raw.Read(func(fd uintptr) bool {
		n, from, err = unix.Recvfrom(int(fd), buf, 0)
		return err != unix.EAGAIN && err != unix.EINTR
	})
	if waitErr != nil {
		return 0, nil, waitErr
	}
	return n, from, err
}

// ask requests the device's state. The answer comes as a change would.
func (w *watch) ask() {
	request := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	message := nl.NewIfInfomsg(unix.AF_UNSPEC)
	message.Index = w.index
	request.AddData(message)
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	raw, err := w.netlink.SyscallConn()
	if err != nil {
		return // it is closed already
	}
	var sendErr error
	err = raw.Control(func(fd uintptr) {
		sendErr = unix.Sendto(int(fd), request.Serialize(), 0, kernel)
	})
	if err := errors.Join(err, sendErr); err != nil {
		w.logger.Warn("ask for the state of a device", "device", w.link.name, "err", err)
	}
}

// handle takes one message in and reports whether it was the last.
func (w *watch) handle(m syscall.NetlinkMessage) bool {
	switch m.Header.Type {
	case unix.NLMSG_ERROR:
		// The answer to ask, about a device that isn't there.
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if len(m.Data) < unix.SizeofIfInfomsg {
			return false
		}
		info := nl.DeserializeIfInfomsg(m.Data)
		// Bridges tell of their ports in the same messages (AF_BRIDGE): a port
		// that is removed there is still a device.
		if info.Index != w.index || info.Family != unix.AF_UNSPEC {
			return false
		}
		if m.Header.Type == unix.RTM_NEWLINK {
			w.link.overflow.note(m.Data[unix.SizeofIfInfomsg:])
			w.link.noteMulticast(info.Flags&unix.IFF_MULTICAST != 0)
			w.changed(info.Flags&unix.IFF_UP != 0, mtuOf(m.Data[unix.SizeofIfInfomsg:]))
			return false
		}
	default:
		return false
	}
	// A device that moves to another namespace is deleted here, and works there.
	if isGone(w.link.fd) {
		w.removed(errDeleted)
	} else {
		w.logger.Warn("device has left its network namespace and is not watched any more",
			"device", w.link.name)
	}
	return true
}

// noteMulticast keeps whether the device has IFF_MULTICAST.
func (l *Link) noteMulticast(has bool) {
	flag := int32(-1)
	if has {
		flag = 1
	}
	l.multicast.Store(flag)
}

// mtuOf is the IFLA_MTU among a link's attributes, 0 without.
func mtuOf(attributes []byte) int {
	parsed, err := nl.ParseRouteAttr(attributes)
	if err != nil {
		return 0
	}
	for _, a := range parsed {
		if a.Attr.Type == unix.IFLA_MTU && len(a.Value) == 4 {
			return int(nl.NativeEndian().Uint32(a.Value))
		}
	}
	return 0
}

// changed compares with what was known, since messages come for reasons of all
// kinds.
func (w *watch) changed(up bool, mtu int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.link
	if l.gone.Load() != nil {
		return
	}
	if mtu != 0 && l.mtu.Swap(int64(mtu)) != int64(mtu) {
		w.emit(EventMTU)
	}
	was := l.up.Swap(up)
	if up && (!was || w.missed) {
		w.restore() // it may have been down while changes were missed
	}
	w.missed = false
	if was == up {
		return
	}
	if up {
		w.emit(EventUp)
	} else {
		w.emit(EventDown)
	}
}

// removed ends the link's reads and writes.
func (w *watch) removed(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.link
	l.up.Store(false)
	if l.fail(fmt.Errorf("%s %s: %w", l.kind, l.name, cause)) {
		w.emit(EventRemoved)
	}
}

// emit makes room by forgetting the oldest event: the newest says what is.
func (w *watch) emit(t EventType) {
	event := Event{Type: t, MTU: w.link.MTU()}
	for {
		select {
		case w.link.events <- event:
			return
		default:
		}
		select {
		case <-w.link.events:
		default:
		}
	}
}
