package tun

import (
	"net/netip"
	"testing"
	"time"

	"umroute/tun/netns/netnstest"
)

// TestAskAfterLoss has the link believe what is not so, as after changes that
// the netlink socket had no room for.
func TestAskAfterLoss(t *testing.T) {
	host := netnstest.NewHost(t)
	link, err := Open(Config{Netns: host.Netns()})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	link.up.Store(false)
	link.mtu.Store(1234)
	link.watch.ask()
	for _, want := range []Event{{EventMTU, 1500}, {EventUp, 1500}} {
		select {
		case got := <-link.Events():
			if got != want {
				t.Errorf("event %v, mtu %d; want %v, mtu %d", got.Type, got.MTU, want.Type, want.MTU)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no event, want %v", want.Type)
		}
	}
}

// TestRestoreAfterLoss drops a route while the link looks away.
func TestRestoreAfterLoss(t *testing.T) {
	host := netnstest.NewHost(t)
	link, err := Open(Config{
		Netns: host.Netns(), PeerRoutes: true,
		PeerAddresses: []netip.Prefix{netip.MustParsePrefix("10.0.1.2/24")},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	link.watch.halt()
	for _, missed := range []bool{false, true} {
		host.Run("ip", "route", "flush", "default")
		link.watch.missed = missed
		link.watch.changed(true, 1500)
		if got := host.Run("ip", "route", "show", "default") != ""; got != missed {
			t.Errorf("changes missed: %v, route restored: %v", missed, got)
		}
	}
}

// TestChangeAfterTheEnd tells of a device in a namespace that nobody is in.
func TestChangeAfterTheEnd(t *testing.T) {
	host := netnstest.NewHost(t)
	link, err := Open(Config{Netns: host.Netns()})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	link.watch.removed(errProcessExited)
	link.watch.changed(true, 1400)
	if event := <-link.Events(); event.Type != EventRemoved {
		t.Errorf("event %v, want %v", event.Type, EventRemoved)
	}
	if link.Up() || link.MTU() != 1500 || len(link.Events()) > 0 {
		t.Errorf("up %v, mtu %d, %d events", link.Up(), link.MTU(), len(link.Events()))
	}
}
