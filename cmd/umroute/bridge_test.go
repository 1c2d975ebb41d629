package main

import (
	"fmt"
	"net/netip"
	"testing"

	"umroute/tun/netns/netnstest"
)

// newBridge makes a namespace with a bridge, a TAP in it for the router, and
// hosts behind it. The TAP is up and has no address.
func newBridge(t testing.TB, number, hosts int) (netns string, stations []*station) {
	t.Helper()
	lan := netnstest.NewHost(t)
	netns = nameNetns(t, lan)
	lan.Run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
	lan.Run("ip", "link", "set", "br0", "up")
	lan.Run("ip", "tuntap", "add", "dev", device, "mode", "tap")
	lan.Run("ip", "link", "set", device, "master", "br0", "up")
	for i := range hosts {
		host := netnstest.NewHost(t)
		s := &station{Host: host, t: t, name: "lan", netns: nameNetns(t, host), number: number,
			v4: netip.AddrFrom4([4]byte{10, 0, byte(number), byte(i + 2)}),
			v6: netip.MustParseAddr(fmt.Sprintf("fd00:%x::%x", number, i+2))}
		port := fmt.Sprint("port", i)
		lan.Run("ip", "link", "add", port, "type", "veth", "peer", "name", device,
			"netns", s.netns)
		lan.Run("ip", "link", "set", port, "master", "br0", "up")
		s.configureEthernet()
		stations = append(stations, s)
	}
	return netns, stations
}

// configureEthernet does on a host what a router does on a TUN.
func (s *station) configureEthernet() {
	s.t.Helper()
	s.sysctl("ipv6/conf/mc0/dad_transmits", "0") // the addresses are unique
	s.Run("ip", "link", "set", device, "up")
	s.Run("ip", "addr", "add", s.v4.String()+"/24", "dev", device)
	s.Run("ip", "addr", "add", s.v6.String()+"/64", "dev", device, "nodad")
	s.Run("ip", "route", "add", "default", "via", fmt.Sprintf("10.0.%d.1", s.number))
	s.Run("ip", "-6", "route", "add", "default", "via", fmt.Sprintf("fd00:%x::1", s.number))
}

// TestBridge has two hosts on one link, so that a leave of one must not end
// what the other receives: the router asks first.
//
//	red ──mc0── router ──mc0── bridge ──┬── first    stays
//	sends             (TAP)             └── second   leaves
func TestBridge(t *testing.T) {
	t.Parallel()
	red := newStations(t, "red")[0]
	lan, hosts := newBridge(t, 2, 2)
	first, second := hosts[0], hosts[1]
	p := startRouter(t, configure(red)+fmt.Sprintf("  lan: {link: tap, netns: %s, "+
		"addresses: [10.0.2.1/24, \"fd00:2::1/64\"], "+
		"igmp: {last-member-query-interval: 200ms}, mld: {last-member-query-interval: 200ms}}\n",
		lan))
	for _, text := range []string{"239.1.1.1:5001", "[ff15::1:1]:5002"} {
		group := netip.MustParseAddrPort(text)
		source := red.address(group.Addr())
		steady := first.receive(group)
		p.awaitReporters("lan", group.Addr(), 1)
		st := red.startStream(group)
		guest := second.receive(group)
		p.awaitReporters("lan", group.Addr(), 2)
		eventually(t, "datagrams for both", func() bool {
			return steady.Received() > 0 && guest.Received() > 0
		})
		asked := p.queries("lan")
		if err := guest.Leave(); err != nil {
			t.Fatal(err)
		}
		p.awaitReporters("lan", group.Addr(), 1)
		// Everything the leave could set off has happened once the router has
		// asked and the answer has come.
		eventually(t, "a query whether somebody is left", func() bool {
			return p.queries("lan") > asked
		})
		before := steady.Received()
		eventually(t, "the stream goes on", func() bool {
			return steady.Received() > before+streamRate
		})
		p.awaitOutputs(source, group.Addr(), "lan")
		checkWhole(t, steady, st.end())
		if err := steady.Leave(); err != nil {
			t.Fatal(err)
		}
		p.awaitLeft("lan", group.Addr())
		p.awaitOutputs(source, group.Addr())
	}
	checkFromBridge(p, red, first)
	p.stop()
}

// checkFromBridge uses the link in the other direction, and for unicast.
func checkFromBridge(p *process, red, first *station) {
	p.t.Helper()
	for _, text := range []string{"239.1.1.2:5003", "[ff15::1:2]:5004"} {
		checkJoinWorks(p, first, red, netip.MustParseAddrPort(text))
	}
	for _, to := range []string{"10.0.2.1", "fd00:2::1", "10.0.1.1", "fd00:1::1"} {
		first.ping(netip.MustParseAddr(to))
	}
	first.ping(red.v4)
	first.ping(red.v6)
	red.ping(first.v4)
	red.ping(first.v6)
}

// awaitReporters waits until the router knows so many listeners of a group.
func (p *process) awaitReporters(name string, group netip.Addr, n int) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%d reporters of %s on %s", n, group, name), func() bool {
		g, joined := p.group(name, group)
		return joined && len(g.Reporters) == n
	})
}

// queries counts those for one group that an interface has sent.
func (p *process) queries(name string) uint64 {
	p.t.Helper()
	i := p.iface(name)
	return i.IGMP.Sent["group_query"] + i.MLD.Sent["group_query"]
}
