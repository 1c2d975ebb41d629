package main

import (
	"net/netip"
	"testing"

	"umroute/cmd/umroute/internal/control"
)

// TestClear forgets routes under a stream, which loses nothing, and counters.
//
//	red ──mc0── router ──mc0── blue
//	sends                      receives
func TestClear(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	p := startRouter(t, configure(stations...))
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	receiver := blue.receive(group)
	p.awaitJoined("blue", group.Addr())
	p.clear("groups")
	p.awaitJoined("blue", group.Addr())
	st := red.startStream(group)
	p.awaitOutputs(red.v4, group.Addr(), "blue")
	for range 3 {
		misses := show[control.Stats](p, "stats").Misses
		p.clear("routes")
		eventually(t, "the flow is made anew", func() bool {
			return show[control.Stats](p, "stats").Misses > misses
		})
		p.awaitOutputs(red.v4, group.Addr(), "blue")
	}
	checkWhole(t, receiver, st.end())

	red.send(netip.MustParseAddrPort("239.1.1.1:5001"), "too short a life", 1)
	p.awaitDrops("red", "ttl", 1)
	p.clear("stats")
	for _, name := range []string{"red", "blue"} {
		// A report or a router solicitation may have come meanwhile.
		i := p.iface(name)
		if i.RxPackets > 20 || i.TxPackets > 20 || i.Drops["ttl"] > 0 {
			t.Errorf("%s begins with %+v", name, i)
		}
	}
	if stats := show[control.Stats](p, "stats"); stats.Misses > 0 || stats.Dropped["ttl"] > 0 {
		t.Errorf("the router begins with %+v", stats)
	}
	red.send(netip.MustParseAddrPort("239.1.1.1:5001"), "too short a life", 1)
	p.awaitDrops("red", "ttl", 1)
	p.stop()
}

// clear runs "umroute clear".
func (p *process) clear(document string) {
	p.t.Helper()
	if _, stderr, status := run(p.t, "clear", "--socket", p.socket, document); status != statusDone {
		p.t.Fatalf("status %d, %s", status, stderr)
	}
}
