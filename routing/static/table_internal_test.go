package static

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"umroute/mgm"
)

// TestMatchRandom compares the table with a plain look through all routes.
func TestMatchRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	// Few bits are in use, so that prefixes overlap.
	address := func(first byte) netip.Addr {
		return netip.AddrFrom4([4]byte{first, byte(random.IntN(2)), byte(random.IntN(4)),
			byte(random.IntN(4))})
	}
	for range 200 {
		var hops []*hop
		seen := make(map[Key]bool)
		for range random.IntN(30) {
			key := Key{Group: netip.PrefixFrom(address(239), 8+random.IntN(25)).Masked(),
				In: string(rune('a' + random.IntN(3)))}
			if random.IntN(3) > 0 {
				key.Source = netip.PrefixFrom(address(10), 8+random.IntN(25)).Masked()
			}
			if !seen[key] {
				seen[key] = true
				hops = append(hops, &hop{key: key, in: uint32(key.In[0])})
			}
		}
		table := newTable(hops)
		for range 50 {
			f := mgm.Flow{Source: address(10), Group: address(239)}
			expected := uint32('a' + random.IntN(4))
			if got, want := table.match(f, expected), plainMatch(hops, f, expected); got != want {
				t.Fatalf("match %v, expected on %c: %+v, want %+v", f, expected, got, want)
			}
		}
	}
}

// plainMatch is the rule of the package's documentation, word by word.
func plainMatch(hops []*hop, f mgm.Flow, expected uint32) (best *hop) {
	better := func(a, b *hop) bool {
		switch {
		case (a.in == expected) != (b.in == expected):
			return a.in == expected
		case a.key.Group.Bits() != b.key.Group.Bits():
			return a.key.Group.Bits() > b.key.Group.Bits()
		case a.key.Source.Bits() != b.key.Source.Bits():
			return a.key.Source.Bits() > b.key.Source.Bits()
		}
		return a.in < b.in
	}
	for _, h := range hops {
		if h.key.Covers(f.Source, f.Group) && (best == nil || better(h, best)) {
			best = h
		}
	}
	return best
}
