package routing

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"umroute/mgm"
)

// KernelRoute is a unicast route of the kernel, by an interface that it shares
// with the router.
type KernelRoute struct {
	UnicastRoute                // with an Index
	Metric       int            // the lowest is preferred
	Protocol     mgm.ProtocolID // who made it, by IANA's list of route protocols
}

// SetKernel makes routes those of the kernel, in place of all earlier ones. For
// one prefix the router's own routes come first, and among those of the kernel
// the lowest metric, then the lowest interface index, then the lowest gateway. A
// wrong route is an error that changes nothing.
func (r *RIB) SetKernel(routes []KernelRoute) error {
	kernel := make(map[netip.Prefix][]KernelRoute, len(routes))
	for _, k := range routes {
		p, err := routable(k.Prefix)
		if err != nil {
			return fmt.Errorf("set kernel route: %w", err)
		}
		if k.Index == 0 {
			return fmt.Errorf("set kernel route %v: no interface", k.Prefix)
		}
		k.Prefix = p
		kernel[p] = append(kernel[p], k)
	}
	for _, list := range kernel {
		slices.SortStableFunc(list, KernelRoute.compare)
	}
	r.change(func(d *delta) {
		for p, list := range r.kernel {
			if !slices.Equal(list, kernel[p]) {
				d.unicast[p] = struct{}{}
			}
		}
		for p, list := range kernel {
			if !slices.Equal(list, r.kernel[p]) {
				d.unicast[p] = struct{}{}
			}
		}
		r.kernel = kernel
	})
	return nil
}

func (k KernelRoute) compare(other KernelRoute) int {
	return cmp.Or(cmp.Compare(k.Metric, other.Metric), cmp.Compare(k.Index, other.Index),
		k.Via.Compare(other.Via), cmp.Compare(k.Protocol, other.Protocol))
}

// bestKernel is the first of the kernel's routes for p whose interface is there.
func (r *RIB) bestKernel(p netip.Prefix) (mgm.Route, bool) {
	for _, k := range r.kernel[p] {
		if _, there := r.links[k.Index]; there {
			return mgm.Route{Prefix: p, Protocol: k.Protocol,
				Iface: mgm.Iface{Index: k.Index}, NextHop: k.Via}, true
		}
	}
	return mgm.Route{}, false
}

// markKernel marks the kernel's routes by an interface that came or went.
func (r *RIB) markKernel(d *delta, index uint32) {
	for p, list := range r.kernel {
		if slices.ContainsFunc(list, func(k KernelRoute) bool { return k.Index == index }) {
			d.unicast[p] = struct{}{}
		}
	}
}
