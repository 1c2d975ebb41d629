package main

import (
	"net/netip"
	"testing"

	"umroute/cmd/umroute/internal/control"
)

// TestSourceSpecific has two senders, of which a host wants one:
//
//	red   ──mc0──┐
//	             router ──mc0── blue
//	green ──mc0──┘              wants red alone
func TestSourceSpecific(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "green", "blue")
	red, green, blue := stations[0], stations[1], stations[2]
	p := startRouter(t, configure(stations...))
	for _, text := range []string{
		"232.1.1.1:5001",        // the SSM range
		"239.1.1.1:5002",        // sources may be chosen everywhere
		"[ff3e::8000:1]:5003",   // the SSM range of IPv6
		"[ff15::1:1]:5004",      // and outside
		"[ff3e::4000:1]:5005",   // permanent group of the SSM range
		"[ff35:0::9999:9]:5006", // site-local scope of the SSM range
	} {
		group := netip.MustParseAddrPort(text)
		wanted, other := red.address(group.Addr()), green.address(group.Addr())
		conn := blue.join(group, wanted)
		p.awaitSources("blue", group.Addr(), map[netip.Addr]bool{wanted: true})
		w := blue.watch(device)
		green.send(group, "from green", anyTTL)
		p.awaitOutputs(other, group.Addr())
		green.send(group, "from green", anyTTL)
		passThrough(p, green, blue, w)
		red.send(group, "from red", anyTTL)
		expect(t, conn, "from red", wanted)
		p.awaitOutputs(wanted, group.Addr(), "blue")
		if got := w.seen(carrying("from green")); len(got) != 0 {
			t.Errorf("%s: what was not asked for is on the wire: %+v", group, got)
		}
		checkSecondSource(p, blue, group.Addr(), wanted, other)
		blue.Leave(conn, device, group.Addr(), wanted)
		p.awaitLeft("blue", group.Addr())
		checkSilence(p, red, blue, group)
	}
	p.stop()
}

// checkSecondSource has the host want a second source for a while.
func checkSecondSource(p *process, blue *station, group, first, second netip.Addr) {
	p.t.Helper()
	conn := blue.join(netip.AddrPortFrom(group, 5999), second)
	p.awaitSources("blue", group, map[netip.Addr]bool{first: true, second: true})
	p.awaitOutputs(second, group, "blue")
	conn.Close()
	p.awaitSources("blue", group, map[netip.Addr]bool{first: true})
	p.awaitOutputs(second, group)
	p.awaitOutputs(first, group, "blue")
}

// TestBlockedSource has a host that wants everybody but one:
//
//	red   ──mc0──┐
//	             router ──mc0── blue
//	green ──mc0──┘              wants all but green
func TestBlockedSource(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "green", "blue")
	red, green, blue := stations[0], stations[1], stations[2]
	p := startRouter(t, configure(stations...))
	for _, text := range []string{"239.1.1.1:5001", "[ff15::1:1]:5002"} {
		group := netip.MustParseAddrPort(text)
		blocked := green.address(group.Addr())
		conn := blue.join(group)
		p.awaitJoined("blue", group.Addr())
		w := blue.watch(device)
		green.send(group, "still wanted", anyTTL)
		expect(t, conn, "still wanted", blocked)
		blue.block(conn, group.Addr(), blocked)
		p.awaitSources("blue", group.Addr(), map[netip.Addr]bool{blocked: false})
		p.awaitOutputs(blocked, group.Addr())
		green.send(group, "blocked", anyTTL)
		passThrough(p, green, blue, w)
		red.send(group, "from red", anyTTL)
		expect(t, conn, "from red", red.address(group.Addr()))
		if got := w.seen(carrying("blocked")); len(got) != 0 {
			t.Errorf("%s: what the host blocks is on the wire: %+v", group, got)
		}
		if g, _ := p.group("blue", group.Addr()); g.Mode != "exclude" {
			t.Errorf("%s: mode %s", group, g.Mode)
		}
	}
	p.stop()
}

// TestSourceSpecificRange has a host join a group of the SSM range for any
// source, which has no meaning there: a router ignores such reports
// (RFC 4604 section 2.2.3).
//
//	router ──mc0── blue
func TestSourceSpecificRange(t *testing.T) {
	t.Parallel()
	blue := newStations(t, "blue")[0]
	p := startRouter(t, configure(blue))
	for _, text := range []string{"232.1.1.1:5001", "[ff3e::8000:1]:5002"} {
		group := netip.MustParseAddrPort(text)
		blue.join(group)
		eventually(t, "the report is ignored", func() bool {
			i := p.iface("blue")
			ignored := total(i.IGMP.Ignored)
			if group.Addr().Is6() {
				ignored = total(i.MLD.Ignored)
			}
			return ignored > 0
		})
		if _, joined := p.group("blue", group.Addr()); joined {
			t.Errorf("%s is joined for any source", group)
		}
		for _, m := range show[[]control.Membership](p, "memberships") {
			if m.Group == group.Addr().String() {
				t.Errorf("membership %+v", m)
			}
		}
	}
	p.stop()
}
