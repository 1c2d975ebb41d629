package main

import (
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// older is a host that speaks an older version of IGMP or MLD.
type older struct {
	group   string
	sysctl  string // under /proc/sys/net
	value   string
	version int    // of the group, as the router knows it
	query   string // a matcher's name, for messages
	isQuery func(group netip.Addr) func(datagram) bool
}

func olderHosts() []older {
	return []older{
		{"239.1.1.1:5001", "ipv4/conf/mc0/force_igmp_version", "2", 2,
			"IGMP group-specific query", igmpQuery},
		{"[ff15::1:1]:5002", "ipv6/conf/mc0/force_mld_version", "1", 1,
			"MLD address-specific query", mldQuery},
	}
}

// igmpQuery matches a membership query for a group (RFC 2236 section 2).
func igmpQuery(group netip.Addr) func(datagram) bool {
	address := group.As4()
	return func(d datagram) bool {
		return d.protocol == unix.IPPROTO_IGMP && len(d.payload) >= 8 &&
			d.payload[0] == 0x11 && d.payload[4:8] == string(address[:]) && d.destination == group
	}
}

// mldQuery matches a listener query for a group (RFC 2710 section 3).
func mldQuery(group netip.Addr) func(datagram) bool {
	address := group.As16()
	return func(d datagram) bool {
		return d.protocol == unix.IPPROTO_ICMPV6 && len(d.payload) >= 24 &&
			d.payload[0] == 130 && d.payload[8:24] == string(address[:]) && d.destination == group
	}
}

// TestOlderHosts has hosts of IGMPv2 and MLDv1 join and leave. With fast-leave
// off, the router asks whether somebody is left.
//
//	red ──mc0── router ──mc0── blue
//	sends       asks           IGMPv2, MLDv1
func TestOlderHosts(t *testing.T) {
	t.Parallel()
	for _, fast := range []bool{false, true} {
		stations := newStations(t, "red", "blue")
		red, blue := stations[0], stations[1]
		settings := fmt.Sprintf("{fast-leave: %v, last-member-query-interval: 200ms}", fast)
		blue.more = "igmp: " + settings + ", mld: " + settings
		p := startRouter(t, configure(stations...))
		for _, host := range olderHosts() {
			t.Log("#", host.query, "fast leave:", fast)
			blue.sysctl(host.sysctl, host.value)
			group := netip.MustParseAddrPort(host.group)
			w := blue.watch(device)
			conn := blue.join(group)
			// An answer to the router's first query may still be of the newest
			// version. The older report comes 10 ms after the join, and a host
			// that has not sent it does not send a leave either.
			p.awaitVersion("blue", group.Addr(), host.version)
			red.send(group, "hello", anyTTL)
			expect(t, conn, "hello", red.address(group.Addr()))
			blue.Leave(conn, device, group.Addr())
			p.awaitLeft("blue", group.Addr())
			passThrough(p, red, blue, w)
			asked := len(w.seen(host.isQuery(group.Addr())))
			if fast && asked > 0 || !fast && asked == 0 {
				t.Errorf("%s: sent %d", host.query, asked)
			}
			checkSilence(p, red, blue, group)
		}
		p.stop()
	}
}

// TestOlderRouter has a router that speaks no more than IGMPv2 and MLDv1, to
// which hosts of later versions adapt.
//
//	red ──mc0── router ──mc0── blue
//	sends       v2 and v1      adapts
func TestOlderRouter(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	blue.more = "igmp: {version: 2}, mld: {version: 1}"
	p := startRouter(t, configure(stations...))
	for _, host := range olderHosts() {
		group := netip.MustParseAddrPort(host.group)
		conn := blue.join(group)
		p.awaitJoined("blue", group.Addr())
		red.send(group, "hello", anyTTL)
		expect(t, conn, "hello", red.address(group.Addr()))
		p.awaitVersion("blue", group.Addr(), host.version)
		conn.Close()
		p.awaitLeft("blue", group.Addr())
	}
	p.stop()
}
