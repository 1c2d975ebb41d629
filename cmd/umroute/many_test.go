package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"umroute/cmd/umroute/internal/control"
	"umroute/tun/netns/netnstest"
)

// manyInterfaces is far more than the 32 of the kernel's multicast router.
const manyInterfaces = 200

// TestManyInterfaces has a router with one sender and a crowd of links, all of
// them in one namespace, which is cheaper to make.
//
//	red ──mc0── router ──mc2──┐
//	sends             ──mc3── crowd   joins on the last one, then on all
//	                   …      │
//	                  ─mc200──┘
func TestManyInterfaces(t *testing.T) {
	red := newStations(t, "red")[0]
	crowd := netnstest.NewHost(t)
	place := nameNetns(t, crowd)
	var config strings.Builder
	config.WriteString(configure(red))
	for n := 2; n <= manyInterfaces; n++ {
		fmt.Fprintf(&config, "  link%d: {netns: %s, device: mc%d, addresses: [10.1.%d.1/24, "+
			"\"fd01:%x::1/64\"], peer-addresses: [10.1.%d.2/24, \"fd01:%x::2/64\"], "+
			"peer-routes: false}\n", n, place, n, n, n, n, n)
	}
	begin := time.Now()
	p := startRouter(t, config.String())
	t.Logf("ready with %d interfaces after %v, VmRSS %d MiB", manyInterfaces,
		time.Since(begin).Round(time.Millisecond), p.memory()>>20)
	for _, text := range []string{"239.1.1.1:5001", "[ff15::1:1]:5002"} {
		group := netip.MustParseAddrPort(text)
		conn := crowd.ListenUDP(network(group.Addr()), fmt.Sprintf(":%d", group.Port()))
		crowd.Join(conn, fmt.Sprintf("mc%d", manyInterfaces), group.Addr())
		last := fmt.Sprintf("link%d", manyInterfaces)
		p.awaitJoined(last, group.Addr())
		red.send(group, "hello", anyTTL)
		expect(t, conn, "hello", red.address(group.Addr()))
		p.awaitOutputs(red.address(group.Addr()), group.Addr(), last)
	}
	checkAllLinks(t, p, red, crowd)
	if took := p.stop(); took > stopTime {
		t.Errorf("stopping took %v", took)
	}
}

// checkAllLinks joins on every link, and has one datagram leave by all.
func checkAllLinks(t *testing.T, p *process, red *station, crowd *netnstest.Host) {
	t.Helper()
	group := netip.MustParseAddrPort("239.1.1.2:5003")
	const perSocket = 20 // net.ipv4.igmp_max_memberships
	var want []string
	for n := 2; n <= manyInterfaces; n += perSocket {
		conn := crowd.ListenUDP("udp4", fmt.Sprintf(":%d", group.Port()))
		for i := n; i < min(n+perSocket, manyInterfaces+1); i++ {
			crowd.Join(conn, fmt.Sprintf("mc%d", i), group.Addr())
			want = append(want, fmt.Sprintf("link%d", i))
		}
	}
	eventually(t, "all joins", func() bool {
		joined := 0
		for _, g := range show[[]control.Group](p, "groups") {
			if g.Group == group.Addr().String() {
				joined++
			}
		}
		return joined == len(want)
	})
	red.send(group, "to all", anyTTL)
	p.awaitOutputs(red.v4, group.Addr(), want...)
	eventually(t, "a copy for each link", func() bool {
		r, _ := p.route(red.v4, group.Addr())
		copies := 0
		for _, oif := range r.OIFs {
			copies += int(oif.Packets)
		}
		return copies == len(want)
	})
}
