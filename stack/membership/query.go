package membership

import (
	"net/netip"
	"time"

	"umroute/stack/igmp"
	"umroute/stack/mld"
)

// query is the membership query of either family; igmp.Query and mld.Query have
// the same fields. Version is in IGMP's count.
type query struct {
	Version     uint8
	Group       netip.Addr
	MaxResponse time.Duration
	Suppress    bool
	Robustness  uint8
	Interval    time.Duration
	Sources     []netip.Addr
}

// maxQRV is the largest robustness a query can tell: a larger one
// is told as zero (RFC 9776 section 4.1).
const maxQRV = 7

func (r *Router) sendGeneralQuery(now instant, l *link, response time.Duration) {
	if r.sendQuery(now, l, query{MaxResponse: response}) {
		l.counters.sent.GeneralQueries++
	}
}

// sendQuery completes a query with what the interface says in each, and sends
// it. It reports whether that worked.
func (r *Router) sendQuery(now instant, l *link, q query) bool {
	if r.config.Sender == nil || !l.config.Address.IsValid() || !l.up {
		return false
	}
	q.Version = l.version
	q.Interval = l.own.interval
	if l.own.robustness <= maxQRV {
		q.Robustness = uint8(l.own.robustness)
	}
	err := r.encode(l.config.Address, &q)
	if err == nil {
		err = r.config.Sender.Send(l.config.Index, r.packet)
	}
	if err != nil {
		l.counters.sent.Errors++
		if r.mayWarn(now, l, warnSend) {
			r.log.Warn("query not sent", "if", l.config.Name, "group", q.Group, "err", err)
		}
	}
	return err == nil
}

// encode writes the packet with a query into r.packet. General queries go to
// all systems, others to their group (RFC 9776 section 4.1).
func (r *Router) encode(source netip.Addr, q *query) (err error) {
	to := q.Group
	if r.config.Family == MLD {
		if !to.IsValid() {
			to = mld.AllNodes
		}
		r.mldQuery = mld.Query(*q)
		r.mldQuery.Version--
		r.packet, err = mld.AppendPacket(r.packet[:0], source, to, &r.mldQuery)
		return err
	}
	if !to.IsValid() {
		to = igmp.AllSystems
	}
	r.igmpQuery = igmp.Query(*q)
	r.packet, err = igmp.AppendPacket(r.packet[:0], source, to, &r.igmpQuery)
	return err
}

// perQuery returns how many sources a query may have on the interface (RFC 9776
// section 4.1).
func (r *Router) perQuery(l *link) int {
	room, size := orDefault(l.config.MTU, defaultMTU)-igmp.HeaderSize-12, 4
	if r.config.Family == MLD {
		room, size = orDefault(l.config.MTU, defaultMTU)-mld.HeaderSize-28, 16
	}
	return max(room/size, 1)
}

// askGroup is "Send Q(G)" of RFC 9776 section 6.6.3.1: it lowers the group
// timer, asks, and asks again until it expires.
func (r *Router) askGroup(now instant, g *group) {
	l := g.link
	t := &l.current
	limit := now.after(t.lastMemberTime())
	// A group that is being asked for is not asked for more often because its
	// hosts leave more often (RFC 2236 section 7, "Checking Membership").
	if !l.asksGroups() || g.timer <= limit {
		return
	}
	g.timer = limit
	g.groupQueries = uint8(t.queries())
	g.groupQueryAt = now
	r.repeatGroupQuery(now, g)
}

func (r *Router) repeatGroupQuery(now instant, g *group) {
	l := g.link
	// A host has confirmed the group meanwhile: other routers need not lower
	// their timers for this repetition.
	suppress := g.timer > now.after(l.current.lastMemberTime())
	q := query{Group: g.address, MaxResponse: l.current.lastMember, Suppress: suppress}
	if r.sendQuery(now, l, q) {
		l.counters.sent.GroupQueries++
	}
	g.groupQueries--
	g.groupQueryAt = 0
	if g.groupQueries > 0 {
		g.groupQueryAt = now.after(l.current.lastMember)
	}
}

// askSources is the second half of "Send Q(G,X)" (RFC 9776 section 6.6.3.2):
// the sources of X are those with queries left, and the first one goes now.
func (r *Router) askSources(now instant, g *group) {
	g.sourceQueryAt = 0
	limit := now.after(g.link.current.lastMemberTime())
	// Two queries: for the sources that hosts confirmed meanwhile, with S, and
	// for the others.
	for _, suppress := range [...]bool{true, false} {
		r.asked = r.asked[:0]
		for i := range g.sources {
			s := &g.sources[i]
			if s.queries > 0 && (s.timer > limit) == suppress {
				r.asked = append(r.asked, s.address)
			}
		}
		r.sendSourceQueries(now, g, suppress)
	}
	again := false
	for i := range g.sources {
		if s := &g.sources[i]; s.queries > 0 {
			s.queries--
			again = again || s.queries > 0
		}
	}
	if again {
		g.sourceQueryAt = now.after(g.link.current.lastMember)
	}
}

// sendSourceQueries asks for r.asked in as many queries as the MTU demands.
func (r *Router) sendSourceQueries(now instant, g *group, suppress bool) {
	l := g.link
	for rest := r.asked; len(rest) > 0; {
		n := min(len(rest), r.perQuery(l))
		q := query{Group: g.address, MaxResponse: l.current.lastMember,
			Suppress: suppress, Sources: rest[:n]}
		if r.sendQuery(now, l, q) {
			l.counters.sent.SourceQueries++
		}
		rest = rest[n:]
	}
}

// lower adapts timers to the query of another router (RFC 9776 section 6.6.1).
func (r *Router) lower(now instant, l *link, q *query) {
	g := l.groups[q.Group]
	if g == nil {
		return
	}
	response := q.MaxResponse
	if response == 0 {
		response = l.current.lastMember
	}
	limit := now.after(time.Duration(l.current.queries()) * response)
	if len(q.Sources) == 0 {
		if g.timer > limit {
			g.timer = limit
			r.alarms.set(g, limit)
		}
		return
	}
	for _, a := range q.Sources {
		if i, ok := find(g.sources, a, 0); ok && g.sources[i].timer > limit {
			g.sources[i].timer = limit
			r.alarms.set(g, limit)
		}
	}
}
