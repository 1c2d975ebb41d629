package membership

import (
	"net/netip"
	"time"
)

// GroupStatus is a snapshot of one group on one interface.
type GroupStatus struct {
	Interface    string
	Index        uint32
	Group        netip.Addr
	Mode         FilterMode
	Version      int          // group compatibility mode, in the family's count
	LastReporter netip.Addr   // zero if no host ever reported
	Reporters    []netip.Addr // the tracked hosts
	Uptime       time.Duration
	Expires      time.Duration // zero if only static
	Static       bool          // wanted from any source without a host
	Sources      []SourceStatus
}

// SourceStatus is a snapshot of one source record.
type SourceStatus struct {
	Address    netip.Addr
	Expires    time.Duration // zero for a blocked or only static source
	Forwarding bool
	Static     bool
}

// InterfaceStatus is a snapshot of one interface.
type InterfaceStatus struct {
	Interface string
	Index     uint32
	Enabled   bool // always: an interface that is not enabled is not there
	Up        bool
	Suspended bool // between Suspend and Resume
	Version   int  // highest spoken

	Querier             netip.Addr // zero if none is known
	IsQuerier           bool
	NextQuery           time.Duration // zero if not the querier
	OtherQuerierExpires time.Duration // zero if the querier

	// The intervals in force: while another router is the querier, its own
	// robustness and query interval.
	Robustness              int
	QueryInterval           time.Duration
	QueryResponseInterval   time.Duration
	LastMemberQueryInterval time.Duration
	GroupMembershipInterval time.Duration

	Groups   int
	Counters Counters
}

// Counters counts since the interface was added, or ClearCounters was called.
type Counters struct {
	Received       Received
	Sent           Sent
	Ignored        map[Reason]uint64 // those above zero
	QuerierChanges uint64            // elections lost to a router not heard before
	Refusals       uint64            // calls that Members refused
}

// ClearCounters sets the counters of all interfaces to zero.
func (r *Router) ClearCounters() {
	for _, l := range r.links {
		l.counters = counters{}
	}
}

// Groups returns all groups, ascending by interface index and group. Durations
// are relative to now.
func (r *Router) Groups(now time.Time) []GroupStatus {
	t := r.instant(now)
	var list []GroupStatus
	for _, l := range r.sorted() {
		for _, g := range l.sortedGroups() {
			list = append(list, r.groupStatus(t, g))
		}
	}
	return list
}

// Group returns one group on an interface, if it is there. Durations are relative
// to now.
func (r *Router) Group(now time.Time, index uint32, group netip.Addr) (GroupStatus, bool) {
	l := r.links[index]
	if l == nil || l.groups[group] == nil {
		return GroupStatus{}, false
	}
	return r.groupStatus(r.instant(now), l.groups[group]), true
}

func (r *Router) groupStatus(now instant, g *group) GroupStatus {
	s := GroupStatus{
		Interface:    g.link.config.Name,
		Index:        g.link.config.Index,
		Group:        g.address,
		Mode:         g.mode,
		Version:      r.external(g.version(now)),
		LastReporter: g.lastReporter,
		Uptime:       g.created.until(now),
		Expires:      now.until(g.timer),
		Static:       g.static != 0,
	}
	for i := range g.hosts {
		if g.hosts[i].until > now {
			s.Reporters = append(s.Reporters, g.hosts[i].address)
		}
	}
	for i := range g.sources {
		rec := &g.sources[i]
		status := SourceStatus{
			Address:    rec.address,
			Expires:    now.until(rec.timer),
			Forwarding: g.wish(rec) != toldExcluded,
			Static:     rec.static != 0,
		}
		s.Sources = append(s.Sources, status)
		if g.mode == Include {
			s.Expires = max(s.Expires, status.Expires)
		}
	}
	return s
}

// Interfaces returns all interfaces, ascending by index. Durations are relative
// to now.
func (r *Router) Interfaces(now time.Time) []InterfaceStatus {
	t := r.instant(now)
	var list []InterfaceStatus
	for _, l := range r.sorted() {
		list = append(list, r.interfaceStatus(t, l))
	}
	return list
}

// Interface returns one interface, if it is there. Durations are relative to
// now.
func (r *Router) Interface(now time.Time, index uint32) (InterfaceStatus, bool) {
	l := r.links[index]
	if l == nil {
		return InterfaceStatus{}, false
	}
	return r.interfaceStatus(r.instant(now), l), true
}

func (r *Router) interfaceStatus(now instant, l *link) InterfaceStatus {
	c := &l.counters
	s := InterfaceStatus{
		Interface: l.config.Name,
		Index:     l.config.Index,
		Enabled:   true,
		Up:        l.up,
		Suspended: l.suspended,
		Version:   r.external(l.version),

		Querier:             r.querierOf(l),
		IsQuerier:           l.isQuerier(),
		NextQuery:           now.until(l.querier.queryAt),
		OtherQuerierExpires: now.until(l.querier.otherUntil),

		Robustness:              l.current.robustness,
		QueryInterval:           l.current.interval,
		QueryResponseInterval:   l.current.response,
		LastMemberQueryInterval: l.current.lastMember,
		GroupMembershipInterval: l.current.groupMembership(),

		Groups: len(l.groups),
		Counters: Counters{Received: c.received, Sent: c.sent,
			Ignored: make(map[Reason]uint64), QuerierChanges: c.querierChanges,
			Refusals: c.refusals},
	}
	for reason, n := range c.ignored {
		if n > 0 {
			s.Counters.Ignored[Reason(reason)] = n
		}
	}
	return s
}
