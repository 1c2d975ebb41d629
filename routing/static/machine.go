package static

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"umroute/mgm"
)

// Client is the registration at the Multicast Group Manager; *mgm.Client is one.
type Client interface {
	TakeInterface(mgm.Iface) error
	ReleaseInterface(mgm.Iface) error
	AddMembership(mgm.Entry, mgm.Iface, mgm.StateFlags) error
	DeleteMembership(mgm.Entry, mgm.Iface, mgm.StateFlags) error
	Forget(mgm.Flow) error
}

// Manager is asked which flows there are; *mgm.Manager is one.
type Manager interface {
	MFE(mgm.Flow) (mgm.MFE, error)
	MFEs() iter.Seq[mgm.MFE]
}

// Config is what a Machine needs. All but Logger and Paths are required.
type Config struct {
	V6      bool // which family's routes these are
	Manager Manager
	// Register registers at the manager, as a routing protocol.
	Register func(mgm.Callbacks) (Client, error)
	// Paths is told where sources are expected because of the routes, whenever
	// that changes. It must not call the machine.
	Paths  func([]Path)
	Logger *slog.Logger
}

// Path says by which interface the data of some sources comes in.
type Path struct {
	Source netip.Prefix // 0.0.0.0/0 and ::/0 stand for sources that have no other route
	Index  uint32
}

// Machine is the static routes of one family. Its methods are for one
// goroutine. The manager's callbacks come on another and want an answer at
// once, therefore the lock; it is held during calls of the manager, which lets
// its clients do so.
type Machine struct {
	config Config
	client Client

	mu      sync.Mutex
	routes  map[Key]*route
	links   map[string]uint32 // the interfaces that exist
	owned   map[uint32]bool
	refused map[uint32]error // interfaces that somebody else owns
	table   *table
	paths   []Path
	holds   map[place]int // why the memberships are there
	flows   map[mgm.Flow]*flow
	sweep   time.Time // when flows are looked at next

	limits sync.Map // mgm.Flow → limit, of those flows that have a threshold
}

// route is a Route with its origin.
type route struct {
	Route
	configured bool
	standing   []place // of a route without incoming interface
}

// place is a membership of ours.
type place struct {
	entry mgm.Entry
	index uint32
}

// flow is a flow for which memberships were added.
type flow struct {
	key Key // of its route
	limit
	fresh bool // asked for since the last sweep
}

// limit is by which interfaces a flow leaves, and with which TTL. It never
// changes.
type limit struct {
	outs      []uint32
	threshold uint8
}

// sweepInterval is how often the machine looks whether the flows that it has
// added memberships for still are there: no callback tells of an entry's end
// (MGM, MgmGetMfe).
const sweepInterval = 30 * time.Second

// New registers static routes at a manager. There are none yet.
func New(c Config) (*Machine, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Paths == nil {
		c.Paths = func([]Path) {}
	}
	m := &Machine{
		config:  c,
		routes:  make(map[Key]*route),
		links:   make(map[string]uint32),
		owned:   make(map[uint32]bool),
		refused: make(map[uint32]error),
		table:   newTable(nil),
		holds:   make(map[place]int),
		flows:   make(map[mgm.Flow]*flow),
	}
	m.mu.Lock() // no callback before the client is known
	defer m.mu.Unlock()
	client, err := c.Register(mgm.Callbacks{RPF: m.answerRPF})
	if err != nil {
		return nil, fmt.Errorf("start static routes: %w", err)
	}
	m.client = client
	return m, nil
}

// Set makes routes the configured ones, in place of the earlier. Those that Add
// added stay. A wrong route is an error that changes nothing.
func (m *Machine) Set(routes []Route) error {
	wanted := make(map[Key]Route, len(routes))
	for _, r := range routes {
		if err := m.check(r); err != nil {
			return err
		}
		if _, again := wanted[r.Key]; again {
			return fmt.Errorf("%w %s: given twice", ErrInvalid, r.Key)
		}
		wanted[r.Key] = r
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var changed []Key
	for key, old := range m.routes {
		if _, stays := wanted[key]; old.configured && !stays {
			m.forget(key)
			changed = append(changed, key)
		}
	}
	for key, r := range wanted {
		if m.put(r, true) {
			changed = append(changed, key)
		}
	}
	m.apply(changed)
	return nil
}

// Add adds a route, or replaces the one with the same key. The error wraps
// ErrInvalid, or is that of an interface which another protocol owns; nothing
// has changed then.
func (m *Machine) Add(r Route) error {
	if err := m.check(r); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.routes[r.Key]
	if !m.put(r, false) {
		return nil
	}
	m.apply([]Key{r.Key})
	err := m.refusal(r)
	if err != nil {
		m.forget(r.Key)
		if old != nil {
			m.put(old.Route, old.configured)
		}
		m.apply([]Key{r.Key})
	}
	return err
}

// Delete removes a route. The error is ErrNotFound.
func (m *Machine) Delete(key Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.routes[key] == nil {
		return fmt.Errorf("%w: %s", ErrNotFound, key)
	}
	m.forget(key)
	m.apply([]Key{key})
	return nil
}

// Flush has every flow of the routes looked up again with its next packet.
func (m *Machine) Flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for f := range m.flows {
		m.drop(f)
	}
}

// AddInterface says that an interface is there.
func (m *Machine) AddInterface(name string, index uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.links[name] = index
	m.apply(m.users(name))
}

// RemoveInterface says that an interface is going. The machine gives it up.
func (m *Machine) RemoveInterface(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	index := m.links[name]
	delete(m.links, name)
	m.apply(m.users(name))
	delete(m.refused, index)
}

// Status is a route with what has become of it.
type Status struct {
	Route
	Configured bool     // not added at run time
	Waiting    []string // interfaces that do not exist, or belong to others
	Flows      int      // that it serves
}

// Routes lists the routes by group, source and incoming interface.
func (m *Machine) Routes() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	served := make(map[Key]int)
	for _, state := range m.flows {
		served[state.key]++
	}
	list := make([]Status, 0, len(m.routes))
	for key, r := range m.routes {
		list = append(list, Status{Route: r.Route, Configured: r.configured,
			Waiting: m.waiting(r.Route), Flows: served[key]})
	}
	slices.SortFunc(list, func(a, b Status) int { return a.Key.compare(b.Key) })
	return list
}

// Threshold is what the TTL or hop limit of a flow's packets must be above to
// leave by an interface; 0 where no route says. Of an entry it does not change.
// It never waits, and may be called from anywhere.
func (m *Machine) Threshold(f mgm.Flow, index uint32) uint8 {
	found, ok := m.limits.Load(f)
	if !ok {
		return 0
	}
	if l := found.(limit); slices.Contains(l.outs, index) {
		return l.threshold
	}
	return 0
}

func (m *Machine) check(r Route) error {
	if err := r.Check(); err != nil {
		return err
	}
	if r.V6() != m.config.V6 {
		return fmt.Errorf("%w %s: of the other family", ErrInvalid, r.Key)
	}
	return nil
}

// put notes a route and says whether it is another than before.
func (m *Machine) put(r Route, configured bool) bool {
	r.Out = slices.Clone(r.Out)
	slices.Sort(r.Out)
	r.Out = slices.Compact(r.Out)
	old := m.routes[r.Key]
	if old == nil {
		m.routes[r.Key] = &route{Route: r, configured: configured}
		return true
	}
	old.configured = configured
	same := old.equal(r)
	old.Route = r
	return !same
}

// forget takes a route away, with what stands because of it.
func (m *Machine) forget(key Key) {
	m.unstand(m.routes[key])
	delete(m.routes, key)
}

// users are the routes that name an interface.
func (m *Machine) users(name string) []Key {
	var keys []Key
	for key, r := range m.routes {
		if r.In == name || slices.Contains(r.Out, name) {
			keys = append(keys, key)
		}
	}
	return keys
}

// refusal says which of a route's interfaces belongs to somebody else.
func (m *Machine) refusal(r Route) error {
	var errs []error
	for _, name := range append([]string{r.In}, r.Out...) {
		if err := m.refused[m.links[name]]; err != nil {
			errs = append(errs, fmt.Errorf("static route %s: interface %s: %w", r.Key, name, err))
		}
	}
	return errors.Join(errs...)
}

// waiting lists the interfaces that a route lacks.
func (m *Machine) waiting(r Route) []string {
	var names []string
	for _, name := range append([]string{r.In}, r.Out...) {
		if name != "" && !m.usable(name) {
			names = append(names, name)
		}
	}
	return names
}

// usable says whether an interface is there, and ours to use.
func (m *Machine) usable(name string) bool {
	index, there := m.links[name]
	return there && m.refused[index] == nil
}
