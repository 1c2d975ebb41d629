package membership

import (
	"net/netip"
	"slices"
)

// FilterMode says how a group's source list is meant (RFC 9776 section 6.2.1).
type FilterMode uint8

// The filter modes.
const (
	Include FilterMode = iota // only the sources in the list
	Exclude                   // all but those whose timer has expired
)

// String returns "include" or "exclude".
func (m FilterMode) String() string {
	if m == Exclude {
		return "exclude"
	}
	return "include"
}

// MarshalText returns what String does.
func (m FilterMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// group is the state of one group on one interface (RFC 9776 section 6.2).
//
// The order of the fields is that of their use: what each report needs is in
// the first two cache lines.
type group struct {
	address netip.Addr
	next    *group // which followed in a report; it may be gone
	alarm   place
	timer   instant // group timer; runs in EXCLUDE mode only
	link    *link

	sources []source // ascending
	hosts   []host   // ascending: explicit tracking

	mode         FilterMode
	static       static
	groupQueries uint8 // retransmissions left
	ssm          bool  // of source-specific multicast
	told         bool  // Members has the group without source
	learnt       bool  // counted in link.learnt
	untold       bool  // Members refused something: try again
	gone         bool  // removed from link.groups

	v1Until      instant // IGMPv1 Host Present timer (section 7.3.2)
	v2Until      instant // IGMPv2 or MLDv1 Host Present timer
	lastReporter netip.Addr

	groupQueryAt  instant // next retransmission of Q(G)
	sourceQueryAt instant // next retransmission of Q(G,X)
	crowdedUntil  instant // until then a host may be here that is not tracked
	created       instant
}

// static says who wants a membership without a host.
type static uint8

const (
	byConfig  static = 1 << iota // InterfaceConfig.Static
	byCommand                    // Join
)

func (g *group) place() *place { return &g.alarm }

// newGroup makes the state of a group that has none, in INCLUDE mode without
// sources: what RFC 9776 section 6.4 takes a missing record for.
func (r *Router) newGroup(now instant, l *link, address netip.Addr) *group {
	g := &group{address: address, link: l, created: now, ssm: r.config.Family.isSSM(address)}
	l.groups[address] = g
	return g
}

// serve lets timers expire, repeats queries, and removes the group if nothing
// is left of it.
func (g *group) serve(r *Router, now instant) instant {
	g.expire(now)
	g.dropStaleHosts(now)
	if !g.link.asksGroups() {
		g.groupQueryAt = 0
	}
	if !g.link.asksSources() {
		g.sourceQueryAt = 0
	}
	if g.groupQueryAt != 0 && g.groupQueryAt <= now {
		r.repeatGroupQuery(now, g)
	}
	if g.sourceQueryAt != 0 && g.sourceQueryAt <= now {
		r.askSources(now, g)
	}
	r.announce(now, g)
	return g.deadline()
}

// deadline returns when serve has to be called next, 0 for never.
func (g *group) deadline() instant {
	at := earliest(g.groupQueryAt, g.sourceQueryAt)
	at = earliest(at, g.timer)
	for i := range g.sources {
		at = earliest(at, g.sources[i].timer)
	}
	return at
}

// expire lets the group timer and the source timers run out.
func (g *group) expire(now instant) {
	if g.mode == Exclude && g.timer <= now {
		g.switchToInclude(now)
		return
	}
	for i := range g.sources {
		s := &g.sources[i]
		if s.timer == 0 || s.timer > now {
			continue
		}
		// RFC 9776 section 6.3: in INCLUDE mode the record goes; in EXCLUDE mode
		// it stays, and its source is no longer forwarded.
		s.timer, s.queries = 0, 0
		s.learnt = g.mode == Exclude
	}
}

// switchToInclude is RFC 9776 section 6.5: sources whose timers still run are
// what the group is now reduced to.
func (g *group) switchToInclude(now instant) {
	g.mode, g.timer = Include, 0
	g.groupQueryAt, g.groupQueries = 0, 0
	for i := range g.sources {
		if s := &g.sources[i]; s.timer <= now {
			s.unlearn()
		}
	}
}

// forget drops what hosts made of the group.
func (r *Router) forget(now instant, g *group) {
	g.mode, g.timer, g.v1Until, g.v2Until = Include, 0, 0, 0
	g.groupQueryAt, g.groupQueries, g.sourceQueryAt = 0, 0, 0
	for i := range g.sources {
		g.sources[i].unlearn()
	}
	for len(g.hosts) > 0 {
		g.removeHost(len(g.hosts) - 1)
	}
	r.announce(now, g)
}

// remove frees a group of which nothing is left.
func (r *Router) remove(g *group) {
	for len(g.hosts) > 0 {
		g.removeHost(len(g.hosts) - 1)
	}
	g.groupQueryAt, g.sourceQueryAt = 0, 0
	r.alarms.remove(g)
	l := g.link
	delete(l.groups, g.address)
	// Another group may still point here as the one that follows it.
	g.gone, g.next, g.sources, g.hosts = true, nil, nil, nil
	if l.last == g {
		l.last = nil
	}
}

// version returns the group compatibility mode (RFC 9776 section 7.3.2, RFC
// 9777 section 8.3.2) in IGMP's count: never above what the interface speaks.
func (g *group) version(now instant) uint8 {
	version := uint8(3)
	switch {
	case g.v1Until > now:
		version = 1
	case g.v2Until > now:
		version = 2
	}
	return min(version, g.link.version)
}

// source is a source record (RFC 9776 section 6.2). A source that is not
// learnt is kept because it is static or still has to be withdrawn.
type source struct {
	address netip.Addr
	timer   instant // 0 in EXCLUDE mode: not forwarded
	queries uint8   // retransmissions of Q(G,S) left
	static  static
	learnt  bool // hosts made it: it is in the lists of section 6.4
	named   bool // by the record being worked on
	told    told
}

// told is the set of what Members has of a source.
type told uint8

const (
	toldJoined   told = 1 << iota // a membership (S,G)
	toldExcluded                  // an exclude record
)

func (s *source) unlearn() {
	s.timer, s.queries, s.learnt = 0, 0, false
}

// find returns where a is or belongs in an ascending list. It looks near hint
// first: records tend to name sources in the order of the list, or against it.
func find(list []source, a netip.Addr, hint int) (int, bool) {
	for i := max(hint-1, 0); i <= hint+1 && i < len(list); i++ {
		if list[i].address == a {
			return i, true
		}
	}
	return slices.BinarySearchFunc(list, a, func(s source, a netip.Addr) int {
		return s.address.Compare(a)
	})
}

// insert merges fresh, unsorted and perhaps with duplicates, into the sources:
// in one pass from the end, whatever their number.
func (g *group) insert(fresh []source) {
	slices.SortFunc(fresh, func(a, b source) int { return a.address.Compare(b.address) })
	fresh = slices.CompactFunc(fresh, func(a, b source) bool { return a.address == b.address })
	old, i := len(g.sources)-1, len(fresh)-1
	g.sources = append(g.sources, fresh...)
	for k := len(g.sources) - 1; i >= 0; k-- {
		if old >= 0 && fresh[i].address.Less(g.sources[old].address) {
			g.sources[k] = g.sources[old]
			old--
			continue
		}
		g.sources[k] = fresh[i]
		i--
	}
}
