package membership

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"umroute/mgm"
)

// withdrawal is something that could not be taken back while the owner of the
// interface was changing.
type withdrawal struct {
	entry mgm.Entry
	flags mgm.StateFlags
}

// any reports whether the group is wanted from any source.
func (g *group) any() bool { return g.mode == Exclude || g.static != 0 }

// wish returns what Members ought to have of a source.
func (g *group) wish(s *source) told {
	blocked := g.mode == Exclude && s.learnt && s.timer == 0
	switch {
	case g.static != 0:
		return 0 // wanted whatever hosts exclude
	case blocked && s.static == 0:
		return toldExcluded
	case g.mode == Exclude:
		return 0 // wanted with all others
	case s.static != 0, s.learnt:
		return toldJoined
	}
	return 0
}

// announce tells Members what changed in a group, and removes the records, and
// the group, of which nothing is left.
//
// What is wanted anew comes first and what is not wanted any more last, so no
// source that is wanted before and after is missing in between. Excluded
// sources come before the group that contains them and go after it, so that
// they do not leak either.
func (r *Router) announce(now instant, g *group) {
	g.untold = false
	r.announceNew(now, g)
	r.withdrawOld(now, g)
	g.sources = slices.DeleteFunc(g.sources, func(s source) bool {
		return !s.learnt && s.static == 0 && s.told == 0
	})
	// A list that was long gives its memory back.
	if cap(g.sources) > 8+4*len(g.sources) {
		g.sources = append([]source(nil), g.sources...)
	}
	g.count()
	if !g.learnt && g.static == 0 && len(g.sources) == 0 && !g.told {
		r.remove(g)
	}
}

// count keeps link.learnt, the number of groups with state made by hosts.
func (g *group) count() {
	learnt := g.mode == Exclude ||
		slices.ContainsFunc(g.sources, func(s source) bool { return s.learnt })
	if learnt == g.learnt {
		return
	}
	g.learnt = learnt
	if learnt {
		g.link.learnt++
		return
	}
	g.link.learnt--
}

func (r *Router) announceNew(now instant, g *group) {
	for i := range g.sources {
		if s := &g.sources[i]; g.wish(s) == toldExcluded {
			r.tell(now, g, s, toldExcluded)
		}
	}
	if g.any() && !g.told {
		g.told = r.add(now, g, netip.Addr{}, mgm.JoinState)
	}
	for i := range g.sources {
		if s := &g.sources[i]; g.wish(s) == toldJoined {
			r.tell(now, g, s, toldJoined)
		}
	}
}

func (r *Router) withdrawOld(now instant, g *group) {
	for i := range g.sources {
		if s := &g.sources[i]; g.wish(s) != toldJoined {
			r.untell(now, g, s, toldJoined)
		}
	}
	if g.told && !g.any() {
		r.withdraw(now, g, netip.Addr{}, mgm.JoinState)
		g.told = false
	}
	for i := range g.sources {
		if s := &g.sources[i]; g.wish(s) != toldExcluded {
			r.untell(now, g, s, toldExcluded)
		}
	}
}

// flags returns how mgm calls what is told.
func (t told) flags() mgm.StateFlags {
	if t == toldExcluded {
		return mgm.ExcludeState
	}
	return mgm.JoinState
}

func (r *Router) tell(now instant, g *group, s *source, t told) {
	if s.told&t == 0 && r.add(now, g, s.address, t.flags()) {
		s.told |= t
	}
}

func (r *Router) untell(now instant, g *group, s *source, t told) {
	if s.told&t != 0 {
		r.withdraw(now, g, s.address, t.flags())
		s.told &^= t
	}
}

// add tells Members of an entry and reports whether that worked. Otherwise the
// next report of the group tries again, or Resume does.
func (r *Router) add(now instant, g *group, source netip.Addr, flags mgm.StateFlags) bool {
	l := g.link
	if l.suspended {
		g.untold = true
		return false
	}
	if r.config.Members == nil {
		return true
	}
	entry := mgm.Entry{Source: source, Group: g.address}
	err := r.config.Members.AddMembership(entry, l.iface(), flags)
	r.noteRefusal(now, l, entry, err)
	g.untold = g.untold || err != nil
	return err == nil
}

// withdraw tells Members that an entry is gone. A refusal needs no second try:
// then Members has no entries of the interface, or is about to drop them.
func (r *Router) withdraw(now instant, g *group, source netip.Addr, flags mgm.StateFlags) {
	l := g.link
	entry := mgm.Entry{Source: source, Group: g.address}
	if l.suspended {
		l.withdrawn = append(l.withdrawn, withdrawal{entry, flags})
		return
	}
	if r.config.Members != nil {
		err := r.config.Members.DeleteMembership(entry, l.iface(), flags)
		r.noteRefusal(now, l, entry, err)
	}
}

// noteRefusal counts and logs what Members refused, except for the time of a
// change of owner, after which Resume tells everything again.
func (r *Router) noteRefusal(now instant, l *link, entry mgm.Entry, err error) {
	if err == nil || errors.Is(err, mgm.ErrSuspended) {
		return
	}
	l.counters.refusals++
	if r.mayWarn(now, l, warnMembers) {
		r.log.Warn("membership refused", "if", l.config.Name,
			"source", entry.Source, "group", entry.Group, "err", err)
	}
}

// Suspend stops telling Members about an interface: its owner is changing
// (mgm.Callbacks.DisableMembership). What happens meanwhile is kept.
func (r *Router) Suspend(index uint32) {
	if l := r.links[index]; l != nil {
		l.suspended = true
	}
}

// Resume ends Suspend (mgm.Callbacks.EnableMembership): Members has dropped all
// memberships of the interface meanwhile, and gets them again.
func (r *Router) Resume(now time.Time, index uint32) {
	l := r.links[index]
	if l == nil {
		return
	}
	t := r.instant(now)
	l.suspended = false
	// An entry that was told between the end of the change and the call of
	// Suspend was not dropped.
	for _, w := range l.withdrawn {
		if r.config.Members != nil {
			err := r.config.Members.DeleteMembership(w.entry, l.iface(), w.flags)
			r.noteRefusal(t, l, w.entry, err)
		}
	}
	l.withdrawn = nil
	for _, g := range l.sortedGroups() {
		g.told = false
		for i := range g.sources {
			g.sources[i].told = 0
		}
		r.announce(t, g)
	}
}
