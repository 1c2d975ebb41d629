package mgm

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// indexFlow is flow number n of a family. Flows of one source and of one group are among
// them, as are those that differ in a single bit.
func indexFlow(n uint32, v6 bool) Flow {
	source, group := [16]byte{0: 0xfd, 14: byte(n), 15: 1}, [16]byte{0: 0xff, 1: 0x0e}
	group[n%3+2], group[15] = byte(n>>8), byte(n>>16)
	if v6 {
		return Flow{Source: netip.AddrFrom16(source), Group: netip.AddrFrom16(group)}
	}
	return Flow{
		Source: netip.AddrFrom4([4]byte{10, 0, byte(n), 1}),
		Group:  netip.AddrFrom4([4]byte{239, byte(n % 3), byte(n >> 8), byte(n >> 16)}),
	}
}

// TestIndex compares an index with a map over random histories, with the seeds that it has
// and with some that let all flows fall onto one another.
func TestIndex(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, blind := range []bool{false, true} {
			t.Run(fmt.Sprintf("v6=%v/blind=%v", v6, blind), func(t *testing.T) {
				flows, operations := uint32(40_000), 200_000
				x := newIndex(v6)
				if blind {
					flows, operations = 300, 20_000
					x.seed = [5]uint64{}
				}
				seed := rand.Uint64()
				defer func() {
					if t.Failed() {
						t.Logf("seed %d", seed)
					}
				}()
				h := indexHistory{t: t, x: &x, plain: make(map[Flow]*mfe),
					rng: rand.New(rand.NewPCG(seed, 0)), flows: flows}
				for n := 0; n < operations && !t.Failed(); n++ {
					h.step(n*4/operations%2 == 0)
				}
				h.end()
			})
		}
	}
}

// indexHistory is an index with what it ought to hold.
type indexHistory struct {
	t     *testing.T
	x     *index
	plain map[Flow]*mfe
	rng   *rand.Rand
	flows uint32
}

// step asks for a flow, and makes or ends it: more often the one if filling.
func (h *indexHistory) step(filling bool) {
	flow := indexFlow(h.rng.Uint32N(h.flows), h.x.v6)
	f := h.plain[flow]
	h.check(flow, f)
	switch often := h.rng.Uint32N(4) != 0; {
	case f == nil && often == filling:
		f = &mfe{flow: flow}
		f.brief = h.x.insert(f)
		h.plain[flow] = f
	case f != nil && often != filling:
		h.x.delete(f)
		delete(h.plain, flow)
		f = nil
	}
	h.check(flow, f)
}

// check asks for a flow, which want has.
func (h *indexHistory) check(flow Flow, want *mfe) {
	b := h.x.find(&flow)
	switch {
	case h.x.length != len(h.plain):
		h.t.Errorf("length %d, want %d", h.x.length, len(h.plain))
	case b == nil && want != nil:
		h.t.Errorf("%v is not found", flow)
	case b != nil && (b.mfe != want || want.brief != b):
		h.t.Errorf("%v: found %p, want %p", flow, b.mfe, want)
	}
}

// end checks all that is there, and takes it out.
func (h *indexHistory) end() {
	for flow, f := range h.plain {
		h.check(flow, f)
	}
	for flow, f := range h.plain {
		h.x.delete(f)
		delete(h.plain, flow)
		h.check(flow, nil)
	}
	if used := len(h.x.briefs)*briefsChunk - len(h.x.free); used != 0 {
		h.t.Errorf("%d briefs are not free", used)
	}
}

// TestIndexOtherFamily asks for flows that an index cannot hold, though their bits may look
// like those of one that it holds.
func TestIndexOtherFamily(t *testing.T) {
	flow4, flow6 := indexFlow(1, false), indexFlow(1, true)
	mapped := Flow{netip.AddrFrom16(flow4.Source.As16()), netip.AddrFrom16(flow4.Group.As16())}
	zoned := Flow{flow6.Source.WithZone("mc0"), flow6.Group}
	for _, v6 := range []bool{false, true} {
		x := newIndex(v6)
		x.insert(&mfe{flow: indexFlow(1, v6)})
		for _, f := range []Flow{flow4, flow6, mapped, zoned, {}} {
			if found := x.find(&f) != nil; found != (f == indexFlow(1, v6)) {
				t.Errorf("IPv6 %v, %v: found %v", v6, f, found)
			}
		}
	}
}
