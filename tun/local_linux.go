package tun

import (
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// How long awaitLocal waits for all addresses, and between two looks. A worker
// of the kernel's takes a few milliseconds, more on a busy machine.
const (
	localWait  = 200 * time.Millisecond
	localPause = time.Millisecond
)

// awaitLocal waits until the kernel takes packets to a device's IPv6 addresses
// in, and warns where that takes too long. Without duplicate address detection
// (RFC 4862 section 5.4) an address may be sent from at once, but its local
// route comes later, and until then every answer is dropped (Ip6InAddrErrors).
func awaitLocal(link netlink.Link, config Config) {
	deadline := time.Now().Add(localWait)
	for _, prefix := range config.PeerAddresses {
		if prefix.Addr().Is4() {
			continue // whose local route comes with it
		}
		for !isLocal(link, prefix.Addr()) {
			if time.Now().After(deadline) {
				config.Logger.Warn("an address cannot receive yet",
					"device", link.Attrs().Name, "address", prefix.Addr())
				return
			}
			time.Sleep(localPause)
		}
	}
}

// isLocal reports whether packets to an address are for this host.
func isLocal(link netlink.Link, addr netip.Addr) bool {
	// By device, since one in a VRF has tables of its own.
	through := &netlink.RouteGetOptions{OifIndex: link.Attrs().Index}
	routes, err := netlink.RouteGetWithOptions(addr.AsSlice(), through)
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}
