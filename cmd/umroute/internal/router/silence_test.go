package router_test

import (
	"net/netip"
	"testing"
	"time"

	"umroute/stack/igmp"
)

// shortTimers makes the Group Membership Interval 2 x 2 s + 1 s (RFC 9776
// section 8.4).
const (
	shortTimers = ", igmp: {query-interval: 2s, query-response-interval: 1s}, " +
		"mld: {query-interval: 2s, query-response-interval: 1s}"
	shortMembership = 5 * time.Second
)

// TestSilentHost cuts a host off. It is forgotten after the Group Membership
// Interval since its last report on the wire, not sooner and not later, and
// another host on the link is not.
func TestSilentHost(t *testing.T) {
	t.Parallel()
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	other := netip.MustParseAddrPort("239.1.1.2:5002")
	lan := newLAN(t, 2)
	port := lan.port()
	silent, lively := lan.attach(2), lan.attach(3)
	w := watch(t, lan.Host, port)
	p := startRouter(t, "interfaces:\n"+lan.tap("lan", 1, shortTimers))
	silent.join(group)
	lively.join(other)
	p.awaitGroup("lan", group.Addr())
	p.awaitGroup("lan", other.Addr())
	// A join is reported twice; after that only queries are answered.
	eventually(t, "an answer to a query", func() bool {
		return w.number(igmp.TypeV3Report, silent.v4) >= 3
	})
	lan.Run("ip", "link", "set", port, "down")
	report, ok := w.last(igmp.TypeV3Report, silent.v4)
	if !ok {
		t.Fatal("no report on the wire")
	}
	until(t, report.at.Add(shortMembership-20*time.Millisecond), "the group", func() bool {
		_, ok := p.group("lan", group.Addr())
		return ok
	})
	gone := eventually(t, "the end of the group", func() bool {
		_, ok := p.group("lan", group.Addr())
		return !ok
	})
	took := gone.Sub(report.at)
	t.Logf("forgotten %v after the last report", took)
	if took > shortMembership+reaction {
		t.Errorf("forgotten %v after the last report, want %v", took, shortMembership)
	}
	if _, ok := p.group("lan", other.Addr()); !ok {
		t.Error("the other host's group is forgotten as well")
	}
}

// TestRestart ends a router and starts another one on devices that stay: it
// knows everything again once the hosts have answered the first query.
func TestRestart(t *testing.T) {
	t.Parallel()
	groups := []netip.AddrPort{
		netip.MustParseAddrPort("239.1.1.1:5001"),
		netip.MustParseAddrPort("[ff15::1:1]:5002"),
	}
	ssm := netip.MustParseAddrPort("232.1.1.1:5003")
	red, blue, lan := newStation(t, 1), newStation(t, 2), newLAN(t, 3)
	blue.Run("ip", "tuntap", "add", "dev", device, "mode", "tun")
	first, second := lan.attach(2), lan.attach(3)
	yaml := "interfaces:\n" + red.tun("red", "") + blue.tun("blue", "") + lan.tap("lan", 1, "")
	p := startRouter(t, yaml)
	for _, group := range groups {
		blue.join(group)
		first.join(group)
	}
	second.join(ssm, red.v4)
	learnt := func() bool {
		lan, blue := p.groups("lan"), p.groups("blue")
		for _, group := range groups {
			if _, ok := blue[group.Addr()]; !ok {
				return false
			}
			if _, ok := lan[group.Addr()]; !ok {
				return false
			}
		}
		return len(lan[ssm.Addr()].Sources) == 1
	}
	eventually(t, "all groups", learnt)
	p.stop()
	begin := time.Now()
	p = startRouter(t, yaml)
	took := eventually(t, "all groups again", learnt).Sub(begin)
	t.Logf("all groups again after %v", took)
	// Hosts may take 1 s to answer the first query.
	if took > time.Second+2*reaction {
		t.Errorf("learnt all groups again after %v", took)
	}
	w := watch(t, blue.Host, device)
	red.stream(red.v4, groups[0])
	awaitFlow(t, w, red.v4, groups[0].Addr())
}
