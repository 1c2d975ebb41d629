package membership

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"umroute/mgm"
)

// link is what the Router knows about one interface.
type link struct {
	config  InterfaceConfig
	version uint8  // highest spoken, in IGMP's count: MLDv1 is 2, MLDv2 is 3
	own     timing // as configured
	current timing // in force: some of it the elected querier's

	up        bool
	suspended bool // its owner is changing: nothing may be told
	withdrawn []withdrawal

	groups  map[netip.Addr]*group
	last    *group // that a report named; nil if it is gone
	learnt  int    // groups with state that hosts made
	tracked budget

	querier  querier
	alarm    place
	earned   instant // up to here, packets have been paid for
	warned   [warnings]instant
	counters counters
}

func (l *link) place() *place { return &l.alarm }

func (l *link) iface() mgm.Iface { return mgm.Iface{Index: l.config.Index} }

// admit reports whether a packet is within the rate limit: a bucket that fills
// by PacketRate in a second and holds as many.
func (l *link) admit(now instant) bool {
	if l.config.PacketRate == 0 {
		return true
	}
	l.earned = max(l.earned, now-instant(time.Second))
	if l.earned >= now {
		return false
	}
	l.earned += instant(time.Second) / instant(l.config.PacketRate)
	return true
}

// group returns the state of a group, nil if there is none. Hosts name their
// groups in the same order in each report, so the one that followed the last
// time is tried first.
func (l *link) group(address netip.Addr) *group {
	if l.last != nil {
		if g := l.last.next; g != nil && g.address == address && !g.gone {
			l.last = g
			return g
		}
	}
	g := l.groups[address]
	if g == nil {
		return nil
	}
	if l.last != nil {
		l.last.next = g
	}
	l.last = g
	return g
}

// sortedGroups returns the groups in the order of their addresses.
func (l *link) sortedGroups() []*group {
	return slices.SortedFunc(maps.Values(l.groups), func(a, b *group) int {
		return a.address.Compare(b.address)
	})
}

// AddInterface starts the router side on an interface, whose link counts as up,
// and sends the first startup query. Errors: ErrInterfaceExists, ErrInvalid.
func (r *Router) AddInterface(now time.Time, config InterfaceConfig) error {
	if r.links[config.Index] != nil {
		return fmt.Errorf("%s: add %s: %w", r.config.Family, config.Name, ErrInterfaceExists)
	}
	if err := config.validate(r.config.Family); err != nil {
		return fmt.Errorf("%s: add %s: %w", r.config.Family, config.Name, err)
	}
	t := r.instant(now)
	l := &link{groups: make(map[netip.Addr]*group), up: true}
	r.links[config.Index] = l
	r.configure(l, config)
	r.applyStatic(t, l, config.Static)
	r.startQuerier(t, l)
	return nil
}

// configure puts a validated configuration in force.
func (r *Router) configure(l *link, config InterfaceConfig) {
	config.Address = config.Address.WithZone("")
	config.Prefixes = slices.Clone(config.Prefixes)
	config.Allow = slices.Clone(config.Allow)
	config.Static = slices.Clone(config.Static)
	l.config = config
	l.version = uint8(orDefault(config.Version, r.config.Family.newest()))
	if r.config.Family == MLD {
		l.version++
	}
	l.own = config.timing()
}

// UpdateInterface changes the settings of an interface and keeps its state:
// running timers keep their time, a new address enters the election, groups
// that are no longer allowed are given up.
// Errors: ErrInterfaceNotFound, ErrInvalid; then nothing has changed.
func (r *Router) UpdateInterface(now time.Time, config InterfaceConfig) error {
	l := r.links[config.Index]
	if l == nil {
		return fmt.Errorf("%s: update %s: %w", r.config.Family, config.Name, ErrInterfaceNotFound)
	}
	if err := config.validate(r.config.Family); err != nil {
		return fmt.Errorf("%s: update %s: %w", r.config.Family, config.Name, err)
	}
	t := r.instant(now)
	address := l.config.Address
	r.configure(l, config)
	r.retime(t, l)
	if l.config.Address != address {
		r.readdress(t, l)
	}
	for _, g := range l.sortedGroups() {
		if !l.allows(g.address) {
			r.forget(t, g)
		}
	}
	r.applyStatic(t, l, config.Static)
	return nil
}

// RemoveInterface withdraws all memberships of an interface and forgets it.
// Unknown interfaces are ignored.
func (r *Router) RemoveInterface(_ time.Time, index uint32) {
	l := r.links[index]
	if l == nil {
		return
	}
	for _, g := range l.sortedGroups() {
		g.static = 0
		for i := range g.sources {
			g.sources[i].static = 0
		}
		r.forget(0, g)
	}
	r.alarms.remove(l)
	delete(r.links, index)
}

// LinkUp says that hosts can hear the interface, perhaps again: it sends
// startup queries at once and keeps what it knows. It may be called for a link
// that is up, when its device was opened anew, say.
func (r *Router) LinkUp(now time.Time, index uint32) {
	if l := r.links[index]; l != nil {
		l.up = true
		r.startQuerier(r.instant(now), l)
	}
}

// LinkDown says that nothing can be sent on the interface. What it knows ages.
func (r *Router) LinkDown(_ time.Time, index uint32) {
	if l := r.links[index]; l != nil {
		l.up = false
		l.querier.queryAt = 0
	}
}

// Clear forgets the groups that hosts reported on an interface, and asks at
// once for those that are wanted still.
func (r *Router) Clear(now time.Time, index uint32) {
	l := r.links[index]
	if l == nil {
		return
	}
	t := r.instant(now)
	for _, g := range l.sortedGroups() {
		r.forget(t, g)
	}
	if l.asks() {
		l.querier.queryAt = t
		r.wake(t, l)
	}
}
