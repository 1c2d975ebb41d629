package routing

import (
	"net/netip"
	"slices"
)

// SetDefaults says, for one family, on which interfaces the data of sources
// comes in that no other route leads to: the first of them that is there, in
// place of all earlier ones. A proxy takes such data from its upstream
// interface. A default route of any other kind comes first, apart from the
// paths of static multicast routes.
func (r *RIB) SetDefaults(v6 bool, indices []uint32) {
	p := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if v6 {
		p = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	r.change(func(d *delta) {
		d.unicast[p] = struct{}{}
		r.defaults[p] = slices.Clone(indices)
	})
}

// markDefaults marks the defaults by an interface that came or went.
func (r *RIB) markDefaults(d *delta, index uint32) {
	for p, indices := range r.defaults {
		if slices.Contains(indices, index) {
			d.unicast[p] = struct{}{}
		}
	}
}
