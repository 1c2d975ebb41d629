package router_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"umroute/cmd/umroute/internal/control"
	"umroute/stack/igmp"
)

// proxyLab is a proxy between a LAN, upstream, and two hosts, downstream.
type proxyLab struct {
	*running
	lan       *lan
	far       *station // on the LAN
	red, blue *station
	wire      *wire // what goes over the LAN, seen by far
}

// proxyLink is number of the LAN, and ours the router's host number there.
const proxyLink, ours = 9, 2

func newProxyLab(t testing.TB, more string) *proxyLab {
	t.Helper()
	l := &proxyLab{lan: newLAN(t, proxyLink), red: newStation(t, 1), blue: newStation(t, 2)}
	l.far = l.lan.attach(20)
	l.far.sysctl("ipv4/igmp_max_memberships", "4000")
	l.wire = watch(t, l.far.Host, device)
	l.running = startRouter(t, l.yaml(more))
	return l
}

func (l *proxyLab) yaml(more string) string {
	const quick = ", igmp: {max-groups: 0, query-interval: 5s, query-response-interval: 1s}"
	return "interfaces:\n" + l.lan.tap("wan", ours, more) + l.red.tun("red", quick) +
		l.blue.tun("blue", quick) +
		"protocols: {proxy: {upstream: [wan], downstream: [red, blue]}}\n"
}

// proxy is what "show protocols" tells of the proxy of a family.
func (p *running) proxy(family string) control.Protocol {
	p.t.Helper()
	all, err := p.router.Protocols(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, each := range all {
		if each.Name == "proxy" && each.Family == family {
			return each
		}
	}
	p.t.Fatalf("no proxy of %s", family)
	return control.Protocol{}
}

// asked says what the router asks for upstream: the mode and sources of a group,
// "" if it does not ask.
func (p *running) asked(group netip.Addr) string {
	p.t.Helper()
	all, err := p.router.Groups(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, g := range all {
		if g.Upstream && g.Group == group.String() {
			text := g.Mode
			for _, s := range g.Sources {
				text += " " + s.Address
			}
			return text
		}
	}
	return ""
}

func (p *running) awaitAsked(group netip.Addr, want string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("upstream to be asked for %q of %v", want, group), func() bool {
		return p.asked(group) == want
	})
}

// receives waits until a socket has a datagram from a source.
func receives(t testing.TB, conn interface {
	SetReadDeadline(time.Time) error
	ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
}, source netip.Addr) {
	t.Helper()
	b := make([]byte, 2048)
	deadline := time.Now().Add(patience)
	for {
		if err := conn.SetReadDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		_, from, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatalf("nothing from %v: %v", source, err)
		}
		if from.Addr() == source {
			return
		}
	}
}

// TestProxyForwards has hosts on all links send and listen (RFC 4605 section
// 4.3), in both families.
func TestProxyForwards(t *testing.T) {
	t.Parallel()
	l := newProxyLab(t, "")
	for _, tt := range []struct {
		group     netip.AddrPort
		far, host netip.Addr
	}{
		{netip.MustParseAddrPort("239.1.1.1:5001"), l.far.v4, l.red.v4},
		{netip.MustParseAddrPort("[ff0e::1:1]:5001"), l.far.v6, l.red.v6},
	} {
		red, blue := l.red.join(tt.group), l.blue.join(tt.group)
		upstream := l.far.join(tt.group)
		l.awaitAsked(tt.group.Addr(), "exclude")
		l.far.stream(tt.far, tt.group)
		receives(t, red, tt.far)
		receives(t, blue, tt.far)
		l.red.stream(tt.host, tt.group)
		receives(t, blue, tt.host)
		receives(t, upstream, tt.host)
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		p := l.proxy(family)
		if len(p.Upstream) != 1 || p.Upstream[0].Interface != "wan" || p.Upstream[0].Groups != 1 ||
			len(p.Downstream) != 2 || len(p.Interfaces) != 3 || p.Alerts["local_join"] < 2 {
			t.Errorf("%s: %+v", family, p)
		}
	}
	if q := l.igmp("wan"); q.Enabled {
		t.Errorf("the router side runs upstream: %+v", q)
	}
	if n := l.wire.number(igmp.TypeQuery, netip.MustParseAddr("10.0.9.2")); n != 0 {
		t.Errorf("%d queries upstream", n)
	}
}

// TestProxyMergesFilters has Linux hosts ask for sources, and for all but some.
func TestProxyMergesFilters(t *testing.T) {
	t.Parallel()
	l := newProxyLab(t, "")
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	l.red.join(group, one)
	l.awaitAsked(group.Addr(), "include 192.0.2.1")
	blue := l.blue.join(group)
	l.awaitAsked(group.Addr(), "exclude")
	l.blue.block(blue, group.Addr(), one)
	l.blue.block(blue, group.Addr(), two)
	l.awaitAsked(group.Addr(), "exclude 192.0.2.2")
	blue.Close()
	l.awaitAsked(group.Addr(), "include 192.0.2.1")
}

// TestProxyLeaves has one listener after another go. Upstream hears of the last.
func TestProxyLeaves(t *testing.T) {
	t.Parallel()
	l := newProxyLab(t, "")
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	begin := time.Now()
	red, blue := l.red.join(group), l.blue.join(group)
	l.awaitGroup("red", group.Addr())
	l.awaitGroup("blue", group.Addr())
	red.Close()
	eventually(t, "red to leave", func() bool {
		_, there := l.group("red", group.Addr())
		return !there
	})
	l.awaitAsked(group.Addr(), "exclude")
	if _, left := l.wire.leave(group.Addr(), begin); left {
		t.Error("a leave upstream although blue listens")
	}
	blue.Close()
	l.awaitAsked(group.Addr(), "")
	eventually(t, "the leave upstream", func() bool {
		_, left := l.wire.leave(group.Addr(), begin)
		return left
	})
}

// TestProxyStops ends a router whose links want a group.
func TestProxyStops(t *testing.T) {
	t.Parallel()
	l := newProxyLab(t, "")
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	l.red.join(group)
	l.awaitAsked(group.Addr(), "exclude")
	begin := time.Now()
	l.stop()
	eventually(t, "the leave upstream", func() bool {
		_, left := l.wire.leave(group.Addr(), begin)
		return left
	})
}

// TestProxyUpstreamLost takes the LAN away and gives it back.
func TestProxyUpstreamLost(t *testing.T) {
	t.Parallel()
	l := newProxyLab(t, "")
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	blue := l.blue.join(group)
	l.awaitAsked(group.Addr(), "exclude")
	l.red.stream(l.red.v4, group)
	receives(t, blue, l.red.v4)

	l.lan.Run("ip", "link", "set", device, "down")
	eventually(t, "the proxy to see it", func() bool { return !l.proxy("ipv4").Upstream[0].Up })
	for range 100 { // streams go on among the downstream links
		receives(t, blue, l.red.v4)
	}
	l.awaitAsked(group.Addr(), "exclude")
	l.lan.Run("ip", "link", "set", device, "up")
	again := time.Now()
	eventually(t, "the join upstream", func() bool {
		return l.wire.joined(group.Addr(), again)
	})
	l.far.stream(l.far.v4, group)
	receives(t, blue, l.far.v4)
}

// joined says whether a report since a time asked for a group from any source.
func (w *wire) joined(group netip.Addr, since time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.messages {
		if m.at.Before(since) || m.kind != igmp.TypeV3Report {
			continue
		}
		var report igmp.Report
		if report.UnmarshalBinary(m.octets) != nil {
			continue
		}
		for _, r := range report.Records {
			if r.Group == group && (r.Type == igmp.ToExclude || r.Type == igmp.IsExclude) {
				return true
			}
		}
	}
	return false
}
