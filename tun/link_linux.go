package tun

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/songgao/water"
	"golang.org/x/sys/unix"
)

// Link is an open TUN, TAP or packet socket. It owns the descriptor, and where it could get
// one a subscription to what happens to the device.
type Link struct {
	name   string
	kind   Kind
	io     string
	hwAddr net.HardwareAddr // the router's end of a TAP
	rpf    int              // rp_filter as found, or -1

	offload    Offload
	handedOver bool // to another process, whose offloads they are now

	file  *os.File
	water *water.Interface // the same file, as package water moves packets
	fd    int              // the same file, for writes that share no lock
	users userCount        // writers that are using fd
	raw   syscall.RawConn
	batch batch
	ring  *ring // of Read and WriteBatch; nil unless IOUring

	mtu       atomic.Int64
	up        atomic.Bool
	multicast atomic.Int32 // 1: the device has IFF_MULTICAST, -1: it lacks it, 0: unknown
	truncated atomic.Uint64
	overflow  overflow
	gone      atomic.Pointer[error] // why a Read that the link itself ended has ended

	ours      atomic.Bool // made for a router, whose Close removes it
	watch     *watch
	events    chan Event
	closeOnce sync.Once
	closeErr  error
}

var _ Device = (*Link)(nil)

// device is what opening finds out: everything that a Link is made of. It is
// also what moves between processes, which a Link with its goroutines can't.
type device struct {
	name  string
	kind  Kind
	mtu   int
	up    bool
	index int // 0 where unknown
	rpf   int // rp_filter, -1 where unknown
	ours  bool
	lost  uint64 // packets that the device dropped before it was opened

	offload Offload
	hwAddr  net.HardwareAddr // of a packet link

	configured bool // as Open's config says, so that the link restores it

	water   *water.Interface
	file    *os.File // the one in water
	netlink *os.File // link changes of the device's namespace; nil without
	process *os.File // pidfd of the process that holds the namespace; nil without

	netns *nameWatch // the name that the namespace was opened by; nil without
}

// close gives up what was opened.
func (d *device) close() {
	for _, f := range []*os.File{d.file, d.netlink, d.process} {
		if f != nil {
			f.Close()
		}
	}
}

// newLink takes over everything in d, also when it fails.
func newLink(d device, config Config) (*Link, error) {
	l, err := makeLink(d, config)
	if err == nil {
		err = d.outlive()
	}
	if err != nil {
		d.close()
		return nil, fmt.Errorf("device %s: %w", d.name, err)
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	l.watch = startWatch(l, d, config)
	return l, nil
}

// makeLink makes a link that does not follow its device yet.
func makeLink(d device, config Config) (*Link, error) {
	io, err := ioMode(config.IO)
	if err != nil {
		return nil, err
	}
	raw, err := d.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	l := &Link{
		name: d.name, kind: d.kind, io: io, rpf: d.rpf, offload: d.offload,
		water: d.water, file: d.file, raw: raw, fd: int(d.file.Fd()),
		events: make(chan Event, eventBacklog),
	}
	if io == IOUring {
		if l.ring, err = openRing(l.fd); err != nil {
			return nil, err
		}
	}
	l.users.init()
	l.overflow.init(d.lost)
	l.batch.ready = l.readReady
	l.mtu.Store(int64(d.mtu))
	l.up.Store(d.up)
	l.ours.Store(d.ours)
	switch d.kind {
	case KindTAP:
		l.hwAddr = routerHardwareAddr(l.fd)
	case KindPacket:
		l.hwAddr = d.hwAddr
	}
	return l, nil
}

// Name is the device's name in its namespace.
func (l *Link) Name() string { return l.name }

// Kind is KindTUN, KindTAP or KindPacket.
func (l *Link) Kind() Kind { return l.kind }

// MTU is the device's IP MTU in octets, as last seen.
func (l *Link) MTU() int { return int(l.mtu.Load()) }

// IO is IOVectored, IOUring or IOPlain. Where io_uring is forbidden while the
// link is in use, it becomes IOVectored.
func (l *Link) IO() string {
	if l.ring != nil && l.ring.broken.Load() {
		return IOVectored
	}
	return l.io
}

// Up reports whether the device is administratively up, as last seen. Without
// a subscription to its namespace it stays as it was when the link was opened.
func (l *Link) Up() bool { return l.up.Load() }

// HardwareAddr is the Ethernet address of the router's end of a TAP: locally
// administered, and the same as long as the kernel's end keeps its own. For a
// packet link it is the device's own, and nil for a TUN.
func (l *Link) HardwareAddr() net.HardwareAddr { return l.hwAddr }

// ReversePathFilter is what the namespace applies to packets from this device:
// 0 none, 1 strict, 2 loose (RFC 3704), or -1 where it could not be read. A
// host with 1 or 2 drops streams whose source it has no route to.
func (l *Link) ReversePathFilter() int { return l.rpf }

// MulticastFlag says whether the device has the flag MULTICAST, which programs
// look for when they choose a device (netdevice(7), IFF_MULTICAST). It is not
// known where the device's namespace cannot be watched.
func (l *Link) MulticastFlag() (has, known bool) {
	flag := l.multicast.Load()
	return flag > 0, flag != 0
}

// Truncated is how many packets were dropped because they were longer than the
// buffer they were read into.
func (l *Link) Truncated() uint64 { return l.truncated.Load() }

// Events reports changes of the device. When they are not taken, the oldest are
// lost. The channel is closed by Close. Where the device's namespace cannot be
// watched, as with most descriptors that others opened, nothing comes.
//
// The kernel drops the routes and IPv6 addresses of a device that is set down.
// When it is set up again, those that Open gave it are back before EventUp
// comes, where this process may enter the namespace itself; where not, the log
// says that they are missing.
func (l *Link) Events() <-chan Event { return l.events }

// Close closes the link. A device that Open made, now or for a router of the
// same name that was killed, disappears, unless somebody else made it
// persistent. Writes under way end first.
func (l *Link) Close() error {
	l.closeOnce.Do(func() {
		l.watch.stop()
		l.users.drain()
		l.clearOffload()
		l.closeErr = errors.Join(l.release(), l.file.Close())
		l.ring.close()
		close(l.events)
	})
	return l.closeErr
}

// fail ends the Read under way, and every later one and Write, with err. It
// reports whether it is the first to do so.
func (l *Link) fail(err error) bool {
	if !l.gone.CompareAndSwap(nil, &err) {
		return false
	}
	// It fails only on a closed file, whose Read has ended.
	_ = l.file.SetReadDeadline(time.Unix(1, 0))
	return true
}

// readError says why a Read ended.
func (l *Link) readError(err error) error {
	switch {
	case l.users.closed():
		return os.ErrClosed
	case l.gone.Load() != nil:
		return *l.gone.Load()
	case isGone(l.fd):
		// The poller reports a device that was deleted in words of its own.
		err = errDeleted
	}
	return fmt.Errorf("read %s %s: %w", l.kind, l.name, err)
}

// errDeleted is what the kernel calls "file descriptor in bad state".
var errDeleted = fmt.Errorf("the device was deleted: %w", unix.EBADFD)

// isGone reports whether a descriptor has lost its device.
func isGone(fd int) bool {
	if address, ok := packetAddress(fd); ok {
		return address.Ifindex <= 0 // a device that moves is lost too
	}
	_, err := deviceFlags(fd)
	return errors.Is(err, unix.EBADFD)
}
