package proxy

import (
	"math/rand/v2"
	"net/netip"
	"strconv"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

func prefixes(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

func TestRules(t *testing.T) {
	r := &Rules{Upstreams: []uint32{1, 2, 3}, Rules: []Rule{
		{Upstream: 2, Groups: prefixes("239.2.0.0/16"), Sources: prefixes("10.2.0.0/16")},
		{Upstream: 3, Groups: prefixes("239.0.0.0/8", "ff05::/16")},
		{Upstream: 2, Sources: prefixes("10.9.0.0/16")},
	}}
	for _, tt := range []struct {
		source, group string
		want          uint32
	}{
		{"10.2.0.1", "239.2.0.1", 2},
		{"10.3.0.1", "239.2.0.1", 3},
		{"10.2.0.1", "232.2.0.1", 1},
		{"10.9.0.1", "232.2.0.1", 2},
		{"10.9.0.1", "239.9.0.1", 3},
		{"fd00::1", "ff05::1", 3},
		{"fd00::1", "ff0e::1", 1},
	} {
		got := r.Upstream(netip.MustParseAddr(tt.source), netip.MustParseAddr(tt.group))
		if got != tt.want {
			t.Errorf("(%s, %s): interface %d, want %d", tt.source, tt.group, got, tt.want)
		}
	}
	for _, tt := range []struct {
		group string
		want  []bool // by interface
	}{
		{"239.2.0.1", []bool{false, true, true}},
		{"239.3.0.1", []bool{false, false, true}},
		{"232.0.0.1", []bool{true, true, false}},
		{"ff0e::1", []bool{true, false, false}}, // no rule has a source for it
	} {
		for i, want := range tt.want {
			if got := r.serves(uint32(i+1), netip.MustParseAddr(tt.group)); got != want {
				t.Errorf("interface %d serves %s: %v, want %v", i+1, tt.group, got, want)
			}
		}
	}
	if got := (&Rules{}).Upstream(sourceA, groupA); got != 0 {
		t.Errorf("without interfaces: %d, want none", got)
	}
}

// TestSplit holds that the parts of a filter want what the whole does, each
// source from the interface where it is accepted.
func TestSplit(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	source := func() netip.Addr {
		return netip.AddrFrom4([4]byte{10, byte(random.IntN(3)), 0, byte(random.IntN(3))})
	}
	groups := []netip.Addr{groupA, groupB, netip.MustParseAddr("232.1.1.1")}
	for range 2000 {
		r := &Rules{Upstreams: []uint32{1, 2, 3}}
		for range random.IntN(4) {
			rule := Rule{Upstream: uint32(random.IntN(3) + 1)}
			if random.IntN(2) == 0 {
				rule.Groups = prefixes("239.0.0.0/8")
			}
			if random.IntN(2) == 0 {
				p := netip.PrefixFrom(source(), 16).Masked()
				rule.Sources = []netip.Prefix{p}
			}
			r.Rules = append(r.Rules, rule)
		}
		f := Filter{Mode: Mode(random.IntN(2))}
		for range random.IntN(4) {
			f.Sources = merged(f.Sources, []netip.Addr{source()})
		}
		group := groups[random.IntN(len(groups))]
		for range 10 {
			s := source()
			at := r.Upstream(s, group)
			if got := r.split(at, group, f).Accepts(s); got != f.Accepts(s) {
				t.Fatalf("%+v: of %v of %v, %v is asked for at %d: %v", r.Rules, f, group, s, at, got)
			}
		}
	}
}
