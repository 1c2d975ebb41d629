package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/tun/netns"
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

// configure sets up the namespace's side of a device, on a thread that is in
// that namespace. It changes nothing that is right already.
func (d *device) configure(config Config, foreign bool) error {
	link, err := netlink.LinkByName(d.name)
	if err != nil {
		return fmt.Errorf("find the device: %w", err)
	}
	if err := setAttributes(link, config); err != nil {
		return err
	}
	// Addresses before up: the first report of a host then has a source.
	if err := addAddresses(link, config.PeerAddresses); err != nil {
		return err
	}
	if err := setUp(link); err != nil {
		return err
	}
	if config.PeerRoutes {
		if err := addRoutes(link, config); err != nil {
			return err
		}
	}
	if foreign {
		if err := netns.RaiseLoopback(); err != nil {
			config.Logger.Warn("loopback stays down", "device", d.name, "err", err)
		}
	}
	return nil
}

// follow subscribes to the device's changes and then looks at the device. In
// this order no change is missed, and none is told that Open itself made.
func (d *device) follow() error {
	subscription, err := subscribe()
	if err != nil {
		return err
	}
	if err := d.inspect(); err != nil {
		subscription.Close()
		return err
	}
	d.netlink = subscription
	return nil
}

// inspect reads the state of a device from the namespace of this thread.
func (d *device) inspect() error {
	link, err := netlink.LinkByName(d.name)
	if err != nil {
		return fmt.Errorf("find the device: %w", err)
	}
	if t, ok := link.(*netlink.Tuntap); ok && t.Mode != 0 && t.Flags&netlink.TUNTAP_NO_PI == 0 {
		return errPacketInfo
	}
	attrs := link.Attrs()
	d.index, d.mtu, d.up = attrs.Index, attrs.MTU, attrs.RawFlags&unix.IFF_UP != 0
	d.rpf = reversePathFilter(d.name)
	return nil
}

// setAttributes sets the MTU, the queue to the reader and the multicast flag.
func setAttributes(link netlink.Link, config Config) error {
	attrs := link.Attrs()
	if attrs.MTU != config.MTU {
		if err := netlink.LinkSetMTU(link, config.MTU); err != nil {
			return fmt.Errorf("set mtu %d: %w", config.MTU, err)
		}
	}
	if attrs.TxQLen != config.TxQueueLen {
		if err := netlink.LinkSetTxQLen(link, config.TxQueueLen); err != nil {
			return fmt.Errorf("set txqueuelen %d: %w", config.TxQueueLen, err)
		}
	}
	if attrs.RawFlags&unix.IFF_MULTICAST == 0 {
		if err := netlink.LinkSetMulticastOn(link); err != nil {
			return fmt.Errorf("set the multicast flag: %w", err)
		}
	}
	return nil
}

func addAddresses(link netlink.Link, want []netip.Prefix) error {
	if len(want) == 0 {
		return nil
	}
	have, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, prefix := range want {
		addr := &netlink.Addr{IPNet: ipNet(prefix)}
		if containsAddr(have, addr) {
			continue
		}
		if prefix.Addr().Is6() {
			// Without duplicate address detection (RFC 4862 section 5.4) it can
			// be used at once; whoever configures both ends knows them to differ.
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("add address %s: %w%s", prefix, err, ipv6Hint(prefix.Addr(), err))
		}
	}
	return nil
}

func containsAddr(have []netlink.Addr, addr *netlink.Addr) bool {
	for i := range have {
		if have[i].Equal(*addr) {
			return true
		}
	}
	return false
}

// ipv6Hint explains what the kernel answers where IPv6 is turned off.
func ipv6Hint(addr netip.Addr, err error) string {
	if !addr.Is6() {
		return ""
	}
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EOPNOTSUPP) {
		return " (is IPv6 disabled in this namespace? see net.ipv6.conf.*.disable_ipv6)"
	}
	return ""
}

func setUp(link netlink.Link) error {
	if link.Attrs().RawFlags&unix.IFF_UP != 0 {
		return nil
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring it up: %w", err)
	}
	return nil
}

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

// addRoute adds a route unless the device has one like it.
func addRoute(link netlink.Link, family int, route *netlink.Route) error {
	filter := &netlink.Route{LinkIndex: link.Attrs().Index, Table: route.Table, Dst: route.Dst}
	have, err := netlink.RouteListFiltered(family, filter,
		netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE|netlink.RT_FILTER_DST)
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

func firstOfFamily(prefixes []netip.Prefix, family int) (netip.Addr, bool) {
	for _, p := range prefixes {
		if p.Addr().Is4() == (family == netlink.FAMILY_V4) {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{
		IP:   p.Addr().AsSlice(),
		Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
	}
}

// reversePathFilter is the rp_filter that this thread's namespace applies to a
// device, the greater of the device's and the one for all; -1 if unreadable.
func reversePathFilter(name string) int {
	mode := -1
	for _, conf := range []string{"all", name} {
		path := filepath.Join("/proc/sys/net/ipv4/conf", conf, "rp_filter")
		text, err := os.ReadFile(path)
		if err != nil {
			return -1
		}
		value, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return -1
		}
		mode = max(mode, value)
	}
	return mode
}
