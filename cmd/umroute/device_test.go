package main

import (
	"net/netip"
	"testing"
)

// TestDeviceGone removes a device under the router.
//
//	red   ──mc0──┐
//	sends        router ──mc0── blue     loses its device
//	             └──────mc0── green      receives
func TestDeviceGone(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue", "green")
	red, blue, green := stations[0], stations[1], stations[2]
	p := startRouter(t, configure(stations...))
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	receiver := green.receive(group)
	blue.join(group)
	p.awaitJoined("green", group.Addr())
	p.awaitJoined("blue", group.Addr())
	st := red.startStream(group)
	p.awaitOutputs(red.v4, group.Addr(), "blue", "green")

	blue.Run("ip", "link", "del", device)
	eventually(t, "blue is down", func() bool { return !p.iface("blue").Up })
	if reason := p.iface("blue").Reason; reason == "" {
		t.Error("the router does not say why blue is down")
	}
	for _, name := range []string{"red", "green"} {
		if i := p.iface(name); !i.Up {
			t.Errorf("%s is down: %s", name, i.Reason)
		}
	}
	checkJoinWorks(p, red, green, netip.MustParseAddrPort("[ff15::1:1]:5002"))
	checkWhole(t, receiver, st.end())
	p.stop()
}

// checkJoinWorks joins a group that was not used yet and has a datagram
// arrive.
func checkJoinWorks(p *process, from, to *station, group netip.AddrPort) {
	p.t.Helper()
	conn := to.join(group)
	defer conn.Close()
	p.awaitJoined(to.name, group.Addr())
	from.send(group, "hello", anyTTL)
	expect(p.t, conn, "hello", from.address(group.Addr()))
}

// TestDeviceDownAndUp takes a device down and up again.
//
//	red ──mc0── router ──mc0── blue
//	sends                      goes down and up
func TestDeviceDownAndUp(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	p := startRouter(t, configure(stations...))
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	conn := blue.join(group)
	p.awaitJoined("blue", group.Addr())
	for range 3 {
		blue.Run("ip", "link", "set", device, "down")
		eventually(t, "blue is down", func() bool { return !p.iface("blue").Up })
		red.send(group, "into the void", anyTTL)
		blue.Run("ip", "link", "set", device, "up")
		eventually(t, "blue is up", func() bool { return p.iface("blue").Up })
		p.awaitJoined("blue", group.Addr())
		red.send(group, "hello", anyTTL)
		expect(t, conn, "hello", red.v4)
	}
	checkJoinWorks(p, red, blue, netip.MustParseAddrPort("239.1.1.2:5002"))
	p.stop()
}
