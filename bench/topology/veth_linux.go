package topology

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/tun/netns"
)

// Port names the router's device that leads to host i, of a topology with veth
// pairs.
func Port(i int) string { return fmt.Sprintf("port%d", i) }

// NewVeth makes a topology whose router is a network namespace, which veth
// pairs join to the hosts.
func NewVeth(receivers int) (*Topology, error) {
	t, err := New(receivers)
	if err != nil {
		return nil, err
	}
	if t.Router, err = netns.New(); err != nil {
		t.Close()
		return nil, err
	}
	for i, h := range t.Hosts {
		if err := t.join(i, h); err != nil {
			t.Close()
			return nil, fmt.Errorf("join host %d to the router: %w", i, err)
		}
	}
	return t, nil
}

// join makes the pair for host i and configures both ends.
func (t *Topology) join(i int, h Host) error {
	target, err := os.Open(h.Namespace.Path())
	if err != nil {
		return err
	}
	defer target.Close()
	// The pair is made where both ends can be named: one end is born in the
	// host's namespace, and no name clashes on the way.
	err = t.Router.Do(func() error {
		pair := &netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: Port(i)},
			PeerName:      Device,
			PeerNamespace: netlink.NsFd(target.Fd()),
		}
		if err := netlink.LinkAdd(pair); err != nil {
			return fmt.Errorf("add a veth pair: %w", err)
		}
		return configure(Port(i), h.Gateways)
	})
	if err != nil {
		return err
	}
	return h.Namespace.Do(func() error {
		if err := configure(Device, h.Addresses); err != nil {
			return err
		}
		return addRoutes(h)
	})
}

// configure gives a device its addresses and brings it up, in the namespace of
// this thread.
func configure(device string, addresses []netip.Prefix) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("find %s: %w", device, err)
	}
	for _, prefix := range addresses {
		// Duplicate address detection would take a second.
		addr := &netlink.Addr{IPNet: ipNet(prefix)}
		if prefix.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("add %s to %s: %w", prefix, device, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring %s up: %w", device, err)
	}
	return nil
}

// addRoutes gives a host the routes that one behind a TUN has: without a route
// to the sender, the reverse path filter would drop what it sends.
func addRoutes(h Host) error {
	link, err := netlink.LinkByName(Device)
	if err != nil {
		return err
	}
	routes := []struct {
		to      string
		gateway *netip.Prefix
	}{
		{"224.0.0.0/4", nil}, {"0.0.0.0/0", &h.Gateways[0]}, {"::/0", &h.Gateways[1]},
	}
	for _, r := range routes {
		route := &netlink.Route{
			LinkIndex: link.Attrs().Index, Dst: ipNet(netip.MustParsePrefix(r.to)),
		}
		if r.gateway != nil {
			route.Gw = r.gateway.Addr().AsSlice()
		} else {
			route.Scope = netlink.SCOPE_LINK
		}
		if err := netlink.RouteAdd(route); err != nil {
			return fmt.Errorf("add a route to %s: %w", r.to, err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{
		IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
	}
}
