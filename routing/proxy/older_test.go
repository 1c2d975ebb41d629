package proxy

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"umroute/stack/igmp"
	"umroute/stack/mld"
)

// RFC 9776 section 7.2.1, RFC 2236 section 3.
func TestIGMPv2Querier(t *testing.T) {
	l := newHostLab(t, HostConfig{})
	l.set(groupA, include(sourceA))
	l.set(groupB, exclude())
	l.pass(time.Minute)
	l.said = nil
	l.hear(igmp.Query{Version: 2, MaxResponse: 10 * time.Second})
	l.pass(10 * time.Second)
	slices.Sort(l.said)
	l.want("answers", "v2 report 239.1.1.1", "v2 report 239.1.1.2")

	third := netip.MustParseAddr("239.1.1.3")
	l.set(third, exclude())
	l.want("join", "v2 report 239.1.1.3")
	l.pass(10 * time.Second)
	l.want("join again", "v2 report 239.1.1.3")
	l.set(third, exclude(sourceA))
	l.want("sources do not matter")
	l.set(third, include())
	l.want("leave", "leave 239.1.1.3")

	l.hear(igmp.Query{Version: 2, Group: groupA, MaxResponse: time.Second})
	report, err := igmp.AppendPacket(nil, netip.MustParseAddr("10.0.9.77"), groupA,
		&igmp.GroupReport{Version: 2, Group: groupA})
	if err != nil {
		t.Fatal(err)
	}
	l.host.Handle(l.now, report)
	l.pass(time.Second)
	l.want("another host answered")
	if l.host.counters.Suppressed != 1 {
		t.Errorf("%d suppressed, want 1", l.host.counters.Suppressed)
	}
	l.hear(general)
	l.pass(10 * time.Second)
	slices.Sort(l.said)
	l.want("a v3 query while v2 counts", "v2 report 239.1.1.1", "v2 report 239.1.1.2")

	// 2 × 125 s + 10 s after the v2 query.
	l.pass(260 * time.Second)
	l.set(third, exclude())
	l.want("v3 again", "TO_EX 239.1.1.3 []")
}

// A flood of general queries is answered once in each response time.
func TestOlderQueryFlood(t *testing.T) {
	l := newHostLab(t, HostConfig{Version: 2})
	for i := range 50 {
		l.host.SetFilter(l.now, manyGroups(i), exclude())
	}
	l.pass(time.Minute)
	l.said = nil
	for range 1000 {
		l.hear(igmp.Query{Version: 2, MaxResponse: time.Second})
		l.pass(2 * time.Millisecond)
	}
	l.pass(time.Second)
	if n := len(l.said); n < 100 || n > 150 {
		t.Errorf("%d reports in 3 s, want those of two or three queries", n)
	}
}

func TestIGMPv1Querier(t *testing.T) {
	l := newHostLab(t, HostConfig{})
	l.hear(igmp.Query{Version: 1, MaxResponse: 10 * time.Second})
	l.set(groupA, exclude())
	l.pass(time.Minute)
	l.want("join", "v1 report 239.1.1.1", "v1 report 239.1.1.1")
	l.set(groupA, include())
	l.pass(time.Minute)
	l.want("version 1 has no leave")
}

func TestMLD(t *testing.T) {
	l := newHostLab(t, HostConfig{IPv6: true})
	source := netip.MustParseAddr("fd00::9")
	l.set(groupSix, include(source))
	l.want("join", "ALLOW ff0e::1 [fd00::9]")
	l.pass(time.Minute)
	l.said = nil
	l.hearMLD(mld.Query{Version: 2, MaxResponse: 10 * time.Second})
	l.pass(10 * time.Second)
	l.want("answer", "IS_IN ff0e::1 [fd00::9]")
	l.hearMLD(mld.Query{Version: 1, MaxResponse: time.Second})
	l.pass(time.Second)
	l.want("in version 1", "v1 report ff0e::1")
	l.set(groupSix, include())
	l.want("leave in version 1", "done ff0e::1")
}
