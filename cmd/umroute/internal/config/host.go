package config

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml/ast"
)

// Host is what an interface with the link host receives of the host's network.
// The ports are named, since a socket without privilege receives one port.
type Host struct {
	Ports []uint16         // of every group that is joined and not in Pairs
	Pairs []netip.AddrPort // groups with ports of their own
	Join  []StaticGroup    // joined as long as the router runs
}

// hostFields adds the keys of the link host.
func (d *decoder) hostFields(known fields, i *draft) {
	known["ports"] = func(e entry) {
		d.list(e, func(e entry) { d.port(e, &i.Host) })
	}
	known["join"] = func(e entry) {
		d.list(e, func(e entry) {
			if g, ok := d.joinedGroup(e); ok {
				i.Host.Join = append(i.Host.Join, g)
			}
		})
	}
}

// port reads a port, or a group with a port.
func (d *decoder) port(e entry, target *Host) {
	if _, ok := e.value.(*ast.StringNode); !ok {
		var port int
		if !d.number(e, &port, 1, 65535) {
			return
		}
		if slices.Contains(target.Ports, uint16(port)) {
			d.problem(e.valueAt(), "", "%s: %d is given twice", e.key, port)
		}
		target.Ports = append(target.Ports, uint16(port))
		return
	}
	var pair netip.AddrPort
	if !d.groupPort(e, &pair) {
		return
	}
	if slices.Contains(target.Pairs, pair) {
		d.problem(e.valueAt(), "", "%s: %s is given twice", e.key, pair)
	}
	target.Pairs = append(target.Pairs, pair)
}

// groupPort reads a group with a UDP port.
func (d *decoder) groupPort(e entry, target *netip.AddrPort) bool {
	const hint = `as in "239.1.1.1:5004" or "[ff05::1]:5004"`
	var s string
	if !d.text(e, &s) {
		return false
	}
	pair, err := netip.ParseAddrPort(s)
	switch {
	case err != nil, pair.Port() == 0, pair.Addr().Zone() != "", pair.Addr().Is4In6():
		d.mismatch(e.value, e.key, "a group with a port", hint)
	case !pair.Addr().IsMulticast():
		d.problem(e.valueAt(), hint, "%s: %s is not multicast", e.key, pair.Addr())
	default:
		*target = pair
		return true
	}
	return false
}

// joinedGroup reads a group, or a source of one, to join on the host's network.
func (d *decoder) joinedGroup(e entry) (g StaticGroup, ok bool) {
	const what = "join"
	before := len(d.problems)
	var group, source entry
	at := d.section(e.value, what, fields{
		"group":  func(e entry) { group = e },
		"source": func(e entry) { source = e },
	})
	d.require(e, what, at, "group")
	if group.value == nil || !d.address(group, &g.Group) {
		return g, false
	}
	f := igmpFamily
	if g.Group.Is6() {
		f = mldFamily
	}
	d.group(group, f, &g.Group)
	if source.value != nil {
		d.source(source, f, &g.Source)
	}
	return g, len(d.problems) == before
}

// checkHost holds that an interface with the link host has a device of the
// host, and nothing that the host alone decides; and that others have no keys
// of it.
func (d *decoder) checkHost(i *draft) {
	if i.Link != LinkHost {
		for _, key := range []string{"ports", "join"} {
			if at, given := i.at[key]; given {
				d.problem(at, "", "%s: only with link: host", key)
			}
		}
		return
	}
	i.IGMP.Enabled, i.MLD.Enabled, i.PeerRoutes = false, false, false
	for _, key := range []string{"fd", "mtu", "io", "addresses", "peer-addresses", "peer-routes",
		"igmp", "mld"} {
		if at, given := i.at[key]; given {
			d.problem(at, "the host's own is used", "%s: not with link: host", key)
		}
	}
	if at, given := i.at["netns"]; given && i.Netns.canonical() != (Netns{}) {
		d.problem(at, "run the router in that namespace",
			"netns: link: host is a device of the router's own namespace")
	}
	for _, key := range []string{"device", "ports"} {
		if _, given := i.at[key]; !given {
			d.problem(i.Pos, "as in "+i.Name+": {link: host, device: eth0, ports: [5004]}",
				"interface %s: link: host needs %s", i.Name, key)
		}
	}
	d.checkJoined(i)
}

// checkJoined holds that each joined group has a port.
func (d *decoder) checkJoined(i *draft) {
	if len(i.Host.Ports) > 0 {
		return
	}
	for _, g := range i.Host.Join {
		if !slices.ContainsFunc(i.Host.Pairs, func(pair netip.AddrPort) bool {
			return pair.Addr() == g.Group
		}) {
			d.problem(i.at["join"], "name its port: "+
				strconv.Quote(netip.AddrPortFrom(g.Group, 5004).String())+" for one",
				"join: ports has none for group %s", g.Group)
		}
	}
}
