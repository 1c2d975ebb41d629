package membership

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"umroute/stack/igmp"
)

// The short way to the group that followed the last time leads to what the map
// has, whatever came, went and came again.
func TestLookupOrder(t *testing.T) {
	config := defaults(IGMP)
	withFastLeave(&config)
	b := newBench(t, IGMP, config)
	b.do([]string{"add"})
	l := b.router.links[1]
	random := rand.New(rand.NewPCG(5, 6))
	short := 0
	for range 20_000 {
		// Mostly in order, as hosts report.
		first := random.IntN(8)
		for i := range 1 + random.IntN(8) {
			rec := record{host: addr("10.0.1.9"), kind: igmp.IsExclude, version: 3,
				group: netip.AddrFrom4([4]byte{239, 1, 1, byte((first + i) % 8)})}
			if random.IntN(6) == 0 {
				rec.kind = igmp.ToInclude
			}
			if l.last != nil && l.last.next == l.groups[rec.group] && l.last.next != nil {
				short++
			}
			b.router.receive(b.router.instant(b.now), l, &rec)
			if got, want := l.group(rec.group), l.groups[rec.group]; got != want {
				t.Fatalf("%s: found %p, want %p", rec.group, got, want)
			}
		}
		b.lines = b.lines[:0]
	}
	if short == 0 {
		t.Error("the short way was never taken")
	}
	checkForgotten(t, b)
	if l.last != nil {
		t.Errorf("%s is kept after it has gone", l.last.address)
	}
}
