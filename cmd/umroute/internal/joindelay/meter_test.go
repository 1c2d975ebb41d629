package joindelay

import (
	"net/netip"
	"testing"
	"time"

	"umroute/mgm"
)

// TestMeter follows three joins: one that gets its packet after 5 ms, one that
// never does, and one that is given up.
func TestMeter(t *testing.T) {
	entry := func(text string) mgm.Entry { return mgm.Entry{Group: netip.MustParseAddr(text)} }
	soon, never, left := entry("239.1.1.1"), entry("239.1.1.2"), entry("239.1.1.3")
	on := mgm.Iface{Index: 2}
	sent := map[mgm.Entry]uint64{soon: 7, never: 9}
	m := New(func(e mgm.Entry, i mgm.Iface) uint64 {
		if i != on {
			t.Errorf("asked for interface %v", i)
		}
		return sent[e]
	})
	begin := time.Unix(1000, 0)
	if _, ok := m.Deadline(); ok {
		t.Error("a deadline without joins")
	}
	m.Joined(begin, soon, on)
	m.Joined(begin, never, on)
	m.Joined(begin, left, on)
	m.Left(left, on)
	now, looks := begin, 0
	for {
		next, ok := m.Deadline()
		if !ok {
			break
		}
		if now = next; now.Sub(begin) > 5*time.Millisecond {
			sent[soon], sent[left] = 8, 1
		}
		m.Advance(now)
		looks++
	}
	if end := now.Sub(begin); end < patience || end > 2*patience {
		t.Errorf("given up after %v", end)
	}
	if looks > 20 {
		t.Errorf("%d looks", looks)
	}
	d := m.Delays()
	if d.Count != 1 || d.Sum != 8*time.Millisecond || d.Counts[3] != 1 {
		t.Errorf("delays %+v", d)
	}
}

// TestMeterBound has more joins than are measured at once.
func TestMeterBound(t *testing.T) {
	m := New(func(mgm.Entry, mgm.Iface) uint64 { return 0 })
	for n := range uint32(2 * maxPending) {
		m.Joined(time.Unix(1000, 0), mgm.Entry{}, mgm.Iface{Index: n + 1})
	}
	if len(m.pending) != maxPending {
		t.Errorf("%d joins are pending", len(m.pending))
	}
}
