package main

import (
	"fmt"
	"net/netip"
	"testing"

	"umroute/cmd/umroute/internal/control"
)

// renumber gives a station another IPv4 address, which is on no link's prefix.
func (s *station) renumber(address netip.Addr) {
	s.t.Helper()
	s.Run("ip", "-4", "addr", "flush", "dev", device)
	s.Run("ip", "addr", "add", address.String()+"/32", "dev", device)
	s.Run("ip", "route", "add", "default", "dev", device)
}

// awaitRIB waits until the route to a prefix is by this interface and gateway.
func (p *process) awaitRIB(prefix, iface, via string) {
	p.t.Helper()
	eventually(p.t, prefix+" by "+iface+" via "+via, func() bool {
		for _, route := range show[[]control.RIBRoute](p, "rib") {
			if route.Prefix == prefix {
				return route.Interface == iface && route.Via == via
			}
		}
		return iface == ""
	})
}

// TestKernelRoutes has the kernel's routing table move a source, which is there
// twice, from one link to the other, and changes it under a stream:
//
//	west ──veth── router ──mc0── blue
//	east ──veth──┘  and the kernel's routes
func TestKernelRoutes(t *testing.T) {
	t.Parallel()
	middle, hosts := newVeths(t, "west", "east")
	west, east := hosts[0], hosts[1]
	blue := newStations(t, "one", "two", "blue")[2]
	source := netip.MustParseAddr("10.9.0.1")
	west.renumber(source)
	east.renumber(source)
	interfaces := configure(blue)
	for _, s := range hosts {
		interfaces += fmt.Sprintf("  %s: {link: packet, device: %s, addresses: [10.0.%d.1/24]}\n",
			s.name, s.name, s.number)
	}
	p := launch{config: interfaces, place: "/run/netns/" + middle}.start(t)
	inMiddle := func(args ...string) {
		t.Helper()
		west.Run("ip", append([]string{"-n", middle, "route"}, args...)...)
	}
	inMiddle("add", "10.9.0.0/16", "via", "10.0.1.2", "dev", "west", "onlink")
	p.awaitRIB("10.9.0.0/16", "west", "10.0.1.2")

	group := netip.MustParseAddrPort("239.1.1.1:5001")
	receiver := blue.receive(group)
	p.awaitJoined("blue", group.Addr())
	st := west.startStream(group)
	p.awaitOutputs(source, group.Addr(), "blue")
	// Routes that change without moving the source take nothing from the stream.
	inMiddle("replace", "10.9.0.0/16", "via", "10.0.1.3", "dev", "west", "onlink")
	p.awaitRIB("10.9.0.0/16", "west", "10.0.1.3")
	inMiddle("add", "10.9.0.0/24", "dev", "west")
	p.awaitRIB("10.9.0.0/24", "west", "")
	inMiddle("add", "10.8.0.0/16", "dev", "east")
	p.awaitRIB("10.8.0.0/16", "east", "")
	inMiddle("del", "10.9.0.0/24")
	p.awaitRIB("10.9.0.0/24", "", "")
	checkWhole(t, receiver, st.end())

	inMiddle("replace", "10.9.0.0/16", "via", "10.0.2.2", "dev", "east", "onlink")
	eventually(t, "the flow to come in from the east", func() bool {
		route, ok := p.route(source, group.Addr())
		return ok && route.IIF == "east" && len(route.OIFs) == 1
	})
	again := netip.MustParseAddrPort("239.1.1.1:5002")
	receiver = blue.receive(again)
	st = east.startStream(again)
	unheard := west.startStream(netip.MustParseAddrPort("239.1.1.1:5003"))
	w := blue.watch(device)
	eventually(t, "datagrams from the east", func() bool { return receiver.Received() > 100 })
	checkWhole(t, receiver, st.end())
	unheard.end()
	if got := w.seen(func(d datagram) bool { return d.port == 5003 }); len(got) != 0 {
		t.Errorf("%d datagrams from the wrong side", len(got))
	}

	inMiddle("del", "10.9.0.0/16")
	p.awaitRIB("10.9.0.0/16", "", "")
	p.stop()
}
