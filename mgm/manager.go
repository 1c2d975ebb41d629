package mgm

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what a manager needs. RIB and Forwarder are required.
type Config struct {
	IPv6      bool // the manager is for IPv6 and MLD, else for IPv4 and IGMP
	RIB       RIB
	Forwarder Forwarder
	// Timeout is the lifetime of forwarding entries; 0 means DefaultMFETimeout.
	Timeout time.Duration
	// WrongIfInterval is the least time between two WrongIf alerts for the same flow and
	// interface (RFC 2715, rule 2); 0 means 3 seconds.
	WrongIfInterval time.Duration
	// Boundary, if set, reports whether a group stops at an interface: it is then never an
	// outgoing interface of the group (RFC 2715, rule 2; MIB_IPMCAST_BOUNDARY). It is called
	// while the manager is locked, so it must be quick and must not call back. Changes are
	// told by Manager.BoundaryChanged.
	Boundary func(i Iface, group netip.Addr) bool
	// Logger gets what MGM writes to the event log, with MGM's event numbers as attribute
	// "event"; nil discards it.
	Logger *slog.Logger
}

// Manager is the Multicast Group Manager of one address family. Its methods may be called
// from any goroutine, and from callbacks.
type Manager struct {
	family
	rib       RIB
	forwarder Forwarder
	timeout   time.Duration
	boundary  func(Iface, netip.Addr) bool
	log       *slog.Logger
	start     time.Time

	wakeUp       chan struct{}
	closed       atomic.Bool   // set under mu
	routeChanges atomic.Uint64 // RouteChanged calls

	mu          sync.Mutex // guards all below, and what it leads to
	roster      *roster
	links       map[Iface]*link
	records     map[Entry]*record
	memberships int // places where an entry is, exclude records left out
	sources     map[netip.Addr]*source
	sourceOrder ordered[netip.Addr, *source]
	flows       index // of the installed entries
	order       ordered[Flow, *mfe]
	due         deadlines
	pending     *mfe   // being created
	changes     uint64 // of what outgoing lists depend on

	queue    queue
	idle     bool // the delivery goroutine waits, and nothing is queued
	waiters  []chan struct{}
	dirty    []*mfe
	updates  []update // the delivery goroutine's, reused
	refusing bool     // the delivery goroutine's: the forwarder refused the last entry
	missed   map[Flow]struct{}
	overflow uint64 // misses dropped
	sweeping map[netip.Prefix]struct{}
	wrong    wrongRate
}

// New starts a manager, with a goroutine that Close ends. It fails without a RIB (event
// 50022) or a Forwarder, and for a negative Timeout, with ErrInvalidParameter; and for a
// Forwarder that is Claimed by a running manager (event 50004), with ErrAlreadyExists.
func New(cfg Config) (*Manager, error) {
	m := &Manager{
		family: family{v6: cfg.IPv6}, rib: cfg.RIB, forwarder: cfg.Forwarder,
		timeout: cfg.Timeout, boundary: cfg.Boundary, log: cfg.Logger, start: time.Now(),
		wakeUp: make(chan struct{}, 1), roster: &roster{},
		links:    make(map[Iface]*link),
		records:  make(map[Entry]*record),
		sources:  make(map[netip.Addr]*source),
		flows:    newIndex(cfg.IPv6),
		missed:   make(map[Flow]struct{}),
		sweeping: make(map[netip.Prefix]struct{}),
		sourceOrder: ordered[netip.Addr, *source]{
			key: func(s *source) netip.Addr { return s.addr }, compare: netip.Addr.Compare,
		},
		order: ordered[Flow, *mfe]{
			key: func(f *mfe) Flow { return f.flow }, compare: Flow.Compare,
		},
		wrong: wrongRate{
			interval: cfg.WrongIfInterval,
			last:     make(map[wrongKey]struct{}), queued: make(map[wrongKey]struct{}),
		},
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.timeout == 0 {
		m.timeout = DefaultMFETimeout
	}
	if m.wrong.interval == 0 {
		m.wrong.interval = defaultWrongIfInterval
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	m.timeout = min(m.timeout, maxTimeout)
	go m.run()
	return m, nil
}

// check reports what is missing for a start.
func (m *Manager) check() error {
	switch {
	case m.rib == nil:
		m.log.Error("manager has no RIB", "event", eventNoRIB)
		return fmt.Errorf("%w: manager without a RIB", ErrInvalidParameter)
	case m.forwarder == nil:
		return fmt.Errorf("%w: manager without a forwarder", ErrInvalidParameter)
	case m.timeout < 0 || m.wrong.interval < 0:
		return fmt.Errorf("%w: manager with a negative time", ErrInvalidParameter)
	}
	if claimed, ok := m.forwarder.(Claimed); ok && !claimed.Claim() {
		m.log.Error("forwarder has a manager already", "event", eventRunning)
		return fmt.Errorf("%w: manager of this forwarder", ErrAlreadyExists)
	}
	return nil
}

// now is the time since the manager's start.
func (m *Manager) now() time.Duration { return time.Since(m.start) }

// Close drops what is queued, stops the timer and ends the delivery goroutine, without
// waiting for it: a callback that is running may still finish. The forwarder keeps its
// entries. From then on calls that change something fail with ErrClosed, and Sync returns
// at once. Closing again does nothing. The error is always nil.
func (m *Manager) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed.Swap(true) {
		return nil
	}
	m.queue = queue{}
	m.dirty = nil
	for _, done := range m.waiters {
		close(done)
	}
	m.waiters = nil
	if claimed, ok := m.forwarder.(Claimed); ok {
		claimed.Release()
	}
	m.kick()
	return nil
}

// BoundaryChanged says that Config.Boundary answers differently for an interface. The
// outgoing lists follow before it returns.
func (m *Manager) BoundaryChanged(i Iface) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.links[i]; l != nil && !m.closed.Load() {
		m.changes++
		m.refreshMatching(Entry{}, l)
	}
}

// Counters says how much a manager has to do.
type Counters struct {
	Clients       int    // registered
	Memberships   int    // pairs of an entry and an interface
	MFEs          int    // forwarding entries, negative ones included
	Queued        int    // events that wait for the delivery goroutine
	MissesDropped uint64 // misses that the queue could not hold
}

// Counters returns the present counts.
func (m *Manager) Counters() Counters {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Counters{
		Clients: len(m.roster.clients), Memberships: m.memberships, MFEs: m.flows.length,
		Queued: m.queue.length + len(m.dirty), MissesDropped: m.overflow,
	}
}

// checkIface reports whether i can be an interface of the family.
func (m *Manager) checkIface(i Iface) error {
	if !m.nextHop(i.NextHop) {
		return fmt.Errorf("%w: next hop %s", ErrInvalidParameter, i.NextHop)
	}
	return nil
}
