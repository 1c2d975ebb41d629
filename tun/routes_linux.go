package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// defaultRouteMetric is far behind what people and their tools give a default
// route: the router takes over nobody's way to the Internet.
const defaultRouteMetric = 30000

// kernelMetricIPv6 is that of the ff00::/8 routes that the kernel makes for
// every device, in the local table. Those of this package come before them.
const kernelMetricIPv6 = 256

// metricTries is how many metrics from a device's own one upwards are tried
// where others have routes of the same metrics.
const metricTries = kernelMetricIPv6 / 2

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
		index := link.Attrs().Index
		routes := []*netlink.Route{multicastRoute(family, index)}
		if route, ok := defaultRoute(family, index, config); ok {
			routes = append(routes, route)
		}
		for _, route := range routes {
			if err := addRoute(link, family, route); err != nil {
				return err
			}
		}
	}
	return nil
}

// multicastRoute sends multicast that no socket option directs to the device.
// A namespace has one route of a prefix and metric, so each device has a metric
// of its own, and the device that was made first goes first, also after others
// were down.
func multicastRoute(family, index int) *netlink.Route {
	if family == netlink.FAMILY_V4 {
		return &netlink.Route{
			LinkIndex: index, Dst: ipNet(multicastIPv4), Scope: netlink.SCOPE_LINK,
			Table: unix.RT_TABLE_MAIN, Priority: index,
		}
	}
	// The main table would never be asked: the local one has an ff00::/8 for
	// every device that is up, and comes first. Room for metricTries is left
	// before that, so the order of devices holds up to that many.
	return &netlink.Route{
		LinkIndex: index, Dst: ipNet(multicastIPv6), Type: unix.RTN_MULTICAST,
		Table: unix.RT_TABLE_LOCAL, Priority: 1 + (index-1)%(kernelMetricIPv6-metricTries),
	}
}

// defaultRoute leads through the router. On a TAP that needs the router's
// address, so there is none for a family in which the router has none.
func defaultRoute(family, index int, config Config) (*netlink.Route, bool) {
	dst := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	if family == netlink.FAMILY_V4 {
		dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	route := &netlink.Route{
		LinkIndex: index, Dst: ipNet(dst), Table: unix.RT_TABLE_MAIN,
		Priority: defaultRouteMetric + index,
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
	have, err := similarRoutes(link, family, route)
	if err != nil {
		return fmt.Errorf("list routes to %s: %w", route.Dst, err)
	}
	for i := range have {
		if servesAs(&have[i], route) {
			return nil
		}
	}
	if err := addBehindOthers(route); err != nil {
		return fmt.Errorf("add a route to %s: %w", route.Dst, err)
	}
	return nil
}

// similarRoutes are those of the device in a route's table and to its prefix.
// One that is left out, since others kept changing, is added a second time,
// which does no harm.
func similarRoutes(
	link netlink.Link, family int, route *netlink.Route,
) ([]netlink.Route, error) {
	filter := &netlink.Route{LinkIndex: link.Attrs().Index, Table: route.Table, Dst: route.Dst}
	const fields = netlink.RT_FILTER_OIF | netlink.RT_FILTER_TABLE | netlink.RT_FILTER_DST
	have, _, err := whole(func() (list []netlink.Route, err error) {
		err = netlink.RouteListFilteredIter(family, filter, fields, func(r netlink.Route) bool {
			list = append(list, r)
			return true
		})
		return list, err
	})
	return have, err
}

// servesAs reports whether a route of the same device and prefix makes another
// needless, whichever metric somebody has chosen for it. The kernel's own does
// not: it is there for every device.
func servesAs(have, want *netlink.Route) bool {
	if want.Table == unix.RT_TABLE_LOCAL && have.Priority >= kernelMetricIPv6 {
		return false
	}
	return have.Gw.Equal(want.Gw)
}

// addBehindOthers adds a route behind those that have its metric already.
func addBehindOthers(route *netlink.Route) error {
	var err error
	for range metricTries {
		err = netlink.RouteAdd(route)
		if !errors.Is(err, unix.EEXIST) {
			return err
		}
		route.Priority++
	}
	return err
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
