package engine

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"

	"umroute/bench/plan"
	"umroute/mgm"
)

// The sizes are those of the structures in linux/mroute.h and linux/mroute6.h:
// the kernel refuses others.
func TestRequestSizes(t *testing.T) {
	f4 := mgm.Flow{Source: netip.MustParseAddr("10.0.0.2"), Group: Group(0, false)}
	f6 := mgm.Flow{Source: netip.MustParseAddr("fd00::2"), Group: Group(0, true)}
	for name, tt := range map[string]struct{ got, want int }{
		"vifctl":  {len(families[0].interfaceRequest(1, 2)), 16},
		"mfcctl":  {len(families[0].entryRequest(f4, plan.KernelOifs)), 60},
		"mif6ctl": {len(families[1].interfaceRequest(1, 2)), 12},
		"mf6cctl": {len(families[1].entryRequest(f6, plan.KernelOifs)), 92},
	} {
		if tt.got != tt.want {
			t.Errorf("struct %s has %d bytes, want %d", name, tt.got, tt.want)
		}
	}
}

func TestGroups(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		seen := make(map[netip.Addr]bool)
		for i := range plan.MaxFlows {
			seen[Group(i, v6)] = true
		}
		source := netip.MustParseAddr("10.0.0.2")
		if v6 {
			source = netip.MustParseAddr("fd00::2")
		}
		for _, f := range unusedFlows(source) {
			seen[f.Group] = true
		}
		for g := range seen {
			if !g.IsMulticast() || g.IsLinkLocalMulticast() || g.Is6() != v6 {
				t.Errorf("%s is no group to forward", g)
			}
		}
		if want := plan.MaxFlows + UnusedFlows; len(seen) != want {
			t.Errorf("IPv6 %v: %d different groups, want %d", v6, len(seen), want)
		}
	}
	got := Group(0, false).String() + " " + Group(0, true).String()
	if got != "239.7.0.1 ff15::7:1" {
		t.Errorf("first groups %s", got)
	}
}

// TestDecrement compares the checksum with one that is computed anew.
func TestDecrement(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		f := mgm.Flow{Source: netip.AddrFrom4([4]byte{10, byte(rng.Uint32()), 3, 4}),
			Group: Group(rng.IntN(1000), false)}
		b := packetOf(f, rng.IntN(1000))
		if sum(b[:20]) != 0xffff {
			t.Fatal("the packet's own checksum is wrong")
		}
		for ttl := b[8]; ttl > 1; ttl-- {
			decrement(b)
			if b[8] != ttl-1 || sum(b[:20]) != 0xffff {
				t.Fatalf("TTL %d after %d, sum %#x", b[8], ttl, sum(b[:20]))
			}
		}
	}
	b := packetOf(mgm.Flow{Source: netip.MustParseAddr("fd00::2"), Group: Group(0, true)}, 64)
	before := b[7]
	if decrement(b); b[7] != before-1 {
		t.Errorf("hop limit %d after %d", b[7], before)
	}
}

// sum adds up a header in ones' complement: 0xffff if its checksum is right.
func sum(b []byte) uint16 {
	var s uint32
	for i := 0; i < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

func TestFlowOf(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		source := netip.MustParseAddr("10.0.0.2")
		if v6 {
			source = netip.MustParseAddr("fd00::2")
		}
		want := mgm.Flow{Source: source, Group: Group(5, v6)}
		b := packetOf(want, 64)
		if got, ok := flowOf(b); !ok || got != want {
			t.Errorf("got %v, %v; want %v", got, ok, want)
		}
		for n := range b[:len(b)-72] {
			if _, ok := flowOf(b[:n]); ok {
				t.Errorf("read a flow from %d bytes", n)
			}
		}
	}
}

// TestLoop runs the memory engine until it has forwarded some packets.
func TestLoop(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		l, err := NewLoop(plan.Row{Oifs: 3, Size: 64, Flows: 8, IPv6: v6})
		if err != nil {
			t.Fatal(err)
		}
		l.Start()
		for l.Counters().Sent < 10_000 {
			runtime.Gosched()
		}
		r, err := l.Stop()
		if err != nil || r.Lost != 0 || r.Delivered != 3*r.Sent || r.Sent < 10_000 {
			t.Errorf("IPv6 %v: %+v, %v", v6, r, err)
		}
	}
}
