package tun_test

import (
	"testing"
	"time"

	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

// TestMulticastFlag takes the flag MULTICAST from a device and gives it back.
func TestMulticastFlag(t *testing.T) {
	host := netnstest.NewHost(t)
	link := open(t, peerConfig(host, tun.KindTUN))
	await := func(want bool) {
		t.Helper()
		deadline := time.Now().Add(patience)
		for {
			if has, known := link.MulticastFlag(); known && has == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("waited %v for the flag to be %v", patience, want)
			}
			time.Sleep(time.Millisecond)
		}
	}
	await(true)
	host.Run("ip", "link", "set", "mc0", "multicast", "off")
	await(false)
	host.Run("ip", "link", "set", "mc0", "multicast", "on")
	await(true)
}
