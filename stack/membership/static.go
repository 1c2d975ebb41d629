package membership

import (
	"fmt"
	"net/netip"
	"time"

	"umroute/mgm"
)

// checkStatic says why an entry cannot be a static membership.
func (f Family) checkStatic(e mgm.Entry) error {
	if reason := f.refuseGroup(e.Group); reason != accepted {
		return fmt.Errorf("%w: static group %s: %s", ErrInvalid, e.Group, reason)
	}
	if !e.Source.IsValid() {
		if f.isSSM(e.Group) {
			return fmt.Errorf("%w: static group %s needs a source (RFC 4607)",
				ErrInvalid, e.Group)
		}
		return nil
	}
	if !isSource(e.Source) || e.Source.Is4() != (f == IGMP) {
		return fmt.Errorf("%w: static group %s: source %s", ErrInvalid, e.Group, e.Source)
	}
	return nil
}

// Join adds a membership that needs no host; the zero source means any. Adding
// it twice is the same as once. Errors: ErrInterfaceNotFound, ErrInvalid.
func (r *Router) Join(now time.Time, index uint32, source, group netip.Addr) error {
	l := r.links[index]
	if l == nil {
		return fmt.Errorf("%s: join %s: %w", r.config.Family, group, ErrInterfaceNotFound)
	}
	e := mgm.Entry{Source: source, Group: group}
	if err := r.config.Family.checkStatic(e); err != nil {
		return fmt.Errorf("%s: join on %s: %w", r.config.Family, l.config.Name, err)
	}
	r.setStatic(r.instant(now), l, e, byCommand)
	return nil
}

// Leave removes a membership that Join added; those of the configuration and of
// hosts stay. Errors: ErrInterfaceNotFound, ErrMembershipUnknown.
func (r *Router) Leave(now time.Time, index uint32, source, group netip.Addr) error {
	l := r.links[index]
	if l == nil {
		return fmt.Errorf("%s: leave %s: %w", r.config.Family, group, ErrInterfaceNotFound)
	}
	g := l.groups[group]
	s := g.staticOf(source)
	if s == nil || *s&byCommand == 0 {
		return fmt.Errorf("%s: leave %s on %s: %w",
			r.config.Family, group, l.config.Name, ErrMembershipUnknown)
	}
	*s &^= byCommand
	r.announce(r.instant(now), g)
	return nil
}

// staticOf returns the mark of a membership in the group, nil if there is none.
func (g *group) staticOf(source netip.Addr) *static {
	if g == nil {
		return nil
	}
	if !source.IsValid() {
		return &g.static
	}
	if i, ok := find(g.sources, source, 0); ok {
		return &g.sources[i].static
	}
	return nil
}

func (r *Router) setStatic(now instant, l *link, e mgm.Entry, by static) {
	g := l.groups[e.Group]
	if g == nil {
		g = r.newGroup(now, l, e.Group)
	}
	if g.staticOf(e.Source) == nil {
		g.insert([]source{{address: e.Source}})
	}
	*g.staticOf(e.Source) |= by
	r.announce(now, g)
}

// applyStatic makes the memberships of the configuration those of entries.
func (r *Router) applyStatic(now instant, l *link, entries []mgm.Entry) {
	groups := l.sortedGroups()
	for _, g := range groups {
		g.static &^= byConfig
		for i := range g.sources {
			g.sources[i].static &^= byConfig
		}
	}
	for _, e := range entries {
		r.setStatic(now, l, e, byConfig)
	}
	for _, g := range groups {
		r.announce(now, g)
	}
}
