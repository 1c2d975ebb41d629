package router_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"umroute/cmd/umroute/internal/config"
)

// reload gives the router another configuration.
func (p *running) reload(yaml string) {
	p.t.Helper()
	settings, err := config.Parse("test", []byte(yaml))
	if err != nil {
		p.t.Fatal(err)
	}
	p.next.Store(settings)
	if _, err := p.router.Reload(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// TestProxyReload makes a router a proxy and back while a stream flows among
// its links, from which nobody is cut off.
func TestProxyReload(t *testing.T) {
	t.Parallel()
	l := newProxyLab(t, "")
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	blue := l.blue.join(group)
	l.awaitAsked(group.Addr(), "exclude")
	l.red.stream(l.red.v4, group)
	receives(t, blue, l.red.v4)

	proxied := l.yaml("")
	plain, _, _ := strings.Cut(proxied, "protocols:")
	before := time.Now()
	l.reload(plain)
	eventually(t, "the leave upstream", func() bool {
		_, left := l.wire.leave(group.Addr(), before)
		return left
	})
	if q := l.igmp("wan"); !q.Enabled || !q.IsQuerier {
		t.Errorf("%+v, want the router side to run upstream", q)
	}
	receives(t, blue, l.red.v4)

	upstream := l.far.join(netip.MustParseAddrPort("239.9.9.9:5001"))
	defer upstream.Close()
	l.awaitGroup("wan", netip.MustParseAddr("239.9.9.9"))
	l.reload(proxied)
	l.awaitAsked(group.Addr(), "exclude")
	eventually(t, "the router side to end upstream", func() bool {
		return !l.igmp("wan").Enabled
	})
	eventually(t, "only what the proxy asks for on wan", func() bool {
		return len(l.groups("wan")) == 1
	})
	receives(t, blue, l.red.v4)
	again := time.Now()
	l.reload(strings.Replace(proxied, "downstream: [red, blue]", "downstream: [blue]", 1))
	receives(t, blue, l.red.v4)
	until(t, again.Add(1500*time.Millisecond), "the group is asked for", func() bool {
		_, left := l.wire.leave(group.Addr(), again)
		return !left && l.asked(group.Addr()) == "exclude"
	})
}
