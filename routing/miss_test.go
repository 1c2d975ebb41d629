package routing

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"umroute/mgm"
	"umroute/tun"
)

// numbered is packet n of a source of its own.
func numbered(n int) []byte {
	return ipv4{source: fmt.Sprintf("10.1.%d.%d", n/256, n%256), group: "239.1.1.1",
		ttl: 9, payload: []byte("n")}.bytes()
}

func TestMiss(t *testing.T) {
	var u upcalls
	r := threeLinks(t, Config{})
	r.Bind(false, &u)
	r.deliver(1, data(9, "a"), data(9, "b"), data(1, "!"), data(9, "c"))
	if len(u.headers) != 1 || string(u.headers[0]) != string(data(9, "a")) {
		t.Errorf("headers: % x", u.headers)
	}
	u.want(t, "miss 10.0.1.2 239.1.1.1 1")
	r.deliver(1, data(9, "d"), data(9, "e"))
	u.want(t)
	r.deliver(3, data(9, "x"))
	r.wantSent(2, "")
	r.wantDrops(1, DropTTL, 1, DropQueueOverflow, 1)

	t.Log("# what waited leaves first, and through the same checks")
	r.set(mfe(flow4, 1, 2, 3))
	r.wantSent(2, "abcd")
	r.deliver(1, data(9, "f"))
	r.wantSent(2, "f")
	r.wantSent(3, "abcdf")
	oif := func(index uint32) mgm.OIFStats {
		return mgm.OIFStats{Iface: mgm.Iface{Index: index}, OutPackets: 5}
	}
	r.wantStats(flow4, mgm.ForwarderStats{InPackets: 5, InOctets: 105, Uninit: 6,
		QueueOverflow: 2, TotalOutPackets: 10, OIFs: []mgm.OIFStats{oif(2), oif(3)}})
	s := r.Forwarder.Stats()
	if s.Flows != 1 || s.Waiting != 0 || s.Misses != 6 {
		t.Errorf("statistics: %+v", s)
	}
}

func TestMissOnWrongIf(t *testing.T) {
	var u upcalls
	r := threeLinks(t, Config{})
	r.Bind(false, &u)
	r.deliver(3, data(9, "a"))
	r.deliver(1, data(9, "b"))
	u.want(t, "miss 10.0.1.2 239.1.1.1 3")
	r.set(mfe(flow4, 1, 2, 3))
	u.want(t)
	r.wantSent(2, "b")
	r.wantDrops(3, DropWrongIf, 1)
	r.wantStats(flow4, mgm.ForwarderStats{InPackets: 1, InOctets: 21, Uninit: 2, DifferentIf: 1,
		TotalOutPackets: 2, OIFs: []mgm.OIFStats{
			{Iface: mgm.Iface{Index: 2}, OutPackets: 1},
			{Iface: mgm.Iface{Index: 3}, OutPackets: 1},
		}})
}

func TestNegative(t *testing.T) {
	var u upcalls
	r := threeLinks(t, Config{})
	r.Bind(false, &u)
	r.deliver(1, data(9, "a"))
	u.want(t, "miss 10.0.1.2 239.1.1.1 1")
	r.set(mfe(flow4, 1))
	r.deliver(1, data(9, "b"))
	u.want(t)
	r.wantDrops(1, DropNegative, 2)
	r.wantStats(flow4, mgm.ForwarderStats{InPackets: 2, InOctets: 42, Uninit: 1, Negative: 2,
		OIFs: []mgm.OIFStats{}})

	t.Log("# the first receiver turns it positive")
	r.set(mfe(flow4, 1, 2))
	r.deliver(1, data(9, "c"))
	r.wantSent(2, "c")
	if s := r.Forwarder.Stats(); s.Negative != 2 || s.Flows != 1 {
		t.Errorf("statistics: %+v", s)
	}
}

// TestNoRoute installs what the manager makes of a source without a route: an
// entry without incoming interface, that ends a flow where it comes in and
// counts against the limit there.
func TestNoRoute(t *testing.T) {
	var u upcalls
	r := threeLinks(t, Config{InterfaceFlowLimit: 1})
	r.Bind(false, &u)
	r.deliver(1, data(9, "a"))
	u.want(t, "miss 10.0.1.2 239.1.1.1 1")
	r.set(mgm.MFE{Flow: flow4})
	r.deliver(1, data(9, "b"))
	u.want(t)
	r.wantDrops(1, DropNegative, 2)

	t.Log("# the limit counts it, and forgets it with the entry")
	other := ipv4{source: "10.0.1.2", group: "239.1.1.2", ttl: 9, payload: []byte("c")}.bytes()
	r.deliver(1, other)
	u.want(t)
	r.wantDrops(1, DropNegative, 2, DropFlowLimit, 1)
	r.Plane(false).Delete(flow4)
	r.deliver(1, other)
	u.want(t, "miss 10.0.1.2 239.1.1.2 1")

	t.Log("# a route and a receiver turn it positive")
	second := mgm.Flow{Source: flow4.Source, Group: netip.MustParseAddr("239.1.1.2")}
	r.set(mgm.MFE{Flow: second})
	r.Plane(false).Delete(second)
	r.set(mgm.MFE{Flow: flow4})
	r.set(mfe(flow4, 1, 2))
	r.deliver(1, data(9, "d"))
	r.wantSent(2, "d")

	t.Log("# with outputs, it must say where packets come in")
	wrong := mfe(flow4, 1, 2)
	wrong.In = mgm.Iface{}
	if err := r.Plane(false).Set(wrong); !errors.Is(err, mgm.ErrInvalidParameter) {
		t.Errorf("set without incoming interface: got error %v", err)
	}
}

// TestPendingTimeout lets a flow wait for nobody.
func TestPendingTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u upcalls
		r := threeLinks(t, Config{PendingTimeout: 3 * time.Second})
		r.Bind(false, &u)
		r.deliver(1, data(9, "a"))
		u.want(t, "miss 10.0.1.2 239.1.1.1 1")

		t.Log("# if packets go on, the flow is reported again")
		time.Sleep(missInterval - time.Millisecond)
		r.deliver(1, data(9, "b"))
		u.want(t)
		time.Sleep(time.Millisecond)
		r.deliver(1, data(9, "c"))
		u.want(t, "miss 10.0.1.2 239.1.1.1 1")

		r.Advance(time.Now().Add(2 * time.Second))
		if s := r.Forwarder.Stats(); s.Waiting != 1 {
			t.Errorf("%d flows wait before the timeout", s.Waiting)
		}
		r.Advance(time.Now().Add(2500 * time.Millisecond))
		r.wantDrops(1, DropPendingTimeout, 3)
		r.set(mfe(flow4, 1, 2))
		r.wantSent(2, "")

		t.Log("# without Advance, the next packet of the flow finds out")
		r.Plane(false).Delete(flow4)
		r.deliver(1, data(9, "d"))
		time.Sleep(3 * time.Second)
		r.deliver(1, data(9, "e"))
		r.set(mfe(flow4, 1, 2))
		r.wantSent(2, "e")
		r.wantDrops(1, DropPendingTimeout, 4)
	})
}

func TestWrongIfInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u upcalls
		r := threeLinks(t, Config{})
		r.Bind(false, &u)
		r.set(mfe(flow4, 1, 2))
		const report = "wrongif 10.0.1.2 239.1.1.1 3"
		r.deliver(3, data(9, "a"), data(9, "b"))
		u.want(t, report)
		time.Sleep(wrongIfInterval - 1)
		r.deliver(3, data(9, "c"))
		u.want(t)
		time.Sleep(1)
		r.deliver(3, data(9, "d"))
		u.want(t, report)
	})
}

// TestMissRate floods the router with flows, and sees one interface's share.
func TestMissRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u upcalls
		r := threeLinks(t, Config{MissRate: 16})
		r.Bind(false, &u)
		for n := range 10 {
			r.deliver(1, numbered(n))
		}
		u.want(t, "miss 10.1.0.0 239.1.1.1 1", "miss 10.1.0.1 239.1.1.1 1")
		r.wantDrops(1, DropMissRate, 8)
		r.deliver(2, numbered(50))
		u.want(t, "miss 10.1.0.50 239.1.1.1 2")
		time.Sleep(time.Second / 16)
		r.deliver(1, numbered(8), numbered(9))
		u.want(t, "miss 10.1.0.8 239.1.1.1 1")
	})
}

func TestFlowLimits(t *testing.T) {
	r := threeLinks(t, Config{FlowLimit: 5, InterfaceFlowLimit: 3})
	deliver := func(index uint32, from, n int) {
		for i := range n {
			r.deliver(index, numbered(from+i))
		}
	}
	deliver(1, 0, 4)
	r.wantDrops(1, DropFlowLimit, 1)
	deliver(2, 10, 3)
	r.wantDrops(2, DropFlowLimit, 1)
	if s := r.Forwarder.Stats(); s.Waiting != 5 {
		t.Errorf("%d flows wait, want 5", s.Waiting)
	}

	t.Log("# an entry keeps its flow's place, also where it comes in elsewhere")
	first := flowOf("10.1.0.0", "239.1.1.1")
	r.set(mfe(first, 2, 3))
	deliver(1, 3, 1)
	r.wantDrops(1, DropFlowLimit, 2, DropWrongIf, 1)

	t.Log("# what is set unasked counts, but is never refused")
	r.set(mfe(flow4, 3, 1))
	r.Plane(false).Delete(first)
	deliver(1, 3, 1)
	r.wantDrops(1, DropFlowLimit, 3, DropWrongIf, 1)
	r.Plane(false).Delete(flow4)
	deliver(1, 3, 1)
	r.wantDrops(1, DropFlowLimit, 3, DropWrongIf, 1)

	t.Log("# flows that nobody answered make room")
	r.Advance(time.Now().Add(time.Hour))
	if s := r.Forwarder.Stats(); s.Waiting != 0 || s.Flows != 0 {
		t.Errorf("statistics after an hour: %+v", s)
	}
	if n := r.flows.Load(); n != 0 {
		t.Errorf("%d flows counted", n)
	}
	deliver(1, 0, 3)
	r.wantDrops(1, DropFlowLimit, 3, DropWrongIf, 1, DropPendingTimeout, 3)
}

func TestPendingBudget(t *testing.T) {
	for name, config := range map[string]Config{
		"packets": {PendingPackets: 3},
		"bytes":   {PendingBytes: 3*21 + 20},
	} {
		t.Run(name, func(t *testing.T) {
			var u upcalls
			r := threeLinks(t, config)
			r.Bind(false, &u)
			r.deliver(1, numbered(0), numbered(1), data(9, "a"), data(9, "b"))
			r.wantDrops(1, DropPendingBudget, 1)

			t.Log("# a flow without a waiting packet is reported all the same")
			u.want(t, "miss 10.1.0.0 239.1.1.1 1", "miss 10.1.0.1 239.1.1.1 1",
				"miss 10.0.1.2 239.1.1.1 1")
			r.deliver(1, numbered(2))
			u.want(t, "miss 10.1.0.2 239.1.1.1 1")

			t.Log("# places come back")
			r.set(mfe(flow4, 1, 2))
			r.wantSent(2, "a")
			r.deliver(1, numbered(2))
			r.Advance(time.Now().Add(time.Hour))
			packets, bytes := r.budget.packets.Load(), r.budget.bytes.Load()
			c := r.Forwarder.config
			if packets != int64(c.PendingPackets) || bytes != int64(c.PendingBytes) {
				t.Errorf("budget %d packets, %d bytes in the end", packets, bytes)
			}
		})
	}
}

// TestMissUnbound holds that packets wait also for a manager to come.
func TestMissUnbound(t *testing.T) {
	r := threeLinks(t, Config{})
	r.deliver(1, data(9, "a"))
	r.set(mfe(flow4, 1, 2))
	r.deliver(3, data(9, "w"))
	r.wantSent(2, "a")
}

// TestWaitingWithoutInput sets an entry after its interface has gone.
func TestWaitingWithoutInput(t *testing.T) {
	r := threeLinks(t, Config{})
	r.deliver(1, data(9, "a"))
	r.RemoveInterface(1)
	r.set(mfe(flow4, 1, 2))
	r.wantSent(2, "")
	if dropped := r.Forwarder.Stats().Dropped; dropped["no_interface"] != 1 {
		t.Errorf("dropped: %v", dropped)
	}
	r.add(InterfaceConfig{Index: 1}, tun.KindTUN)
	r.deliver(1, data(9, "b"))
	r.wantSent(2, "b")
}

// TestOrderWithinBatch lets an entry come and go while a batch is worked on:
// between packet 0 and packet 2 of the batch, which are of one flow.
func TestOrderWithinBatch(t *testing.T) {
	for _, found := range []int{0, 2} {
		t.Run(fmt.Sprintf("found by %d", found), func(t *testing.T) {
			r := threeLinks(t, Config{})
			r.deliver(1)
			w := r.ifaces[1].port.worker
			for i, b := range [][]byte{data(9, "a"), numbered(1), data(9, "c")} {
				w.sizes[i] = copy(w.views[i], b)
			}
			w.in = r.ifaces[1].attached()
			w.sort(3)
			r.set(mfe(flow4, 1, 2))
			w.packets[found].entry = r.planes[0].table.lookup(&w.packets[found].key)
			r.Plane(false).Delete(flow4)
			for i := range w.packets {
				w.handle(i)
			}
			// The entry may be back before the batch is written, or after.
			if found == 2 {
				w.flush()
			}
			r.set(mfe(flow4, 1, 2))
			w.flush()
			r.wantSent(2, "ac")
		})
	}
}
