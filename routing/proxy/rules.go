package proxy

import (
	"net/netip"
	"slices"
)

// Rule gives a part of all multicast to an upstream interface.
type Rule struct {
	Upstream uint32
	Groups   []netip.Prefix // none: all
	Sources  []netip.Prefix // none: all
}

// Rules says which of several upstream interfaces a source and group belong
// to: the first rule that matches both, and without one the first interface.
type Rules struct {
	Upstreams []uint32 // in the order of preference
	Rules     []Rule
	// SendToAll has what downstream sources send go to all upstream interfaces.
	SendToAll bool
}

// Upstream returns the interface from which the data of a flow is taken, and
// to which that of a downstream source is sent; 0 if there is none.
func (r *Rules) Upstream(source, group netip.Addr) uint32 {
	for i := range r.Rules {
		rule := &r.Rules[i]
		if matches(rule.Groups, group) && matches(rule.Sources, source) {
			return rule.Upstream
		}
	}
	if len(r.Upstreams) == 0 {
		return 0
	}
	return r.Upstreams[0]
}

// serves reports whether some source of a group belongs to an interface.
func (r *Rules) serves(upstream uint32, group netip.Addr) bool {
	for i := range r.Rules {
		rule := &r.Rules[i]
		switch {
		case !matches(rule.Groups, group) || !rule.hasSources(group.Is4()):
		case rule.Upstream == upstream:
			return true
		case len(rule.Sources) == 0:
			return false // it takes all that is left of the group
		}
	}
	return len(r.Upstreams) > 0 && r.Upstreams[0] == upstream
}

// hasSources reports whether the rule can match a source of a family.
func (r *Rule) hasSources(v4 bool) bool {
	return len(r.Sources) == 0 || slices.ContainsFunc(r.Sources, func(p netip.Prefix) bool {
		return p.Addr().Is4() == v4
	})
}

// split returns the part of a group's filter that an upstream interface is
// asked for. In EXCLUDE mode the sources are not known, so each interface that
// may have some is asked for all of them.
func (r *Rules) split(upstream uint32, group netip.Addr, f Filter) Filter {
	if len(r.Rules) == 0 {
		if len(r.Upstreams) > 0 && r.Upstreams[0] == upstream {
			return f
		}
		return Filter{}
	}
	if f.Mode == Exclude {
		if r.serves(upstream, group) {
			return f
		}
		return Filter{}
	}
	var part Filter
	for _, s := range f.Sources {
		if r.Upstream(s, group) == upstream {
			part.Sources = append(part.Sources, s)
		}
	}
	return part
}

// matches reports whether an address is in one of the prefixes, or there are
// none.
func matches(prefixes []netip.Prefix, a netip.Addr) bool {
	return len(prefixes) == 0 ||
		slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}
