package router_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// farLink is the number of a link behind a router of the LAN.
const farLink = 77

// startUpstream makes FRR the querier of the LAN, with a source behind it.
func startUpstream(t testing.TB, l *lan, version int) (*frr, *station) {
	t.Helper()
	s := l.attach(1)
	s.sysctl("ipv4/conf/all/rp_filter", "0")
	source := behind(t, s)
	conf := frrQuerier(version, 3, 1) + "interface src0\n ip pim\nip pim rp 10.0.9.1 224.0.0.0/4\n"
	return runFRR(t, s, conf), source
}

// behind puts a source behind a host that routes: it is 10.0.77.2 on mc0, and
// the router 10.0.77.1 on src0.
func behind(t testing.TB, router *station) *station {
	t.Helper()
	source := newStation(t, farLink)
	router.Run("ip", "link", "add", "src0", "type", "veth", "peer", "name", "far0")
	router.move("far0", source.Host)
	router.Run("ip", "link", "set", "src0", "up")
	router.Run("ip", "addr", "add", fmt.Sprintf("10.0.%d.1/24", farLink), "dev", "src0")
	source.Run("ip", "link", "set", "far0", "name", device)
	source.Run("ip", "link", "set", device, "up")
	source.Run("ip", "addr", "add", source.v4.String()+"/24", "dev", device)
	source.Run("ip", "route", "add", "default", "via", fmt.Sprintf("10.0.%d.1", farLink))
	return source
}

// TestProxyUpstreamFRR has FRR as the querier upstream, in version 3 and then in
// version 2, with a source behind it.
func TestProxyUpstreamFRR(t *testing.T) {
	t.Parallel()
	requireFRR(t)
	for _, version := range []int{3, 2} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			l := newProxyLab(t, "")
			peer, source := startUpstream(t, l.lan, version)
			eventually(t, "a query of FRR", func() bool {
				up := l.proxy("ipv4").Upstream[0]
				return up.Querier == peer.v4.String() && up.Version == version
			})
			group := netip.MustParseAddrPort("239.1.1.1:5001")
			source.stream(source.v4, group)
			red := l.red.join(group)
			receives(t, red, source.v4)
			eventually(t, "FRR to know the group", func() bool {
				return strings.Contains(peer.ask("show ip igmp groups"), group.Addr().String())
			})
			red.Close()
			eventually(t, "FRR to forget the group", func() bool {
				return !strings.Contains(peer.ask("show ip igmp groups"), group.Addr().String())
			})
			blue := l.blue.join(netip.MustParseAddrPort("232.1.1.1:5001"), source.v4)
			source.stream(source.v4, netip.MustParseAddrPort("232.1.1.1:5001"))
			if version == 3 {
				receives(t, blue, source.v4)
			}
		})
	}
}
