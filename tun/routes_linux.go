package tun

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// defaultRouteMetric is far behind what people and their tools give a default
// route: the router takes over nobody's way to the Internet.
const defaultRouteMetric = 30000

// multicastMetricIPv6 comes before the ff00::/8 routes that the kernel makes
// for every device, in the local table, with 256.
const multicastMetricIPv6 = 128

// All multicast: RFC 1112 section 4 and RFC 4291 section 2.7.
var (
	multicastIPv4 = netip.MustParsePrefix("224.0.0.0/4")
	multicastIPv6 = netip.MustParsePrefix("ff00::/8")
)

// addRoutes gives each family that has a peer address its two routes.
func addRoutes(link netlink.Link, config Config) error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		if _, ok := firstOfFamily(config.PeerAddresses, family); !ok {
			continue
		}
		routes := []*netlink.Route{multicastRoute(family)}
		if route, ok := defaultRoute(family, config); ok {
			routes = append(routes, route)
		}
		for _, route := range routes {
			route.LinkIndex = link.Attrs().Index
			if err := addRoute(link, family, route); err != nil {
				return err
			}
		}
	}
	return nil
}

// multicastRoute sends multicast that no socket option directs to the device.
func multicastRoute(family int) *netlink.Route {
	if family == netlink.FAMILY_V4 {
		return &netlink.Route{
			Dst: ipNet(multicastIPv4), Scope: netlink.SCOPE_LINK, Table: unix.RT_TABLE_MAIN,
		}
	}
	// The main table would never be asked: the local one has an ff00::/8 for
	// every device that is up, and comes first.
	return &netlink.Route{
		Dst: ipNet(multicastIPv6), Type: unix.RTN_MULTICAST,
		Table: unix.RT_TABLE_LOCAL, Priority: multicastMetricIPv6,
	}
}

// defaultRoute leads through the router. On a TAP that needs the router's
// address, so there is none for a family in which the router has none.
func defaultRoute(family int, config Config) (*netlink.Route, bool) {
	dst := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	if family == netlink.FAMILY_V4 {
		dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	route := &netlink.Route{
		Dst: ipNet(dst), Table: unix.RT_TABLE_MAIN, Priority: defaultRouteMetric,
	}
	if config.Kind == KindTUN {
		route.Scope = netlink.SCOPE_LINK
		return route, true
	}
	router, ok := firstOfFamily(config.Addresses, family)
	if !ok {
		return nil, false
	}
	route.Gw = router.AsSlice()
	// The router is on this link, also where the peer's prefix is too long to
	// say so.
	route.SetFlag(netlink.FLAG_ONLINK)
	return route, true
}

// addRoute adds a route unless the device has one like it. It is not enough to
// let the kernel refuse a second one: that needs the right to add one at all.
func addRoute(link netlink.Link, family int, route *netlink.Route) error {
	filter := &netlink.Route{LinkIndex: link.Attrs().Index, Table: route.Table, Dst: route.Dst}
	have, err := whole(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(family, filter,
			netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE|netlink.RT_FILTER_DST)
	})
	if err != nil {
		return fmt.Errorf("list routes to %s: %w", route.Dst, err)
	}
	for _, other := range have {
		if other.Priority == route.Priority && other.Gw.Equal(route.Gw) {
			return nil
		}
	}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("add a route to %s: %w", route.Dst, err)
	}
	return nil
}

// firstOfFamily is the address that stands for a family among several.
func firstOfFamily(prefixes []netip.Prefix, family int) (netip.Addr, bool) {
	for _, p := range prefixes {
		if p.Addr().Is4() == (family == netlink.FAMILY_V4) {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}

// ipNet is a prefix as package netlink takes it, host bits included.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{
		IP:   p.Addr().AsSlice(),
		Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
	}
}
