package routing

import (
	"fmt"
	"net/netip"
	"slices"

	"umroute/mgm"
)

// SetPaths makes routes those by which static multicast routes expect their
// sources, for one family, in place of all its earlier ones. They stand among
// the unicast routes: the longest prefix wins, and for one prefix they come
// first, but last where the prefix is that of all addresses. A wrong route is an
// error that changes nothing.
func (r *RIB) SetPaths(v6 bool, routes []RPFRoute) error {
	paths := make(map[netip.Prefix][]uint32, len(routes))
	for _, route := range routes {
		p, err := routable(route.Prefix)
		if err != nil {
			return fmt.Errorf("set path: %w", err)
		}
		if p.Addr().Is6() != v6 || route.Index == 0 {
			return fmt.Errorf("set path %v: no interface, or of the other family", p)
		}
		paths[p] = append(paths[p], route.Index)
	}
	r.change(func(d *delta) {
		for p := range r.paths {
			if p.Addr().Is6() == v6 {
				d.unicast[p] = struct{}{}
				delete(r.paths, p)
			}
		}
		for p, indices := range paths {
			slices.Sort(indices)
			d.unicast[p] = struct{}{}
			r.paths[p] = indices
		}
	})
	return nil
}

// bestPath chooses among the paths for p whose interface is there.
func (r *RIB) bestPath(p netip.Prefix) (mgm.Route, bool) {
	return r.present(p, r.paths[p])
}

// present is the route for p by the first of indices that is there.
func (r *RIB) present(p netip.Prefix, indices []uint32) (mgm.Route, bool) {
	for _, index := range indices {
		if _, there := r.links[index]; there {
			return mgm.Route{
				Prefix:   p,
				Protocol: ProtocolConfigured,
				Iface:    mgm.Iface{Index: index},
			}, true
		}
	}
	return mgm.Route{}, false
}

// markPaths marks the paths by an interface that came or went.
func (r *RIB) markPaths(d *delta, index uint32) {
	for p, indices := range r.paths {
		if slices.Contains(indices, index) {
			d.unicast[p] = struct{}{}
		}
	}
}
