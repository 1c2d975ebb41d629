package host

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/tun"
)

// Device is a network device of the host, as far as ordinary sockets give it. It
// is a [tun.Device] with super-packets, which carries UDP datagrams to groups
// and nothing else.
type Device struct {
	config Config
	name   string
	index  atomic.Int32 // 0 while the host has no such device
	mtu    atomic.Int32
	up     atomic.Bool
	closed atomic.Bool

	addresses atomic.Pointer[[]netip.Prefix]

	poll  *os.File // the epoll descriptor that all receivers are in
	raw   syscall.RawConn
	batch batch // of the Read under way

	// receiving is read-locked while sockets are read, and locked to change them.
	receiving  sync.RWMutex
	receivers  map[int32]*receiver    // by descriptor
	received   map[netip.AddrPort]int // how many of them a group and port has
	generation atomic.Uint32          // counts changes of received

	joining       sync.Mutex       // guards what is joined
	members       map[*Member]bool // those that want something
	fixed         map[netip.AddrPort]bool
	subscriptions map[netip.AddrPort][]*receiver

	sending  sync.Mutex // guards the senders
	out      *outgoing
	senders  map[flow]*sender
	anyPort  [2]*sender // for IPv4 and IPv6
	tokens   float64    // for new senders
	refilled time.Time

	fragments assemblies // guarded by sending

	sent    sentLog
	seed    maphash.Seed
	dropped dropCounters

	watch     *watch
	events    chan tun.Event
	closeOnce sync.Once
	closeErr  error
}

var (
	_ tun.Device    = (*Device)(nil)
	_ tun.Offloader = (*Device)(nil)
)

// Open makes a Device of a network device in the namespace of this process. It
// needs no privilege.
func Open(config Config) (*Device, error) {
	d, err := open(config)
	if err != nil {
		return nil, fmt.Errorf("open host device %s: %w", config.Device, err)
	}
	return d, nil
}

func open(config Config) (*Device, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	d := &Device{
		config: config, name: config.Device,
		receivers:     make(map[int32]*receiver),
		received:      make(map[netip.AddrPort]int),
		members:       make(map[*Member]bool),
		fixed:         make(map[netip.AddrPort]bool),
		subscriptions: make(map[netip.AddrPort][]*receiver),
		senders:       make(map[flow]*sender),
		out:           new(outgoing),
		tokens:        senderBurst,
		seed:          maphash.MakeSeed(),
		events:        make(chan tun.Event, eventBacklog),
	}
	d.batch.messages = new(messages)
	d.batch.ready = d.readReady
	if err := d.inspect(); err != nil {
		return nil, err
	}
	if err := d.openPoll(); err != nil {
		return nil, err
	}
	if d.watch, err = startWatch(d); err != nil {
		d.poll.Close()
		return nil, err
	}
	return d, nil
}

// errNoMulticast says that nothing can be joined on a device.
var errNoMulticast = errors.New("it carries no multicast (ip link set dev NAME multicast on)")

// inspect reads what the kernel has of the device.
func (d *Device) inspect() error {
	link, err := netlink.LinkByName(d.name)
	if err != nil {
		return err
	}
	attributes := link.Attrs()
	if attributes.RawFlags&unix.IFF_MULTICAST == 0 {
		return errNoMulticast
	}
	d.index.Store(int32(attributes.Index))
	d.mtu.Store(int32(attributes.MTU))
	d.up.Store(attributes.RawFlags&unix.IFF_UP != 0)
	return d.readAddresses(link)
}

// readAddresses reads the host's own addresses on the device.
func (d *Device) readAddresses(link netlink.Link) error {
	list, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("read the addresses: %w", err)
	}
	addresses := []netip.Prefix{}
	for _, each := range list {
		address, ok := netip.AddrFromSlice(each.IP)
		if !ok {
			continue
		}
		ones, _ := each.Mask.Size()
		addresses = append(addresses, netip.PrefixFrom(address.Unmap(), ones))
	}
	d.addresses.Store(&addresses)
	return nil
}

func (d *Device) openPoll() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		err = unix.SetNonblock(fd, true) // so that the runtime's poller takes it
	}
	if err != nil {
		return fmt.Errorf("open an epoll descriptor: %w", err)
	}
	d.poll = os.NewFile(uintptr(fd), "epoll")
	d.raw, err = d.poll.SyscallConn()
	return err
}

// Close leaves all groups and closes all sockets.
func (d *Device) Close() error {
	d.closeOnce.Do(func() {
		d.watch.stop()
		d.receiving.Lock()
		d.closed.Store(true)
		d.closeErr = d.poll.Close()
		d.receiving.Unlock()
		d.joining.Lock()
		defer d.joining.Unlock()
		clear(d.members)
		clear(d.fixed)
		d.closeReceivers()
		d.sending.Lock()
		defer d.sending.Unlock()
		d.closeSenders()
		close(d.events)
	})
	return d.closeErr
}

// Name is the device's name.
func (d *Device) Name() string { return d.name }

// Kind is KindHost.
func (d *Device) Kind() tun.Kind { return tun.KindHost }

// MTU is the device's IP MTU in octets, as last seen.
func (d *Device) MTU() int { return int(d.mtu.Load()) }

// IO is IOVectored.
func (d *Device) IO() string { return tun.IOVectored }

// Offload is OffloadSegmentation.
func (d *Device) Offload() tun.Offload { return tun.OffloadSegmentation }

// Index is the device's index in the kernel, 0 while it is gone.
func (d *Device) Index() int { return int(d.index.Load()) }

// Up reports whether the device is administratively up, as last seen.
func (d *Device) Up() bool { return d.up.Load() }

// Addresses are the host's own on the device, with their prefix lengths.
func (d *Device) Addresses() []netip.Prefix { return *d.addresses.Load() }

// Events reports changes of the device, as [tun.Link.Events] does. A device that
// is removed goes down; when one of its name comes, it is up again with all that
// was joined.
func (d *Device) Events() <-chan tun.Event { return d.events }

func (d *Device) hasAddress(a netip.Addr) bool {
	for _, p := range *d.addresses.Load() {
		if p.Addr() == a {
			return true
		}
	}
	return false
}
