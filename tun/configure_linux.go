package tun

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/tun/netns"
)

// configure sets up the namespace's side of a device, on a thread that is in
// that namespace. It changes nothing that is right already.
func (d *device) configure(config Config, foreign bool) error {
	link, err := findLink(d.name)
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
	awaitLocal(link, config)
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
	link, err := findLink(d.name)
	if err != nil {
		return fmt.Errorf("find the device: %w", err)
	}
	// Kernels before 4.17 tell nothing about a TUN, not even its mode.
	if t, ok := link.(*netlink.Tuntap); ok && t.Mode != 0 && t.Flags&netlink.TUNTAP_NO_PI == 0 {
		return errPacketInfo
	}
	attrs := link.Attrs()
	d.index, d.mtu, d.up = attrs.Index, attrs.MTU, attrs.RawFlags&unix.IFF_UP != 0
	if attrs.Statistics != nil {
		d.lost = attrs.Statistics.TxDropped
	}
	if d.kind != KindPacket { // whose device is on the router's side
		d.rpf = reversePathFilter(d.name)
	}
	return nil
}

// setAttributes sets the MTU, the queue to the reader and the multicast flag.
// The queue is all that stands between a burst of reports and their loss: the
// kernel drops what does not fit, and the sender is not told.
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

// addAddresses gives the device the addresses that it does not have yet. Those
// of others stay.
func addAddresses(link netlink.Link, want []netip.Prefix) error {
	if len(want) == 0 {
		return nil
	}
	have, complete, err := whole(func() ([]netlink.Addr, error) {
		return netlink.AddrList(link, netlink.FAMILY_ALL)
	})
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, prefix := range want {
		if err := addAddress(link, prefix, have, complete); err != nil {
			return fmt.Errorf("add address %s: %w%s", prefix, err, ipv6Hint(prefix.Addr(), err))
		}
	}
	return nil
}

// addAddress gives the device one address unless it has that. complete says
// that have is all it has.
func addAddress(link netlink.Link, prefix netip.Prefix, have []netlink.Addr, complete bool) error {
	addr := &netlink.Addr{IPNet: ipNet(prefix)}
	if containsAddr(have, addr) {
		return nil
	}
	if prefix.Addr().Is6() {
		// Without duplicate address detection (RFC 4862 section 5.4) it can
		// be used at once; whoever configures both ends knows them to differ.
		addr.Flags = unix.IFA_F_NODAD
	}
	err := netlink.AddrAdd(link, addr)
	if !complete && errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

// containsAddr compares address and prefix length, and no lifetime or flag.
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

// setUp brings a device up. From here on the kernel reports memberships on it.
func setUp(link netlink.Link) error {
	if link.Attrs().RawFlags&unix.IFF_UP != 0 {
		return nil
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring it up: %w", err)
	}
	return nil
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
