package router_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// TestProxySeveralUpstreams has two LANs upstream, one of which is for a range
// of groups.
func TestProxySeveralUpstreams(t *testing.T) {
	t.Parallel()
	wan, tv := newLAN(t, 9), newLAN(t, 8)
	farWAN, farTV := wan.attach(20), tv.attach(20)
	red := newStation(t, 1)
	atWAN, atTV := watch(t, farWAN.Host, device), watch(t, farTV.Host, device)
	p := startRouter(t, "interfaces:\n"+wan.tap("wan", ours, "")+tv.tap("tv", ours, "")+
		red.tun("red", "")+"protocols: {proxy: {upstream: [wan, tv], downstream: [red], "+
		"rules: [{upstream: tv, groups: [239.2.0.0/16]}]}}\n")
	one := netip.MustParseAddrPort("239.1.1.1:5001")
	two := netip.MustParseAddrPort("239.2.1.1:5002")
	first, second := red.join(one), red.join(two)
	usWAN, usTV := netip.MustParseAddr("10.0.9.2"), netip.MustParseAddr("10.0.8.2")
	eventually(t, "a report on each LAN", func() bool {
		return atWAN.reported(usWAN)[one.Addr()] && atTV.reported(usTV)[two.Addr()]
	})
	if atWAN.reported(usWAN)[two.Addr()] || atTV.reported(usTV)[one.Addr()] {
		t.Error("a group is asked for where it does not belong")
	}
	farWAN.stream(farWAN.v4, one)
	farTV.stream(farTV.v4, two)
	receives(t, first, farWAN.v4)
	receives(t, second, farTV.v4)
	red.stream(red.v4, one)
	red.stream(red.v4, two)
	eventually(t, "the streams of red upstream", func() bool {
		return slices.Equal(p.outputs(red.v4, one.Addr()), []string{"wan"}) &&
			slices.Equal(p.outputs(red.v4, two.Addr()), []string{"tv"})
	})
}

// TestProxiesOnOneLink has two proxies between the same LANs. The querier of the
// lower one forwards there (RFC 4605 section 4.2), and the other one takes over.
func TestProxiesOnOneLink(t *testing.T) {
	t.Parallel()
	upper, lower := newLAN(t, 9), newLAN(t, 3)
	far, member := upper.attach(20), lower.attach(20)
	proxy := func(number int) *running {
		yaml := "interfaces:\n"
		for _, l := range []*lan{upper, lower} {
			name := fmt.Sprint("tap", number)
			l.Run("ip", "tuntap", "add", "dev", name, "mode", "tap")
			l.Run("ip", "link", "set", name, "master", "br0", "up")
			yaml += l.tap(fmt.Sprint("lan", l.number), number, ", device: "+name+
				", igmp: {query-interval: 1s, query-response-interval: 500ms}")
		}
		return startRouter(t, yaml+"protocols: {proxy: {upstream: [lan9], downstream: [lan3]}}\n")
	}
	low, high := proxy(1), proxy(2)
	eventually(t, "the election", func() bool {
		return low.igmp("lan3").IsQuerier && high.igmp("lan3").Querier == "10.0.3.1"
	})
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	conn := member.join(group)
	low.awaitAsked(group.Addr(), "exclude")
	high.awaitAsked(group.Addr(), "exclude")
	far.stream(far.v4, group)
	receives(t, conn, far.v4)
	eventually(t, "the higher one to know the flow", func() bool {
		return high.outputs(far.v4, group.Addr()) != nil
	})
	for range 100 {
		receives(t, conn, far.v4)
	}
	if got := low.outputs(far.v4, group.Addr()); !slices.Equal(got, []string{"lan3"}) {
		t.Errorf("the querier forwards to %v", got)
	}
	if got := high.outputs(far.v4, group.Addr()); len(got) != 0 {
		t.Errorf("the other router forwards to %v", got)
	}
	low.stop()
	eventually(t, "the other one to take over", func() bool {
		return slices.Equal(high.outputs(far.v4, group.Addr()), []string{"lan3"})
	})
	receives(t, conn, far.v4)
}
