package routing

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"umroute/mgm"
)

// Upcall takes what the forwarder cannot decide; it is what *mgm.Manager has.
// The workers call it, with no lock held: it must copy the header (the start of
// the packet, up to 128 bytes) and must not wait.
type Upcall interface {
	HandleMiss(f mgm.Flow, arrival mgm.Iface, header []byte)
	HandleWrongIf(f mgm.Flow, arrival mgm.Iface, header []byte)
}

// Config says what a Forwarder works with. The zero value drops what is not
// multicast data, and has the limits named below.
type Config struct {
	// Punt takes everything that is not multicast data to be forwarded, as it
	// was read (an Ethernet frame from a TAP). The workers call it: it must copy
	// the frame and must not wait.
	Punt func(index uint32, frame []byte)
	// TooBig takes an IPv6 packet that came in on interface index and was too
	// long for an output, with the smallest MTU that it met, for a Packet Too Big
	// message to its source (RFC 4443 section 3.2). The hop limit is already one
	// less. It must copy the packet and must not wait.
	TooBig func(index uint32, packet []byte, mtu int)
	// Threshold says what the TTL or hop limit of a flow's packets must be above
	// to leave by an interface, where the flow asks for more than the interface.
	// Nil, 0 and 1: what the interface says. For an entry it must not change. It
	// is called while the entry is set, and must not call the forwarder.
	Threshold func(f mgm.Flow, index uint32) uint8
	// ValidSource says whether a source may send from an interface; nil is every
	// one (RFC 3704). The workers ask for packets of unknown flows.
	ValidSource func(index uint32, source netip.Addr) bool
	Logger      *slog.Logger // nil is silent

	FlowLimit          int           // flows known or waiting; 0 is 131,072
	InterfaceFlowLimit int           // those of them that one interface began; 0 is 16,384
	PendingPackets     int           // packets that wait for a decision; 0 is 4,096
	PendingBytes       int           // their bytes; 0 is 16 MiB
	PendingTimeout     time.Duration // how long a flow may wait; 0 is 5 s
	MissRate           int           // new flows reported per second and interface; 0 is 10,000
	WrongIfRate        int           // wrong interfaces reported likewise; 0 is 1,000
	Batch              int           // packets per read, 4 or more; 0 is 64
}

// withDefaults puts the limits named in Config where there is none.
func (c Config) withDefaults() Config {
	for limit, standard := range map[*int]int{
		&c.FlowLimit:          131_072,
		&c.InterfaceFlowLimit: 16_384,
		&c.PendingPackets:     4096,
		&c.PendingBytes:       16 << 20,
		&c.MissRate:           10_000,
		&c.WrongIfRate:        1000,
		&c.Batch:              64,
	} {
		if *limit <= 0 {
			*limit = standard
		}
	}
	c.Batch = max(c.Batch, waitingPackets)
	if c.PendingTimeout <= 0 {
		c.PendingTimeout = 5 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Forwarder replicates multicast packets between the links of one router. All
// methods are safe for concurrent use.
//
// Outgoing interfaces are taken to be broadcast or point-to-point links: the
// next hop of an mgm.Iface is not used, and an interface that an entry names
// with several next hops gets one copy.
type Forwarder struct {
	config Config
	planes [2]*plane // IPv4, IPv6
	flows  atomic.Int64
	budget budget
	joins  atomic.Bool // some interface takes super-packets

	domains atomic.Pointer[domainRules]

	watches atomic.Pointer[[]*Watch] // nil where no flow is watched

	mu      sync.Mutex // guards byIndex and changes of ports
	byIndex map[uint32]*port
	ports   atomic.Pointer[[]*port] // by slot; only grows
}

// New makes a forwarder with neither interfaces nor entries.
func New(config Config) *Forwarder {
	f := &Forwarder{config: config.withDefaults(), byIndex: make(map[uint32]*port)}
	f.budget.packets.Store(int64(f.config.PendingPackets))
	f.budget.bytes.Store(int64(f.config.PendingBytes))
	f.ports.Store(new([]*port))
	f.planes[0] = newPlane(f, false)
	f.planes[1] = newPlane(f, true)
	return f
}

// Plane gives the side of one address family that its mgm.Manager controls.
//
// Set takes entries that name interfaces which are not there (yet): what they
// would get is dropped and counted as DropNoInterface. An interface that is
// both input and output of an entry gets no packet.
func (f *Forwarder) Plane(v6 bool) mgm.Forwarder { return f.plane(v6) }

// Bind says who decides on unknown flows of one family. Until then they wait
// for their timeout.
func (f *Forwarder) Bind(v6 bool, u Upcall) { f.plane(v6).upcall.Store(&u) }

// plane is Plane for the forwarder's own use.
func (f *Forwarder) plane(v6 bool) *plane {
	if v6 {
		return f.planes[1]
	}
	return f.planes[0]
}

// Advance drops packets that have waited too long. Without it they go when
// their place is needed; calling it once a second is enough.
func (f *Forwarder) Advance(now time.Time) {
	for _, p := range f.planes {
		p.advance(now)
	}
}

// AddInterface attaches a link. Nothing is read from it before Run; entries
// that name its index forward to it from now on.
func (f *Forwarder) AddInterface(config InterfaceConfig) (*Interface, error) {
	s, err := config.settings()
	if err != nil {
		return nil, fmt.Errorf("add interface %q: %w", config.Name, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.portLocked(config.Index)
	switch {
	case p.settings.Load() != nil:
		err = fmt.Errorf("index %d is in use", config.Index)
	case p.running.Load():
		err = fmt.Errorf("index %d is still being read: close its device first", config.Index)
	}
	if err != nil {
		return nil, fmt.Errorf("add interface %q: %w", config.Name, err)
	}
	base := p.totals()
	p.base.Store(&base)
	p.settings.Store(s)
	f.findJoins()
	f.config.Logger.Debug("interface added", "if", config.Name, "index", config.Index)
	return &Interface{forwarder: f, port: p, device: config.Device}, nil
}

// UpdateInterface takes over what may have changed in the configuration of an
// interface: everything but Index, which names it, and Device.
func (f *Forwarder) UpdateInterface(config InterfaceConfig) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.byIndex[config.Index]
	if p == nil || p.settings.Load() == nil {
		return fmt.Errorf("update interface %q: no index %d", config.Name, config.Index)
	}
	config.Device = p.settings.Load().device
	s, err := config.settings()
	if err != nil {
		return fmt.Errorf("update interface %q: %w", config.Name, err)
	}
	p.settings.Store(s)
	f.findJoins()
	return nil
}

// RemoveInterface detaches a link: nothing more is written to it, and entries
// that name its index lead nowhere until there is one again. The caller closes
// the device, which ends Run.
func (f *Forwarder) RemoveInterface(index uint32) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.byIndex[index]
	if p == nil || p.settings.Swap(nil) == nil {
		return fmt.Errorf("remove interface: no index %d", index)
	}
	f.findJoins()
	f.config.Logger.Debug("interface removed", "index", index)
	return nil
}

// findJoins sees whether joining datagrams is of use to anybody.
func (f *Forwarder) findJoins() {
	f.joins.Store(slices.ContainsFunc(*f.ports.Load(), func(p *port) bool {
		s := p.settings.Load()
		return s != nil && s.joins
	}))
}

// port gives the port of an interface index.
func (f *Forwarder) port(index uint32) *port {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.portLocked(index)
}

// portLocked makes ports as they are named. One is never given up: entries may
// point to it, and an index is usually used again.
func (f *Forwarder) portLocked(index uint32) *port {
	if p := f.byIndex[index]; p != nil {
		return p
	}
	ports := *f.ports.Load()
	p := newPort(index, uint32(len(ports)))
	f.byIndex[index] = p
	// Workers that hold the old list do not see what is behind its end.
	longer := append(ports, p)
	f.ports.Store(&longer)
	return p
}

var errRunning = errors.New("already running")
