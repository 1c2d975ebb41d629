package config

import (
	"net/netip"

	"github.com/goccy/go-yaml/ast"
)

// draft is an interface whose place in the file is still of use.
type draft struct {
	Interface
	at          marks
	placed      bool       // its netns and device could be read
	addressesAt []Position // of each of Addresses
	peersAt     []Position // of each of PeerAddresses
}

// interfaces reads all of them, in the order of the file, which is also that
// of their start and of every table.
func (d *decoder) interfaces(e entry) []draft {
	var drafts []draft
	for _, e := range d.entries(e.value, e.key) {
		if !validName(e.key) {
			d.problem(e.at, namePattern, "interfaces: %s is not a name", quote(e.key))
		}
		drafts = append(drafts, d.iface(e))
	}
	return drafts
}

// iface reads one interface. What it says of others is checked once all are
// known.
func (d *decoder) iface(e entry) draft {
	i := draft{Interface: DefaultInterface(e.key), placed: true}
	i.Pos = e.at
	known := fields{
		"domain":            func(e entry) { d.name(e, &i.Domain) },
		"source-validation": func(e entry) { d.sourceValidation(e, &i.SourceValidation) },
		"max-flows":         func(e entry) { d.number(e, &i.MaxFlows, 0, maxFlows) },
		"mtu":               func(e entry) { d.number(e, &i.MTU, minIPv4MTU, maxMTU) },
		"ttl-threshold": func(e entry) {
			ttl := int(i.TTLThreshold)
			d.number(e, &ttl, 1, 255)
			i.TTLThreshold = uint8(ttl)
		},
		"boundary": func(e entry) { i.Boundary = d.groupNetworks(e) },
	}
	d.deviceFields(known, &i)
	d.hostFields(known, &i)
	d.addressFields(known, &i)
	// Both wait until the keys that decide their defaults are read, wherever
	// these stand.
	var igmp, mld entry
	known["igmp"] = func(e entry) { igmp = e }
	known["mld"] = func(e entry) { mld = e }
	i.at = d.section(e.value, e.key, known)

	// The addresses and the MTU decide what is on by default.
	i.Interface = i.withEnabled()
	d.membership(igmp, igmpFamily, &i.IGMP)
	enabledAt := d.membership(mld, mldFamily, &i.MLD)["enabled"]
	if i.MLD.Enabled && i.MTU < minIPv6MTU {
		d.problem(enabledAt, "RFC 8200 section 5: at least 1280",
			"mld: mtu %d carries no IPv6", i.MTU)
	}
	d.checkMTU(&i)
	d.checkDescriptor(&i)
	d.checkHost(&i)
	d.checkPacket(&i)
	return i
}

// deviceFields adds the keys that say where packets come from and go to.
func (d *decoder) deviceFields(known fields, i *draft) {
	known["link"] = func(e entry) { d.link(e, &i.Link) }
	known["netns"] = func(e entry) { i.placed = d.netns(e, &i.Netns) && i.placed }
	known["device"] = func(e entry) { i.placed = d.device(e, &i.Device) && i.placed }
	// 0 to 2 are standard input, output and error.
	known["fd"] = func(e entry) { d.number(e, &i.FD, 3, 1<<20) }
	known["io"] = func(e entry) { d.io(e, &i.IO) }
	known["coalesce"] = func(e entry) { d.boolean(e, &i.Coalesce) }
}

// link reads the kind of device.
func (d *decoder) link(e entry, target *Link) {
	s := string(*target)
	d.choice(e, &s, []string{"tun", "tap", "packet", "host"})
	*target = Link(s)
}

// io reads how packets are read and written.
func (d *decoder) io(e entry, target *IO) {
	s := string(*target)
	d.choice(e, &s, []string{"auto", "uring", "vectored", "plain"})
	*target = IO(s)
}

// addressFields adds the keys of the addresses on both sides of the link.
func (d *decoder) addressFields(known fields, i *draft) {
	known["addresses"] = func(e entry) { i.Addresses, i.addressesAt = d.hosts(e) }
	known["peer-addresses"] = func(e entry) { i.PeerAddresses, i.peersAt = d.hosts(e) }
	known["peer-routes"] = func(e entry) { d.boolean(e, &i.PeerRoutes) }
}

// hosts reads addresses that a host can have, with their prefix lengths. One
// that is wrong keeps the later checks from blaming others for its absence.
func (d *decoder) hosts(e entry) (hosts []netip.Prefix, at []Position) {
	if _, ok := e.value.(*ast.SequenceNode); !ok {
		d.addressFault = true
	}
	d.list(e, func(e entry) {
		var p netip.Prefix
		if !d.prefix(e, &p) {
			d.addressFault = true
			return
		}
		if why := hostFault(p); why != "" {
			d.addressFault = true
			d.problem(e.valueAt(), "as in 10.0.1.1/24 or fd00:1::1/64",
				"%s: %s is %s", e.key, p, why)
			return
		}
		hosts, at = append(hosts, p), append(at, e.valueAt())
	})
	return hosts, at
}

// hostFault says why an address can't be a host's, "" where it can.
func hostFault(p netip.Prefix) string {
	a := p.Addr()
	switch {
	case a.IsMulticast():
		return "multicast"
	case a.IsUnspecified():
		return "the unspecified address"
	case a.IsLoopback():
		return "a loopback address"
	case p.Bits() == 0:
		return "without a prefix length"
	}
	// RFC 3021 section 2.1: /31 has neither; RFC 1122 section 3.2.1.3.
	if !a.Is4() || p.Bits() >= 31 {
		return ""
	}
	if a == broadcast(p) {
		return "the broadcast address of its prefix"
	}
	if a == p.Masked().Addr() {
		return "the network address of its prefix"
	}
	return ""
}

// broadcast returns the last address of an IPv4 prefix.
func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}

// groupNetworks reads a list of multicast prefixes.
func (d *decoder) groupNetworks(e entry) (groups []netip.Prefix) {
	d.list(e, func(e entry) {
		var p netip.Prefix
		if d.groupNetwork(e, &p) {
			groups = append(groups, p)
		}
	})
	return groups
}

// checkMTU holds that IPv6 addresses stand on a link that can carry IPv6.
func (d *decoder) checkMTU(i *draft) {
	if i.MTU >= minIPv6MTU {
		return
	}
	for n, a := range i.Addresses {
		if a.Addr().Is6() {
			d.problem(i.addressesAt[n], "RFC 8200 section 5: at least 1280",
				"addresses: mtu %d carries no IPv6", i.MTU)
		}
	}
}

// checkDescriptor holds that a descriptor stands instead of a device: where
// it leads was settled by whoever opened it. Addresses of the other side are
// welcome, as what its maker gave the device.
func (d *decoder) checkDescriptor(i *draft) {
	if _, given := i.at["fd"]; !given {
		return
	}
	for _, key := range []string{"netns", "device"} {
		if at, ok := i.at[key]; ok {
			d.problem(at, "give either fd, or netns and device",
				"%s: not together with fd", key)
		}
	}
	i.Netns, i.Device = Netns{}, ""
}
