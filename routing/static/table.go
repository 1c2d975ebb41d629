package static

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"umroute/mgm"
)

// hop is a route with a present incoming interface, by indices.
type hop struct {
	key       Key
	in        uint32
	outs      []uint32 // present, ascending
	threshold uint8
}

// table finds the route of a flow. It never changes once it is made.
type table struct {
	groups *bart.Table[[]*hop] // by group prefix, each list by preference
}

// newTable makes a table of hops.
func newTable(hops []*hop) *table {
	byGroup := make(map[netip.Prefix][]*hop)
	for _, h := range hops {
		byGroup[h.key.Group] = append(byGroup[h.key.Group], h)
	}
	t := &table{groups: new(bart.Table[[]*hop])}
	for group, list := range byGroup {
		slices.SortFunc(list, func(a, b *hop) int {
			return cmp.Or(cmp.Compare(sourceBits(b.key), sourceBits(a.key)),
				cmp.Compare(a.in, b.in))
		})
		t.groups.Insert(group, list)
	}
	return t
}

// sourceBits is the length of the source prefix, -1 for any source.
func sourceBits(k Key) int { return k.Source.Bits() }

// match finds the route of a flow whose source is expected on interface
// expected; nil where there is none.
func (t *table) match(f mgm.Flow, expected uint32) *hop {
	var elsewhere *hop
	exact := netip.PrefixFrom(f.Group, f.Group.BitLen())
	for _, list := range t.groups.Supernets(exact) { // the longest first
		for _, h := range list {
			if h.key.Source.IsValid() && !h.key.Source.Contains(f.Source) {
				continue
			}
			if h.in == expected {
				return h
			}
			if elsewhere == nil {
				elsewhere = h
			}
		}
	}
	return elsewhere
}
