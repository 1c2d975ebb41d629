package kernel

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Route is a way to a prefix by a device. A route with several next hops is
// several of them.
type Route struct {
	Prefix   netip.Prefix
	Via      netip.Addr // gateway; the zero Addr where the destinations are on the link
	Device   int        // index of the device
	Metric   int        // the lowest is preferred
	Protocol int        // who made it: RTPROT_STATIC and so on
}

// List gives the routes of the main table to which packets may be sent, sorted.
func List() ([]Route, error) {
	var list []Route
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		found, err := dump(family)
		if err != nil {
			return nil, fmt.Errorf("list the kernel's routes: %w", err)
		}
		for i := range found {
			list = append(list, routesOf(&found[i])...)
		}
	}
	slices.SortFunc(list, Route.compare)
	return list, nil
}

// dump asks again where the table changed while it was read.
func dump(family int) (routes []netlink.Route, err error) {
	const attempts = 5
	for range attempts {
		routes, err = netlink.RouteListFiltered(family,
			&netlink.Route{Table: unix.RT_TABLE_MAIN, Type: unix.RTN_UNICAST},
			netlink.RT_FILTER_TABLE|netlink.RT_FILTER_TYPE)
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return routes, err
}

// routesOf translates a route of the library, whose default route may have no
// destination.
func routesOf(r *netlink.Route) []Route {
	route := Route{Metric: r.Priority, Protocol: int(r.Protocol), Device: r.LinkIndex}
	v6 := r.Family == netlink.FAMILY_V6
	if r.Dst != nil {
		address, ok := netip.AddrFromSlice(r.Dst.IP)
		bits, _ := r.Dst.Mask.Size()
		if !ok {
			return nil
		}
		if !v6 {
			address = address.Unmap()
		}
		route.Prefix = netip.PrefixFrom(address, bits)
	} else if v6 {
		route.Prefix = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	} else {
		route.Prefix = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	if !route.Prefix.IsValid() || route.Prefix.Addr().IsMulticast() {
		return nil
	}
	if len(r.MultiPath) == 0 {
		route.Via = gateway(r.Gw, r.Via)
		return []Route{route}
	}
	var list []Route
	for _, hop := range r.MultiPath {
		route.Device, route.Via = hop.LinkIndex, gateway(hop.Gw, hop.Via)
		list = append(list, route)
	}
	return list
}

// gateway is the next hop, the zero Addr where there is none. One of the other
// family (RFC 9229) is given in via.
func gateway(ip net.IP, via netlink.Destination) netip.Addr {
	if other, ok := via.(*netlink.Via); ok && other != nil {
		ip = other.Addr
	}
	address, _ := netip.AddrFromSlice(ip)
	return address.Unmap()
}

func (r Route) compare(other Route) int {
	return cmp.Or(r.Prefix.Compare(other.Prefix), cmp.Compare(r.Metric, other.Metric),
		cmp.Compare(r.Device, other.Device), r.Via.Compare(other.Via),
		cmp.Compare(r.Protocol, other.Protocol))
}
