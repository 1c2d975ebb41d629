package tun

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"umroute/tun/netns"
)

// Bounds of what is taken from a peer. The kernel itself drops descriptors
// beyond maxPassed.
const (
	maxNotice = 4096
	maxPassed = 8
)

// noticeVersion changes when an older receiver would misread a notice.
const noticeVersion = 1

// notice is the line of JSON that goes with the descriptors: the device's own
// first, then those that the notice says are there. Instead of descriptors it
// may bring an error.
type notice struct {
	Version  int    `json:"version"`
	Name     string `json:"name,omitempty"` // this and the next for people to read:
	Kind     string `json:"kind,omitempty"` // what the kernel says of the descriptor counts
	MTU      int    `json:"mtu,omitempty"`
	Up       bool   `json:"up"`
	Index    int    `json:"index,omitempty"`
	RPFilter int    `json:"rp_filter"`
	Lost     uint64 `json:"lost,omitempty"`    // packets dropped before the link was opened
	Ours     bool   `json:"ours,omitempty"`    // the receiver keeps it, and removes it in the end
	Netlink  bool   `json:"netlink,omitempty"` // a netlink socket of the namespace follows
	Process  bool   `json:"process,omitempty"` // a pidfd of the namespace's process follows

	Error string        `json:"error,omitempty"`
	Errno syscall.Errno `json:"errno,omitempty"`
}

// Send hands a link over to the process at the other end of a unix stream
// socket, which takes it with [Receive]. The receiver needs no right in the
// device's namespace, and goes on seeing the device's changes and the end of
// the process that the namespace belongs to, but not that of the namespace's
// name. The link is closed here, whether or not it arrives; a device that the
// link's Close would remove is from then on the receiver's to remove. The
// connection's deadlines apply.
func Send(conn *net.UnixConn, l *Link) error {
	defer l.Close()
	l.watch.halt()
	d := device{
		name: l.name, kind: l.kind, mtu: l.MTU(), up: l.Up(), rpf: l.rpf, ours: l.ours.Load(),
		index: int(l.watch.index), lost: l.overflow.before,
		file: l.file, netlink: l.watch.netlink, process: l.watch.process,
	}
	if err := d.send(conn); err != nil {
		return fmt.Errorf("hand over %s %s: %w", l.kind, l.name, err)
	}
	// It is the receiver's to remove, and its offloads are.
	l.ours.Store(false)
	l.handedOver = true
	return nil
}

// Receive takes over a link from the other end of a unix stream socket, where
// [Send], or any program that writes one line of JSON with the descriptor of a
// TUN or TAP as SCM_RIGHTS, gives it:
//
//	{"version": 1, "name": "mc0", "kind": "tun", "mtu": 1500, "up": true}
//
// With "ours": true the device is kept if the receiver is killed, and removed
// by its Close (see [Config.Owner]). Of config only IO, Offload (as with
// [FromDescriptor]), MTU (where the line has none), Netns and Logger count: with
// a name or path in Netns that leads to a namespace from here, its end is the
// link's. What the peer says is checked where the kernel can tell. The
// connection's deadlines apply; io.EOF says that the peer has closed it.
func Receive(conn *net.UnixConn, config Config) (*Link, error) {
	d, err := receiveDevice(conn, config)
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, fmt.Errorf("receive a device: %w", err)
	}
	if path, err := netns.Resolve(config.Netns); err == nil {
		d.netns, _ = watchName(path) // without, it is as if there were no name
	}
	return newLink(d, config)
}

// PeerCredentials is who connected a unix socket: process, user and group as
// this process's namespaces number them (SO_PEERCRED of unix(7)).
func PeerCredentials(conn *net.UnixConn) (unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return unix.Ucred{}, fmt.Errorf("credentials of a peer: %w", err)
	}
	var peer *unix.Ucred
	controlErr := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(controlErr, err); err != nil {
		return unix.Ucred{}, fmt.Errorf("credentials of a peer: %w", err)
	}
	return *peer, nil
}

// send writes the device's notice and descriptors in one message.
func (d *device) send(conn *net.UnixConn) error {
	n := notice{
		Version: noticeVersion, Name: d.name, Kind: d.kind.String(), MTU: d.mtu, Up: d.up,
		Index: d.index, RPFilter: d.rpf, Lost: d.lost, Ours: d.ours,
		Netlink: d.netlink != nil, Process: d.process != nil,
	}
	fds := []int{int(d.file.Fd())}
	for _, f := range []*os.File{d.netlink, d.process} {
		if f != nil {
			fds = append(fds, int(f.Fd()))
		}
	}
	return n.send(conn, fds...)
}

// send writes line and descriptors in one message, which the kernel keeps
// together.
func (n notice) send(conn *net.UnixConn, fds ...int) error {
	line, err := json.Marshal(n)
	if err != nil {
		return err
	}
	_, _, err = conn.WriteMsgUnix(append(line, '\n'), unix.UnixRights(fds...), nil)
	return err
}

// receiveDevice closes every descriptor that it does not return.
func receiveDevice(conn *net.UnixConn, config Config) (d device, err error) {
	line, fds, err := receiveMessage(conn)
	if err != nil {
		return device{}, err
	}
	defer func() {
		if err != nil {
			closeAll(fds)
		}
	}()
	n := notice{Up: true, RPFilter: -1} // where the line doesn't say
	if err := json.Unmarshal(line, &n); err != nil {
		return device{}, fmt.Errorf("notice %.80q: %w", line, err)
	}
	if err := n.check(len(fds)); err != nil {
		return device{}, err
	}
	if n.MTU != 0 {
		config.MTU = n.MTU
	}
	return n.device(fds, config)
}

// check refuses a notice that contradicts itself or what came with it.
func (n notice) check(passed int) error {
	want := 1
	for _, more := range []bool{n.Netlink, n.Process} {
		if more {
			want++
		}
	}
	switch {
	case n.Version != noticeVersion:
		return fmt.Errorf("notice of version %d: want %d", n.Version, noticeVersion)
	case n.Error != "":
		return &peerError{text: n.Error, errno: n.Errno}
	case passed != want:
		return fmt.Errorf("%d descriptors came with the notice: want %d", passed, want)
	case n.MTU != 0 && (n.MTU < minMTU || n.MTU > maxMTU):
		return fmt.Errorf("mtu %d: want %d to %d", n.MTU, minMTU, maxMTU)
	case n.Index < 0 || n.Index > 1<<31-1:
		return fmt.Errorf("interface index %d: out of range", n.Index)
	}
	return nil
}

// device makes one of what a notice announced. Nothing is taken over before
// all of it is found good.
func (n notice) device(fds []int, config Config) (device, error) {
	if n.Netlink && !isRouteSocket(fds[1]) {
		return device{}, errors.New("the second descriptor is not a netlink socket")
	}
	d, err := adopt(fds[0], config)
	if err != nil {
		return device{}, err
	}
	d.take(fds[0])
	d.up, d.index, d.rpf, d.ours = n.Up, n.Index, n.RPFilter, n.Ours
	d.lost = n.Lost
	rest := fds[1:]
	if n.Netlink {
		d.netlink, rest = pollable(rest[0], "netlink"), rest[1:]
	}
	if n.Process {
		d.process = pollable(rest[0], "process")
	}
	return d, nil
}

// pollable makes a file that a goroutine can wait for.
func pollable(fd int, name string) *os.File {
	// It cannot fail on an open descriptor.
	_ = unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), name)
}

// isRouteSocket keeps other sockets from being taken for the kernel's word.
func isRouteSocket(fd int) bool {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_NETLINK {
		return false
	}
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && protocol == unix.NETLINK_ROUTE
}

// receiveMessage reads one line and the descriptors that came with it, which
// no child of this process inherits.
func receiveMessage(conn *net.UnixConn) (line []byte, fds []int, err error) {
	defer func() {
		if err != nil {
			closeAll(fds)
			fds = nil
		}
	}()
	buf, oob := make([]byte, maxNotice), make([]byte, unix.CmsgSpace(4*maxPassed))
	for n := 0; ; {
		read, oobn, flags, _, err := conn.ReadMsgUnix(buf[n:], oob)
		passed, parseErr := parseRights(oob[:oobn])
		fds = append(fds, passed...)
		n += read
		switch {
		case errors.Is(err, io.EOF) && n > 0:
			return nil, fds, io.ErrUnexpectedEOF
		case err != nil:
			return nil, fds, err
		case parseErr != nil:
			return nil, fds, parseErr
		case flags&unix.MSG_CTRUNC != 0 || len(fds) > maxPassed:
			return nil, fds, fmt.Errorf("more than %d descriptors", maxPassed)
		}
		end := bytes.IndexByte(buf[:n], '\n')
		switch {
		case end == n-1:
			return buf[:end], fds, nil
		case end >= 0:
			return nil, fds, errors.New("more than one line in a notice")
		case n == len(buf):
			return nil, fds, fmt.Errorf("notice longer than %d octets", maxNotice)
		}
	}
}

// parseRights collects the descriptors of a control message; package net has
// received them with MSG_CMSG_CLOEXEC.
func parseRights(oob []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("control message: %w", err)
	}
	var fds []int
	for i := range messages {
		if messages[i].Header.Type != unix.SCM_RIGHTS {
			continue
		}
		passed, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return fds, fmt.Errorf("control message: %w", err)
		}
		fds = append(fds, passed...)
	}
	return fds, nil
}

// closeAll closes what a peer sent and nobody took.
func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// peerError is what went wrong on the other side.
type peerError struct {
	text  string
	errno syscall.Errno
}

func (e *peerError) Error() string { return e.text }

// Unwrap lets errors.Is see the system's error.
func (e *peerError) Unwrap() error {
	if e.errno == 0 {
		return nil
	}
	return e.errno
}
