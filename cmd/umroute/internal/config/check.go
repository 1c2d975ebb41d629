package config

import (
	"fmt"
	"net/netip"
)

// checkDevices holds that no two interfaces share a device: each would get
// every other packet. Two names of one namespace are seen through as far as
// they can be without looking at the system.
func (d *decoder) checkDevices(drafts []draft) {
	type place struct {
		netns  Netns
		device string
	}
	devices, descriptors := make(map[place]draft), make(map[int]draft)
	for _, i := range drafts {
		if i.FD != 0 {
			if other, taken := descriptors[i.FD]; taken {
				d.problem(i.at["fd"], "", "fd: %d is already that of interface %s",
					i.FD, other.Name)
				continue
			}
			descriptors[i.FD] = i
		}
		// A place that could not be read is its default by now, which would
		// put interfaces together that are not.
		if i.Device == "" || !i.placed {
			continue
		}
		p := place{i.Netns.canonical(), i.Device}
		if other, taken := devices[p]; taken {
			d.problem(i.deviceAt(), "give it another device or netns",
				"interface %s: device %s in netns %s is already that of interface %s",
				i.Name, i.Device, i.Netns, other.Name)
			continue
		}
		devices[p] = i
	}
}

// deviceAt returns the place that best stands for the interface's device.
func (i *draft) deviceAt() Position {
	for _, key := range []string{"device", "netns"} {
		if at, ok := i.at[key]; ok {
			return at
		}
	}
	return i.Pos
}

// owned is an address with the interface that has it.
type owned struct {
	netip.Prefix
	iface string
}

// checkAddresses holds that the router can tell its links apart, and that the
// other side of each can be reached.
func (d *decoder) checkAddresses(drafts []draft) {
	var routers []owned
	for _, i := range drafts {
		for n, p := range i.Addresses {
			d.checkRouterAddress(owned{p, i.Name}, routers, i.addressesAt[n])
			routers = append(routers, owned{p, i.Name})
		}
	}
	// All addresses of the router are known by now, so that a peer may stand
	// before the interface it collides with.
	peers := make(map[netip.Addr]string)
	for _, i := range drafts {
		for n, p := range i.PeerAddresses {
			if !d.checkPeer(p, &i, i.peersAt[n]) {
				continue
			}
			if other, taken := peers[p.Addr()]; taken && !p.Addr().IsLinkLocalUnicast() {
				d.problem(i.peersAt[n], "",
					"peer-addresses: %s is already on interface %s", p.Addr(), other)
			}
			peers[p.Addr()] = i.Name
		}
	}
}

// checkRouterAddress holds that an address is unique, and that its prefix is
// on one interface only: unicast and reverse paths have one way to it.
func (d *decoder) checkRouterAddress(a owned, others []owned, at Position) {
	for _, o := range others {
		same := a.Addr() == o.Addr()
		switch {
		case a.iface == o.iface && same:
			d.problem(at, "", "addresses: %s is given twice", a.Addr())
			return
		// Every link has its own fe80::/10 (RFC 4291 section 2.5.6), and one
		// link may have several addresses of a prefix.
		case a.iface == o.iface, a.Addr().IsLinkLocalUnicast() && o.Addr().IsLinkLocalUnicast():
		case a.Overlaps(o.Prefix):
			d.problem(at, "each interface has prefixes of its own",
				"addresses: %s overlaps %s of interface %s", a.Prefix, o.Prefix, o.iface)
			return
		}
	}
}

// checkPeer holds that the other side of the link is on the link.
func (d *decoder) checkPeer(p netip.Prefix, i *draft, at Position) bool {
	family, onLink := false, false
	for _, a := range i.Addresses {
		if a.Addr() == p.Addr() {
			d.problem(at, "", "peer-addresses: %s is the router's own address", p.Addr())
			return false
		}
		if a.Addr().Is4() != p.Addr().Is4() {
			continue
		}
		family = true
		// A router's address of full length says nothing about its link.
		onLink = onLink || a.IsSingleIP() || a.Contains(p.Addr())
	}
	switch {
	case onLink, d.addressFault:
		return true
	case family:
		d.problem(at, fmt.Sprintf("the addresses of interface %s say which", i.Name),
			"peer-addresses: %s is in none of the router's prefixes", p.Addr())
	// The stack gives the router's side a link-local address by itself.
	case p.Addr().IsLinkLocalUnicast() && p.Addr().Is6():
		return true
	default:
		d.problem(at, "add one to addresses",
			"peer-addresses: the router has no address of the family of %s", p.Addr())
	}
	return false
}
