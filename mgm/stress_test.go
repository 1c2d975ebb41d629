package mgm

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// stress runs clients, a data plane and readers against one manager, from goroutines of
// their own. calls are the callbacks of the clients; lock is held around A's calls.
func stress(t *testing.T, l *lab, rounds int, lock sync.Locker) {
	var wg sync.WaitGroup
	random := func(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 9)) }
	for n, c := range []*labClient{l.A, l.B, l.I} {
		held := lock
		if c != l.A {
			held = new(sync.Mutex)
		}
		wg.Go(func() {
			r := random(uint64(n))
			for range rounds {
				held.Lock()
				churn(l, c, r)
				held.Unlock()
			}
		})
	}
	wg.Go(func() {
		r := random(100)
		for range rounds {
			l.packet(randomFlow(l, r), ifc(uint32(1+r.IntN(5))))
			if r.IntN(10) == 0 {
				l.route([]string{"S", "S2", "T"}[r.IntN(3)], ifc(uint32(r.IntN(7))))
			}
		}
	})
	wg.Go(func() {
		for range rounds / 10 {
			for e := range l.m.AllMFEStats() {
				_, _ = l.m.MFE(e.MFE.Flow)
			}
			for range l.B.Memberships(AllSources) {
			}
			for range l.m.Memberships() {
			}
			_ = l.m.Counters()
		}
	})
	wg.Wait()
	l.ok(l.m.Sync(t.Context()))
	for e := range l.m.MFEs() {
		if got := l.forwarder.text(e.Flow); got != mfeText(e) {
			t.Errorf("forwarder has %s, want %s", got, mfeText(e))
		}
	}
}

func randomFlow(l *lab, r *rand.Rand) string {
	return []string{"S", "S2", "T"}[r.IntN(3)] + "," + []string{"G", "H", "K"}[r.IntN(3)]
}

// churn does one random thing for c.
func churn(l *lab, c *labClient, r *rand.Rand) {
	i := ifc(uint32(1 + r.IntN(6)))
	entries := []string{"*,*", "*,G", "*,H", "S,G", "T,H", "S2,K"}
	e := l.entry(entries[r.IntN(len(entries))])
	switch r.IntN(12) {
	case 0:
		_ = c.TakeInterface(i)
	case 1:
		_ = c.ReleaseInterface(i)
	case 2:
		_ = c.AddMembership(l.entry(randomFlow(l, r)), i, ForwardState)
	case 3:
		_ = c.DeleteMembership(l.entry(randomFlow(l, r)), i, ForwardState)
	case 4:
		_ = c.AddMembership(l.entry(randomFlow(l, r)), i, ExcludeState)
	case 5:
		_ = c.SetUpstream(l.flow(randomFlow(l, r)), l.addr("T"))
	case 6, 7, 8:
		_ = c.DeleteMembership(e, i, JoinState)
	default:
		_ = c.AddMembership(e, i, JoinState)
	}
}

// The cases about load. T92 is a variant of all the others.
func TestLoad(t *testing.T) {
	t.Run("T93", testMutexInCallbacks)
	t.Run("T94", testDeregisterDuringLoad)
}

// T93: a client holds a mutex while it calls, and takes it in each of its callbacks.
func testMutexInCallbacks(t *testing.T) {
	l := newLab(t, Config{})
	var mu sync.Mutex
	l.onCallback(func(line string) {
		if line[0] == 'A' {
			mu.Lock()
			defer mu.Unlock()
			_, _ = l.m.Owner(if1)
		}
	})
	stress(t, l, 3000, &mu)
}

// Stress with callbacks that veto, redirect and answer timeouts, and call back.
func TestStress(t *testing.T) {
	l := newLab(t, Config{IPv6: true})
	var n atomic.Uint32
	for _, c := range []*labClient{l.A, l.B, l.C} {
		c.creation = func(a *CreationAlert) { a.OIFs[0].Enabled = n.Add(1)%3 > 0 }
		c.rpf = func(q *RPFQuery) { q.Iface = ifc(n.Add(1) % 7) }
		c.prune = func(p *PruneAlert) { p.Timeout -= 1 }
	}
	l.onCallback(func(line string) {
		if line[0] == 'B' {
			_ = l.B.AddMembership(l.entry("S,K"), if2, JoinState)
			_ = l.B.DeleteMembership(l.entry("S,K"), if2, JoinState)
			l.m.RouteChanged(netip.Prefix{})
		}
	})
	// Callbacks here cause callbacks without end: stop them before the last Sync.
	var mu sync.Mutex
	var left atomic.Int32
	left.Store(2000)
	again := l.hook
	l.onCallback(func(line string) {
		if left.Add(-1) > 0 {
			again(line)
		}
	})
	stress(t, l, 3000, &mu)
}

// T94: no callback of a client starts after its Deregister has returned.
func testDeregisterDuringLoad(t *testing.T) {
	l := newLab(t, Config{})
	l.ok(l.B.TakeInterface(ifc(77)))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for r := rand.New(rand.NewPCG(5, 6)); ; {
			select {
			case <-stop:
				return
			default:
				churn(l, l.B, r)
				l.packet(randomFlow(l, r), if1)
				runtime.Gosched() // Sync waits for a pause
			}
		}
	})
	var lates []*atomic.Int32
	for n := range 100 {
		var gone atomic.Bool
		var late atomic.Int32 // the one that was running may be late
		id := ClientID{Protocol: 50, Component: ComponentID(n)}
		note := func() {
			if gone.Load() {
				late.Add(1)
			}
		}
		c, err := l.m.Register(id, RoleRouting, Callbacks{
			JoinAlert:  func(JoinAlert) { note() },
			PruneAlert: func(*PruneAlert) { note() },
		})
		l.ok(err)
		for range 5 {
			l.B.add("*,X", ifc(77))
			l.B.del("*,X", ifc(77))
		}
		l.ok(c.Deregister())
		gone.Store(true)
		lates = append(lates, &late)
	}
	close(stop)
	wg.Wait()
	l.ok(l.m.Sync(t.Context()))
	for _, late := range lates {
		if late.Load() > 1 {
			t.Errorf("%d callbacks after Deregister", late.Load())
		}
	}
}

// Walks see each flow once and in order, whatever comes and goes.
func TestWalkDuringChanges(t *testing.T) {
	l := newLab(t, Config{})
	base := l.addr("S")
	for range 1000 {
		l.rib.set(base, if1)
		l.m.HandleMiss(Flow{Source: base, Group: l.addr("G")}, if1, nil)
		base = base.Next()
	}
	l.sync()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := rand.New(rand.NewPCG(7, 8))
		for range 2000 {
			b := [4]byte{10, 0, byte(r.IntN(4)), byte(r.IntN(256))}
			a := netip.AddrFrom4(b)
			l.rib.set(a, Iface{Index: uint32(r.IntN(2))})
			l.m.RouteChanged(netip.PrefixFrom(a, 32))
			l.m.HandleMiss(Flow{Source: a, Group: l.addr("G")}, if1, nil)
		}
	}()
	for walking := true; walking; {
		select {
		case <-done:
			walking = false
		default:
		}
		var last Flow
		for e := range l.m.MFEs() {
			if last.Compare(e.Flow) >= 0 {
				t.Fatalf("%v after %v", e.Flow, last)
			}
			last = e.Flow
		}
	}
	l.ok(l.m.Sync(t.Context()))
}

// A sweep of many sources moves them all.
func TestManySources(t *testing.T) {
	l := newLab(t, Config{})
	l.B.add("*,*", if2)
	a := l.addr("S")
	const n = 3*pageSize + 7
	for range n {
		l.rib.set(a, if1)
		l.m.HandleMiss(Flow{Source: a, Group: l.addr("G")}, if1, nil)
		a = a.Next()
	}
	l.sync()
	a = l.addr("S")
	for range n {
		l.rib.set(a, if3)
		a = a.Next()
	}
	for range 3 * maxSweeps { // more than are kept
		l.m.RouteChanged(netip.PrefixFrom(a, 32))
		a = a.Next()
	}
	l.m.RouteChanged(netip.PrefixFrom(l.addr("S"), 0))
	l.sync()
	moved := 0
	for e := range l.m.MFEs() {
		if mfeText(e) != "if3>if2" {
			t.Fatal(fmt.Sprint(e.Flow, " is ", mfeText(e)))
		}
		moved++
	}
	if moved != n {
		t.Errorf("%d entries, want %d", moved, n)
	}
}
