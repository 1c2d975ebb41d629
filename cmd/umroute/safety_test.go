package main

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"umroute/cmd/umroute/internal/control"
)

// TestDomainRule has two domains, and a rule that lets some groups cross from
// one to the other. A reload takes it away.
//
//	red ──mc0── router ──mc0── green
//	lab                        factory
func TestDomainRule(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "green")
	red, green := stations[0], stations[1]
	red.more, green.more = "domain: lab", "domain: factory"
	p := startRouter(t, configure(stations...)+
		"domains: [{from: lab, to: factory, groups: [239.1.0.0/16, \"ff15::1:0/112\"]}]\n")
	for _, text := range []string{"239.1.1.1:5001", "[ff15::1:1]:5002"} {
		checkJoinWorks(p, red, green, netip.MustParseAddrPort(text))
	}
	for _, text := range []string{"239.2.1.1:5001", "[ff15::2:1]:5002"} {
		checkKeptOut(p, red, green, netip.MustParseAddrPort(text))
	}
	checkKeptOut(p, green, red, netip.MustParseAddrPort("239.1.1.1:5001"))
	p.reload(configure(stations...), "no interface differs")
	checkKeptOut(p, red, green, netip.MustParseAddrPort("239.1.1.1:5001"))
	p.stop()
}

// checkKeptOut sends to a listener whom the domains keep the group from.
func checkKeptOut(p *process, from, to *station, group netip.AddrPort) {
	p.t.Helper()
	conn := to.join(group)
	defer conn.Close()
	p.awaitJoined(to.name, group.Addr())
	before := p.iface(to.name).Drops["domain"]
	from.send(group, "hello", anyTTL)
	p.awaitDrops(to.name, "domain", before+1)
	if r, _ := p.route(from.address(group.Addr()), group.Addr()); len(r.OIFs) > 0 {
		p.t.Errorf("%s leads to %+v", group, r.OIFs)
	}
}

// TestSourceValidation has an interface whose host sends with the address of
// another one, and with one that nobody has.
//
//	red ──mc0── router ──mc0── blue
//	forges             └─mc0── green
func TestSourceValidation(t *testing.T) {
	t.Parallel()
	tests := []struct {
		validation   string
		foreign, own string // what becomes of a source of green's, and of an unknown one
	}{
		{"strict", "source_validation", "source_validation"},
		{"loose", "", "source_validation"},
		{"off", "", ""},
	}
	for _, test := range tests {
		stations := newStations(t, "red", "blue", "green")
		red, blue, green := stations[0], stations[1], stations[2]
		red.more = "source-validation: \"" + test.validation + "\""
		p := startRouter(t, configure(stations...))
		group := netip.MustParseAddrPort("239.1.1.1:5001")
		checkJoinWorks(p, red, blue, group)
		for _, forged := range []struct{ address, reason string }{
			{green.v4.String(), test.foreign}, {"10.77.1.2", test.own}} {
			before := p.iface("red").Drops
			red.sendAs(forged.address, group)
			if forged.reason != "" {
				p.awaitDrops("red", forged.reason, before[forged.reason]+1)
			}
			_, known := p.route(netip.MustParseAddr(forged.address), group.Addr())
			if forged.reason != "" && known {
				t.Errorf("%s: an entry for the forged source %s", test.validation, forged.address)
			}
		}
		to := netip.AddrPortFrom(blue.v4, 7)
		red.sendAs("10.77.1.2", to)
		if test.validation != "off" {
			p.awaitDrops("red", "source-validation", 1)
		}
		p.stop()
	}
}

// sendAs sends a datagram from an address that the station should not have.
func (s *station) sendAs(address string, to netip.AddrPort) {
	s.t.Helper()
	s.Run("ip", "addr", "add", address+"/32", "dev", device)
	defer s.Run("ip", "addr", "del", address+"/32", "dev", device)
	var conn *net.UDPConn
	s.Do(func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(address)})
		return err
	})
	defer conn.Close()
	setOption(s.t, conn, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, anyTTL)
	})
	if _, err := conn.WriteToUDPAddrPort([]byte("forged"), to); err != nil {
		s.t.Fatal(err)
	}
}

// TestFlowLimit has a host begin more flows than it may.
//
//	red ──mc0── router ──mc0── blue
//	floods     max-flows: 10
func TestFlowLimit(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	red.more = "max-flows: 10"
	p := startRouter(t, configure(stations...))
	for n := range 50 {
		group := netip.AddrFrom4([4]byte{239, 7, 0, byte(n)})
		red.send(netip.AddrPortFrom(group, 5001), "flood", anyTTL)
	}
	p.awaitDrops("red", "flow_limit", 40)
	checkJoinWorks(p, blue, red, netip.MustParseAddrPort("239.1.1.1:5001"))
	if flows := show[control.Stats](p, "stats").Flows; flows != 11 {
		t.Errorf("%d flows, want 11", flows)
	}
	p.stop()
}
