package tun

import (
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
