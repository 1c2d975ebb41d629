package membership

import (
	"net/netip"

	"umroute/stack/igmp"
)

// record is what a host said about one group, in the form of a group record.
// Older messages are translated (RFC 9776 section 7.3.2): a report is an
// IS_EX({}), a leave a TO_IN({}).
type record struct {
	host    netip.Addr
	kind    igmp.RecordType
	group   netip.Addr
	sources []netip.Addr
	version uint8 // of the message, in IGMP's count
}

// effect is what a record does to a source.
type effect uint8

const (
	keep         effect = iota // nothing; a source not in the lists stays out
	toInterval                 // timer = Group Membership Interval
	toGroupTimer               // timer = group timer
	toZero                     // timer = 0: in the list, not forwarded
	unlist                     // delete
)

// question is which sources a record makes the querier ask for.
type question uint8

const (
	nobody question = iota
	aboutNamed
	aboutOthers
)

// rule is a row of the tables in RFC 9776 sections 6.4.1 and 6.4.2, which are
// those of RFC 9777 sections 7.4.1 and 7.4.2: what a record does to the sources
// it names and to the others, by where they are. "Forwarded" is the list A in
// INCLUDE mode and X in EXCLUDE mode, "blocked" the list Y.
type rule struct {
	fresh           effect // named, in no list
	forwarded       effect // named
	blocked         effect // named
	otherForwarded  effect
	otherBlocked    effect
	ask             question // Send Q(G,·); never for sources without timer
	askGroup        bool     // Send Q(G)
	toExclude       bool     // new mode
	startGroupTimer bool     // group timer = Group Membership Interval
}

// rules by filter mode and record type.
var rules = [...][7]rule{
	Include: {
		igmp.IsInclude: {fresh: toInterval, forwarded: toInterval},
		igmp.Allow:     {fresh: toInterval, forwarded: toInterval},
		igmp.ToInclude: {fresh: toInterval, forwarded: toInterval, ask: aboutOthers},
		igmp.Block:     {ask: aboutNamed},
		igmp.IsExclude: {fresh: toZero, otherForwarded: unlist,
			toExclude: true, startGroupTimer: true},
		igmp.ToExclude: {fresh: toZero, otherForwarded: unlist, ask: aboutNamed,
			toExclude: true, startGroupTimer: true},
	},
	Exclude: {
		igmp.IsInclude: {fresh: toInterval, forwarded: toInterval, blocked: toInterval},
		igmp.Allow:     {fresh: toInterval, forwarded: toInterval, blocked: toInterval},
		igmp.ToInclude: {fresh: toInterval, forwarded: toInterval, blocked: toInterval,
			ask: aboutOthers, askGroup: true},
		igmp.Block: {fresh: toGroupTimer, ask: aboutNamed},
		igmp.IsExclude: {fresh: toInterval, otherForwarded: unlist, otherBlocked: unlist,
			startGroupTimer: true},
		igmp.ToExclude: {fresh: toGroupTimer, otherForwarded: unlist, otherBlocked: unlist,
			ask: aboutNamed, startGroupTimer: true},
	},
}

// replaces reports whether a record of this kind is the whole list.
func replaces(kind igmp.RecordType) bool {
	return kind == igmp.IsExclude || kind == igmp.ToExclude
}

// wants reports whether the record asks for something.
func (rec *record) wants() bool {
	return replaces(rec.kind) || rec.kind != igmp.Block && len(rec.sources) > 0
}

// receive takes a record of a host whose packet was checked.
func (r *Router) receive(now instant, l *link, rec *record) {
	g := l.group(rec.group)
	if g != nil && g.alarm.isDue(now) {
		if r.wake(now, g); g.gone {
			g = nil
		}
	}
	if reason := r.refuse(l, g, rec); reason != accepted {
		l.ignore(reason)
		return
	}
	if g == nil && !rec.wants() {
		return // nothing is wanted, and nothing was
	}
	known := g != nil && g.learnt
	if !known && rec.wants() && l.learnt >= orDefault(l.config.MaxGroups, maxGroups) {
		l.ignore(TooManyGroups)
		return
	}
	if g == nil {
		g = r.newGroup(now, l, rec.group)
	}
	r.apply(now, g, rec)
}

// apply changes a group by a record that was accepted.
func (r *Router) apply(now instant, g *group, rec *record) {
	l := g.link
	g.track(now, rec)
	interval := now.after(l.current.groupMembership())
	g.noteVersion(rec, interval)
	sources := rec.sources
	switch ignored, noSources := olderIgnores(g.version(now), rec.kind); {
	case ignored:
		l.ignore(OlderHostPresent)
		r.announce(now, g)
		return
	case noSources:
		sources = nil
	}
	if rec.wants() && g.lastReporter != rec.host {
		g.lastReporter = rec.host
	}
	if !g.confirm(rec.kind, sources, interval) {
		r.amend(now, g, rec.kind, sources)
	}
	// What was set ends no earlier than the alarm, unless the intervals have
	// become shorter.
	if g.alarm.at > interval {
		r.alarms.set(g, interval)
	}
}

// confirm refreshes a group by a record that names what the group has: what
// the answers to general queries do. It has the effect of amend, which it
// leaves the record to if it returns false.
func (g *group) confirm(kind igmp.RecordType, sources []netip.Addr, interval instant) bool {
	if len(sources) != len(g.sources) || g.untold || g.alarm.slot == 0 {
		return false
	}
	switch {
	case kind == igmp.IsInclude || kind == igmp.Allow:
		for i := range g.sources {
			s := &g.sources[i]
			if s.address != sources[i] || !s.learnt || s.timer == 0 {
				return false
			}
			s.timer = interval
		}
		return true
	case kind == igmp.IsExclude && g.mode == Exclude && len(sources) == 0:
		g.timer = interval
		return true
	}
	return false
}

// amend changes a group by a record, tells what changed, and asks.
func (r *Router) amend(now instant, g *group, kind igmp.RecordType, sources []netip.Addr) {
	rule := &rules[g.mode][kind]
	refused := r.name(g, sources, rule.fresh != keep, replaces(kind))
	g.link.counters.ignored[TooManySources] += uint64(refused)
	changed, ask := g.change(now, rule)
	if rule.askGroup {
		changed = r.leaveGroup(now, g) || changed
	}
	if ask {
		r.askSources(now, g)
	}
	// A group that is new and has learnt nothing has to go again.
	if changed || g.untold || !g.learnt {
		if r.announce(now, g); g.gone {
			return
		}
	}
	// Asking lowers timers.
	if ask || rule.askGroup || g.alarm.slot == 0 {
		if at := g.deadline(); at != 0 {
			r.alarms.set(g, at)
		}
	}
}

// noteVersion starts the timer of an older host (RFC 9776 section 7.3.2), which
// only its reports do: a leave is translated to TO_IN.
func (g *group) noteVersion(rec *record, until instant) {
	if rec.kind != igmp.IsExclude {
		return
	}
	switch rec.version {
	case 1:
		g.v1Until = until
	case 2:
		g.v2Until = until
	}
}

// olderIgnores says what a group with older hosts ignores of a record (RFC 9776
// section 7.3.2): the record, or only its sources.
func olderIgnores(version uint8, kind igmp.RecordType) (record, sources bool) {
	switch {
	case version >= 3:
		return false, false
	case kind == igmp.Block, version == 1 && kind == igmp.ToInclude:
		return true, false
	}
	return false, kind == igmp.ToExclude
}

// name marks the group's records of the sources that a record names, and with
// create adds those that are missing, within the limit. It returns how many
// sources were refused.
func (r *Router) name(g *group, sources []netip.Addr, create, replaced bool) (refused int) {
	r.fresh = r.fresh[:0]
	i, ok := 0, false
	for _, a := range sources {
		i, ok = find(g.sources, a, i)
		switch {
		case ok:
			g.sources[i].named = true
		case !isSource(a):
			g.link.ignore(BadSource)
		case create:
			r.fresh = append(r.fresh, source{address: a, named: true})
		}
	}
	if len(r.fresh) == 0 {
		return 0
	}
	// A record that is the whole list displaces what it does not name.
	kept := 0
	for i := range g.sources {
		if s := &g.sources[i]; s.named || s.learnt && !replaced {
			kept++
		}
	}
	room := max(orDefault(g.link.config.MaxSources, maxSources)-kept, 0)
	if len(r.fresh) > room {
		refused = len(r.fresh) - room
		r.fresh = r.fresh[:room]
	}
	g.insert(r.fresh)
	return refused
}

// change carries out a rule on all sources and the group. It reports whether
// that changed what is forwarded, and whether there are sources to ask for.
func (g *group) change(now instant, rule *rule) (changed, ask bool) {
	t := &g.link.current
	interval := now.after(t.groupMembership())
	groupTimer := g.timer
	if rule.toExclude {
		g.mode, changed = Exclude, true
	}
	if rule.startGroupTimer {
		g.timer = interval
	}
	for i := range g.sources {
		s := &g.sources[i]
		known, running := s.learnt, s.timer != 0
		s.apply(rule.effect(s), interval, groupTimer)
		if s.learnt && s.timer != 0 && rule.asks(s) {
			ask = g.leaveSource(now, s) || ask
		}
		s.named = false
		changed = changed || s.learnt != known || (s.timer != 0) != running
	}
	return changed, ask
}

// effect returns what the rule does to a source.
func (rule *rule) effect(s *source) effect {
	switch {
	case s.named && !s.learnt:
		return rule.fresh
	case s.named && s.timer != 0:
		return rule.forwarded
	case s.named:
		return rule.blocked
	case !s.learnt:
		return keep
	case s.timer != 0:
		return rule.otherForwarded
	}
	return rule.otherBlocked
}

// asks reports whether the rule asks for a source.
func (rule *rule) asks(s *source) bool {
	return rule.ask == aboutNamed && s.named || rule.ask == aboutOthers && !s.named
}

func (s *source) apply(e effect, interval, groupTimer instant) {
	switch e {
	case toInterval:
		s.timer, s.learnt = interval, true
	case toGroupTimer:
		s.timer, s.learnt = groupTimer, true
	case toZero:
		s.timer, s.learnt = 0, true
	case unlist:
		s.unlearn()
	}
}

// leaveSource is what a record that gives up a source does. With fast leave
// and nobody left who wants it, the source goes at once. Otherwise it prepares
// Send Q(G,X) of RFC 9776 section 6.6.3.2, which concerns sources whose timers
// run longer than the Last Member Query Time, and reports whether it did.
func (g *group) leaveSource(now instant, s *source) (ask bool) {
	l := g.link
	if l.config.FastLeave && !g.wanted(now, s.address) {
		s.timer, s.queries = 0, 0
		s.learnt = g.mode == Exclude
		return false
	}
	limit := now.after(l.current.lastMemberTime())
	// Without a question nothing may be shortened.
	if !l.asksSources() || s.timer <= limit {
		return false
	}
	s.timer = limit
	s.queries = uint8(l.current.queries())
	return true
}

// leaveGroup is what a record that ends EXCLUDE mode for a host does: it ends
// the mode at once with fast leave, or asks. It reports whether it ended.
func (r *Router) leaveGroup(now instant, g *group) (ended bool) {
	if g.link.config.FastLeave && !g.wantedByAny(now) {
		g.switchToInclude(now)
		return true
	}
	r.askGroup(now, g)
	return false
}
