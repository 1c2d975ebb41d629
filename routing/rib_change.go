package routing

import (
	"cmp"
	"net/netip"
	"slices"

	"umroute/mgm"
)

// delta collects the prefixes whose best route has to be chosen again.
type delta struct {
	unicast, multicast map[netip.Prefix]struct{}
}

// addUnicast adds the prefixes of the static routes before and after.
func (d *delta) addUnicast(before, after map[netip.Prefix][]UnicastRoute) {
	for p := range before {
		d.unicast[p] = struct{}{}
	}
	for p := range after {
		d.unicast[p] = struct{}{}
	}
}

// change runs edit on the candidates, publishes the routes that are the best
// now, and notifies what that changed.
func (r *RIB) change(edit func(*delta)) {
	r.mu.Lock()
	d := &delta{make(map[netip.Prefix]struct{}), make(map[netip.Prefix]struct{})}
	edit(d)
	changed := r.publish(d)
	r.mu.Unlock()
	if r.onChange == nil {
		return
	}
	for _, p := range changed {
		r.onChange(p)
	}
}

// setLink gives interface index its prefixes, and marks every route that may
// depend on them.
func (r *RIB) setLink(d *delta, index uint32, prefixes []netip.Prefix, present bool) {
	before, was := r.links[index]
	if present {
		r.links[index] = prefixes
	} else {
		delete(r.links, index)
	}
	var moved []netip.Prefix
	for _, p := range before {
		if !slices.Contains(prefixes, p) {
			r.disconnect(p, index)
			moved = append(moved, p)
		}
	}
	for _, p := range prefixes {
		if !slices.Contains(before, p) {
			r.connect(p, index)
			moved = append(moved, p)
		}
	}
	for _, p := range moved {
		d.unicast[p] = struct{}{}
	}
	r.markStatic(d, index, moved, was != present)
	if was == present {
		return
	}
	r.markPaths(d, index)
	r.markKernel(d, index)
	r.markDefaults(d, index)
	for p, indices := range r.multicast {
		if slices.Contains(indices, index) {
			d.multicast[p] = struct{}{}
		}
	}
}

// markStatic marks the static routes whose gateway is inside a prefix that
// moved, and where the interface came or went also those that name it.
func (r *RIB) markStatic(d *delta, index uint32, moved []netip.Prefix, flipped bool) {
	if len(moved) == 0 && !flipped {
		return
	}
	for p, routes := range r.static {
		for _, u := range routes {
			holds := func(p netip.Prefix) bool { return p.Contains(u.Via) }
			if u.Index == index && flipped || slices.ContainsFunc(moved, holds) {
				d.unicast[p] = struct{}{}
			}
		}
	}
}

// connect adds a prefix of interface index to the candidates.
func (r *RIB) connect(p netip.Prefix, index uint32) {
	indices := append(r.connected[p], index)
	slices.Sort(indices)
	r.connected[p] = indices
	r.onLink.Insert(p, indices[0])
}

// disconnect takes a prefix of interface index from the candidates.
func (r *RIB) disconnect(p netip.Prefix, index uint32) {
	indices := slices.DeleteFunc(r.connected[p], func(i uint32) bool { return i == index })
	if len(indices) == 0 {
		delete(r.connected, p)
		r.onLink.Delete(p)
		return
	}
	r.connected[p] = indices
	r.onLink.Insert(p, indices[0])
}

// publish replaces the view by one where the marked prefixes have their best
// route of now. It returns the prefixes, sorted, for which that is a change.
func (r *RIB) publish(d *delta) []netip.Prefix {
	old := r.view.Load()
	next := &ribView{unicast: old.unicast, multicast: old.multicast}
	var changed []netip.Prefix
	for p := range d.multicast {
		var differs bool
		best, ok := r.bestMulticast(p)
		if next.multicast, differs = replaced(next.multicast, p, best, ok); differs {
			changed = append(changed, p)
		}
	}
	for p := range d.unicast {
		var differs bool
		best, ok := r.bestUnicast(p)
		next.unicast, differs = replaced(next.unicast, p, best, ok)
		if !differs {
			continue
		}
		// Behind an RPF route no lookup sees the difference.
		if _, hidden := next.multicast.LookupPrefix(p); !hidden {
			changed = append(changed, p)
		}
	}
	r.view.Store(next)
	slices.SortFunc(changed, netip.Prefix.Compare)
	return slices.Compact(changed)
}

// bestMulticast chooses among the RPF routes for p whose interface is there.
func (r *RIB) bestMulticast(p netip.Prefix) (mgm.Route, bool) {
	return r.present(p, r.multicast[p])
}

// bestUnicast chooses among the paths and the unicast routes for p.
func (r *RIB) bestUnicast(p netip.Prefix) (mgm.Route, bool) {
	path, there := r.bestPath(p)
	if there && p.Bits() > 0 {
		return path, true
	}
	if route, ok := r.bestReach(p); ok {
		return route, true
	}
	if route, ok := r.present(p, r.defaults[p]); ok {
		return route, true
	}
	return path, there
}

// bestReach chooses among the connected, the static and the kernel's routes for
// p.
func (r *RIB) bestReach(p netip.Prefix) (mgm.Route, bool) {
	if indices := r.connected[p]; len(indices) > 0 {
		return mgm.Route{
			Prefix:   p,
			Protocol: ProtocolConnected,
			Iface:    mgm.Iface{Index: indices[0]},
		}, true
	}
	var best mgm.Route
	found := false
	for _, u := range r.static[p] {
		index, ok := r.resolve(u)
		if !ok {
			continue
		}
		route := mgm.Route{
			Prefix:   p,
			Protocol: ProtocolStatic,
			Iface:    mgm.Iface{Index: index},
			NextHop:  u.Via,
		}
		if !found || precedes(route, best) {
			best, found = route, true
		}
	}
	if !found {
		return r.bestKernel(p)
	}
	return best, true
}

// precedes orders routes for one prefix, so that ties do not depend on the
// order in which things were configured or came up.
func precedes(a, b mgm.Route) bool {
	byIndex := cmp.Compare(a.Iface.Index, b.Iface.Index)
	return cmp.Or(byIndex, a.NextHop.Compare(b.NextHop)) < 0
}

// resolve finds the interface of a static route.
func (r *RIB) resolve(u UnicastRoute) (uint32, bool) {
	if u.Index == 0 {
		return r.onLink.Lookup(u.Via)
	}
	_, there := r.links[u.Index]
	return u.Index, there
}

// replaced gives a level with route for p, or without p where there is none,
// and whether that is another answer than before.
func replaced(level *routes, p netip.Prefix, route mgm.Route, ok bool) (*routes, bool) {
	before, had := level.Get(p)
	switch {
	case ok == had && route == before:
		return level, false
	case ok:
		return level.InsertPersist(p, route), true
	}
	return level.DeletePersist(p), true
}
