package main

import (
	"fmt"
	"net/netip"
	"testing"
)

// TestNotForwarded sends what must not cross a router to a host that has
// joined it.
//
//	red ──mc0── router ──mc0── blue
//	sends                      has joined all
func TestNotForwarded(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	p := startRouter(t, configure(stations...))
	tests := []struct {
		why    string
		group  string
		ttl    int
		reason string // counted on red; "" where the stack takes it
	}{
		{"TTL 1", "239.1.1.1:5001", 1, "ttl"},
		{"hop limit 1", "[ff15::1:1]:5002", 1, "ttl"},
		{"local network control block", "224.0.0.200:5003", anyTTL, ""},
		{"all hosts", "224.0.0.1:5004", anyTTL, ""},
		{"link-local scope", "[ff02::1:200]:5005", anyTTL, ""},
		{"link-local scope, transient", "[ff12::1:200]:5006", anyTTL, ""},
		{"interface-local scope", "[ff01::1:200]:5007", anyTTL, "group_scope"},
		{"reserved scope", "[ff10::1:200]:5008", anyTTL, "group_scope"},
	}
	for _, test := range tests {
		t.Log("#", test.why)
		group := netip.MustParseAddrPort(test.group)
		conn := blue.listen(group)
		blue.Join(conn, device, group.Addr())
		w := blue.watch(device)
		punted, dropped := p.passedOver("red", test.reason)
		red.sendRaw(udpPacket(netip.AddrPortFrom(red.address(group.Addr()), 4000), group,
			test.ttl, "local"))
		eventually(t, "the packet is counted", func() bool {
			p2, d2 := p.passedOver("red", test.reason)
			return test.reason == "" && p2 > punted || test.reason != "" && d2 > dropped
		})
		passThrough(p, red, blue, w)
		if got := w.seen(carrying("local")); len(got) != 0 {
			t.Errorf("%s crossed the router: %+v", group, got)
		}
		conn.Close()
	}
	p.stop()
}

// TestWrongInterface sends with the source address of another link.
//
//	red   ──mc0──┐
//	             router ──mc0── blue
//	green ──mc0──┘              has joined
//	sends as red
func TestWrongInterface(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "green", "blue")
	red, green, blue := stations[0], stations[1], stations[2]
	p := startRouter(t, configure(stations...))
	for _, text := range []string{"239.1.1.1:5001", "[ff15::1:1]:5002"} {
		group := netip.MustParseAddrPort(text)
		source := red.address(group.Addr())
		conn := blue.join(group)
		p.awaitJoined("blue", group.Addr())
		w := blue.watch(device)
		before := p.iface("green").Drops["wrong_if"]
		forged := udpPacket(netip.AddrPortFrom(source, 4000), group, anyTTL, "forged")
		green.sendRaw(forged) // before there is an entry
		p.awaitDrops("green", "wrong_if", before+1)
		red.send(group, "genuine", anyTTL)
		expect(t, conn, "genuine", source)
		green.sendRaw(forged) // and while it stands
		p.awaitDrops("green", "wrong_if", before+2)
		passThrough(p, green, blue, w)
		red.send(group, "genuine again", anyTTL)
		expect(t, conn, "genuine again", source)
		if got := w.seen(carrying("forged")); len(got) != 0 {
			t.Errorf("forged packets arrived: %+v", got)
		}
		if r := p.awaitOutputs(source, group.Addr(), "blue"); r.IIF != "red" || r.WrongIf < 2 {
			t.Errorf("route %+v: want red as its input and 2 packets on the wrong one", r)
		}
	}
	p.stop()
}

// TestBoundary has groups that must not cross an interface.
//
//	red ──mc0── router ──mc0──┤ blue    boundary 239.255.0.0/17, ff18::/16
//	sends            └──mc0── green
func TestBoundary(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue", "green")
	red, blue, green := stations[0], stations[1], stations[2]
	blue.more = `boundary: [239.255.0.0/17, "ff18::/16"]`
	p := startRouter(t, configure(stations...))
	for _, text := range []string{"239.255.1.1:5001", "[ff18::1:1]:5002"} {
		group := netip.MustParseAddrPort(text)
		blue.join(group)
		conn := green.join(group)
		p.awaitJoined("green", group.Addr())
		w, outside := blue.watch(device), green.watch(device)
		red.send(group, "inside", anyTTL)
		expect(t, conn, "inside", red.address(group.Addr()))
		passThrough(p, red, blue, w)
		if got := w.seen(carrying("inside")); len(got) != 0 {
			t.Errorf("%s crossed the boundary outwards: %+v", group, got)
		}
		before := p.iface("blue").Drops["boundary"]
		blue.send(group, "outside", anyTTL)
		p.awaitDrops("blue", "boundary", before+1)
		passThrough(p, blue, green, outside)
		if got := outside.seen(carrying("outside")); len(got) != 0 {
			t.Errorf("%s crossed the boundary inwards: %+v", group, got)
		}
	}
	p.stop()
}

// TestThreshold has an interface that only packets with a high TTL may leave by.
//
//	red ──mc0── router ──mc0── blue    ttl-threshold: 10
//	sends            └──mc0── green
func TestThreshold(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue", "green")
	red, blue, green := stations[0], stations[1], stations[2]
	blue.more = "ttl-threshold: 10"
	p := startRouter(t, configure(stations...))
	for _, text := range []string{"239.1.1.1:5001", "[ff15::1:1]:5002"} {
		group := netip.MustParseAddrPort(text)
		near, far := blue.join(group), green.join(group)
		p.awaitJoined("blue", group.Addr())
		p.awaitJoined("green", group.Addr())
		w := blue.watch(device)
		source := red.address(group.Addr())
		for _, ttl := range []int{2, 9, 10} {
			payload := fmt.Sprint("TTL ", ttl)
			red.send(group, payload, ttl)
			expect(t, far, payload, source)
		}
		red.send(group, "TTL 11", 11)
		expect(t, near, "TTL 11", source)
		w.await("the datagram on the wire", carrying("TTL 11"))
		got := w.seen(toGroup(group.Addr()))
		if len(got) != 1 || got[0].ttl != 10 {
			t.Errorf("%s: on the wire behind the threshold: %+v, want TTL 11 less 1", group, got)
		}
		r, _ := p.route(source, group.Addr())
		for _, oif := range r.OIFs {
			if want := map[string]uint64{"blue": 3}[oif.Interface]; oif.TTLTooLow != want {
				t.Errorf("output %+v: want %d packets with too low a TTL", oif, want)
			}
		}
	}
	p.stop()
}

// TestDomain has two pairs of hosts that do not hear each other.
//
//	red  ──mc0── router ──mc0── green
//	lab          │    │         factory
//	blue ──mc0───┘    └───mc0── grey
//	lab                         factory
func TestDomain(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue", "green", "grey")
	red, blue, green, grey := stations[0], stations[1], stations[2], stations[3]
	red.more, blue.more = "domain: lab", "domain: lab"
	green.more, grey.more = "domain: factory", "domain: factory"
	p := startRouter(t, configure(stations...))
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	listeners := make(map[*station]*wire)
	for _, s := range stations {
		s.join(group)
		p.awaitJoined(s.name, group.Addr())
		listeners[s] = s.watch(device)
	}
	red.send(group, "lab", anyTTL)
	green.send(group, "factory", anyTTL)
	listeners[blue].await("the lab's datagram", carrying("lab"))
	listeners[grey].await("the factory's datagram", carrying("factory"))
	passThrough(p, red, blue, listeners[blue])
	passThrough(p, green, grey, listeners[grey])
	for s, w := range listeners {
		foreign := "lab"
		if s == red || s == blue {
			foreign = "factory"
		}
		if got := w.seen(carrying(foreign)); len(got) != 0 {
			t.Errorf("%s hears the other domain: %+v", s.name, got)
		}
	}
	p.stop()
}
