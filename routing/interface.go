package routing

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"umroute/tun"
)

// InterfaceConfig describes a link to a Forwarder.
type InterfaceConfig struct {
	Index  uint32 // names the link in entries and upcalls; not 0
	Name   string // for people
	Device tun.Device
	// HardwareAddr is the router's Ethernet address on the link, 6 bytes. A TAP
	// needs one, a TUN none.
	HardwareAddr net.HardwareAddr
	MTU          int // of IP packets; 0 is the device's
	// TTLThreshold is what the TTL or hop limit of an arriving packet must be
	// above for the packet to leave here; 0 is 1.
	TTLThreshold uint8
	// Boundary lists the groups, as prefixes, that cross the interface in neither
	// direction (RFC 2365 section 5, RFC 4007 section 5).
	Boundary []netip.Prefix
	// Punted lists groups, as prefixes, whose packets are left to the host stack
	// when they come in here, as those of link-local groups are.
	Punted []netip.Prefix
	// Members lists groups, as prefixes, of which the router itself is a member on
	// the link: their packets are left to the host stack, too.
	Members []netip.Prefix
	// FlowLimit is how many flows may begin here; 0 is Config.InterfaceFlowLimit.
	FlowLimit int
	// Domain names a set of interfaces: packets stay inside it, but for what
	// Forwarder.SetDomainRules lets cross.
	Domain string
	// Separate has every datagram written by itself and complete, as it would be
	// on a wire, also where the device takes many as one.
	Separate bool
}

// settings is an InterfaceConfig in the form that workers use. It never
// changes.
type settings struct {
	name      string
	device    tun.Device
	ethernet  int         // bytes of an Ethernet header before each packet
	header    int         // bytes of a virtio-net header before that
	offload   tun.Offload // of device
	joins     bool        // takes super-packets
	finish    bool        // takes packets with complete checksums only
	hardware  [6]byte
	mtu       int
	threshold uint8
	flowLimit int64           // 0 is that of the configuration
	boundary  [2][]groupRange // IPv4, IPv6
	punted    [2][]groupRange
	members   [2][]groupRange
	domain    string

	writer tun.BatchWriter // device, where that saves system calls
}

// settings checks c and translates it.
func (c InterfaceConfig) settings() (*settings, error) {
	switch {
	case c.Index == 0:
		return nil, errors.New("index 0")
	case c.Device == nil:
		return nil, errors.New("no device")
	}
	s := &settings{
		name:      c.Name,
		device:    c.Device,
		offload:   tun.OffloadOf(c.Device),
		mtu:       c.MTU,
		threshold: max(c.TTLThreshold, 1),
		flowLimit: int64(c.FlowLimit),
		domain:    c.Domain,
	}
	if s.mtu == 0 {
		s.mtu = c.Device.MTU()
	}
	if s.mtu < minMTU || s.mtu > maxMTU {
		return nil, fmt.Errorf("MTU %d is not from %d to %d", s.mtu, minMTU, maxMTU)
	}
	if w, ok := c.Device.(tun.BatchWriter); ok && c.Device.IO() == tun.IOUring {
		s.writer = w
	}
	s.joins = s.offload == tun.OffloadSegmentation && !c.Separate
	s.finish = s.offload == tun.OffloadNone || c.Separate
	if s.offload != tun.OffloadNone {
		s.header = tun.VirtioHeaderLen
	}
	if c.Device.Kind().Ethernet() {
		s.ethernet = ethernetHeaderLen
		if len(c.HardwareAddr) != 6 || c.HardwareAddr[0]&1 != 0 {
			return nil, fmt.Errorf("%q is no hardware address for a TAP", c.HardwareAddr)
		}
		copy(s.hardware[:], c.HardwareAddr)
	}
	var err error
	if s.boundary, err = groupRanges("boundary", c.Boundary); err == nil {
		s.punted, err = groupRanges("punted", c.Punted)
	}
	if err == nil {
		s.members, err = groupRanges("members", c.Members)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// groupRanges sorts ranges of groups by family.
func groupRanges(what string, prefixes []netip.Prefix) (ranges [2][]groupRange, err error) {
	for _, p := range prefixes {
		family := 0
		switch {
		case !p.IsValid(), !p.Addr().IsMulticast(), p.Addr().Is4In6():
			return ranges, fmt.Errorf("%s %v is no range of groups", what, p)
		case p.Addr().Is6():
			family = 1
		}
		ranges[family] = append(ranges[family], rangeOf(p))
	}
	return ranges, nil
}

// RFC 791 section 3.2: every link takes 68 bytes, and no packet is longer than
// its length field can say.
const (
	minMTU = 68
	maxMTU = 65535
)

// port is the place of an interface index: what there is as long as the
// forwarder, whether or not an interface is attached at the moment.
type port struct {
	index    uint32
	slot     uint32 // position in Forwarder.ports
	settings atomic.Pointer[settings]
	base     atomic.Pointer[portTotals] // when the present interface was added
	flows    atomic.Int64               // that began here
	running  atomic.Bool                // a Run uses worker
	worker   *worker                    // made by the first Run

	counts *inCounters    // written by worker
	late   [2]*inCounters // written by the plane of each family, under its lock

	mu   sync.Mutex
	sent []*outLane // one per worker that has sent here
}

// newPort makes a port without an interface.
func newPort(index, slot uint32) *port {
	return &port{
		index:  index,
		slot:   slot,
		counts: new(inCounters),
		late:   [2]*inCounters{new(inCounters), new(inCounters)},
	}
}

// Interface is a link attached to a Forwarder.
type Interface struct {
	forwarder *Forwarder
	port      *port
	device    tun.Device
}

// Run forwards what the link's device brings, until the device is closed or
// the interface removed, which gives nil, or until reading fails. It is the
// only reader of the device, and may be called again after it has returned.
func (i *Interface) Run() error {
	p := i.port
	if !p.running.CompareAndSwap(false, true) {
		return fmt.Errorf("run interface with index %d: %w", p.index, errRunning)
	}
	defer p.running.Store(false)
	s := i.attached()
	if s == nil {
		return nil
	}
	if p.worker == nil {
		p.worker = newWorker(i.forwarder, p)
	}
	for s != nil {
		n, err := p.worker.read(s)
		if s = i.attached(); s == nil {
			return nil
		}
		p.worker.work(n, s)
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("run interface %s: %w", s.name, err)
		}
	}
	return nil
}

// attached gives the settings of the interface, or nil once it is removed.
func (i *Interface) attached() *settings {
	s := i.port.settings.Load()
	if s == nil || s.device != i.device {
		return nil
	}
	return s
}
