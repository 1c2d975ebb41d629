package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Static is the section protocols.static. Its interfaces need not exist. What a
// smcroute.conf says is part of it.
type Static struct {
	Routes []StaticRoute
	Joins  []StaticJoin
}

// StaticJoin is a group that the router joins on an interface as a host does, so
// that others send it there.
type StaticJoin struct {
	Interface string
	Group     netip.Addr
	Source    netip.Addr // the zero Addr: any
}

// StaticRoute is a multicast route that somebody wrote down.
type StaticRoute struct {
	Group     netip.Prefix // masked
	Source    netip.Prefix // masked; the zero Prefix: any
	In        string       // incoming interface; "": where the source is expected
	Out       []string     // outgoing interfaces
	Threshold uint8        // a TTL must be above it; 0 leaves that to the interfaces
}

// static reads protocols.static.
func (d *decoder) static(e entry, target *Static) {
	seen := make(map[string]Position)
	d.section(e.value, "protocols.static", fields{
		"smcroute": func(e entry) {
			var path string
			if d.text(e, &path) {
				d.afterInterfaces(func([]string) { d.smcroute(e, path, seen, target) })
			}
		},
		"routes": func(e entry) {
			d.list(e, func(e entry) {
				if r, ok := d.staticRoute(e, seen); ok {
					target.Routes = append(target.Routes, r)
				}
			})
		},
	})
}

// staticRoute reads one route; seen has where the others stand.
func (d *decoder) staticRoute(e entry, seen map[string]Position) (r StaticRoute, ok bool) {
	const what = "static route"
	faults := len(d.problems)
	var outs []entry
	at := d.section(e.value, what, fields{
		"group":  func(e entry) { d.groupOrNetwork(e, &r.Group) },
		"source": func(e entry) { d.sourceOrNetwork(e, &r.Source) },
		"in":     func(e entry) { d.name(e, &r.In) },
		"out": func(e entry) {
			d.list(e, func(e entry) {
				var name string
				if d.name(e, &name) {
					r.Out, outs = append(r.Out, name), append(outs, e)
				}
			})
		},
		"ttl-threshold": func(e entry) {
			ttl := 0
			d.number(e, &ttl, 1, 255)
			r.Threshold = uint8(ttl)
		},
	})
	d.require(e, what, at, "group", "out")
	if len(d.problems) > faults {
		return r, false
	}
	d.checkStaticRoute(r, at, outs)
	if first, again := seen[r.key()]; again {
		d.problem(e.valueAt(), fmt.Sprintf("first in line %d", first.Line),
			"%s: the same group, source and in", what)
	}
	seen[r.key()] = e.valueAt()
	return r, len(d.problems) == faults
}

// key is the same for routes of which there can be one.
func (r StaticRoute) key() string {
	return strings.Join([]string{r.Group.String(), r.Source.String(), r.In}, " ")
}

// checkStaticRoute judges what the keys of a route say of each other, and claims
// its interfaces.
func (d *decoder) checkStaticRoute(r StaticRoute, at marks, outs []entry) {
	if r.Source.IsValid() && r.Source.Addr().Is4() != r.Group.Addr().Is4() {
		d.problem(at["source"], "", "source: %s is not of the family of %s", r.Source, r.Group)
	}
	exact := r.Group.IsSingleIP() && (!r.Source.IsValid() || r.Source.IsSingleIP())
	if r.In == "" && !exact {
		d.problem(at["group"], "in: INTERFACE says where it comes in",
			"static route: a range of groups or sources needs an incoming interface")
	}
	d.claim("static", r.In, at["in"])
	for n, e := range outs {
		switch name := r.Out[n]; {
		case name == r.In:
			d.problem(e.valueAt(), "", "out: %s is the incoming interface in line %d", name,
				at["in"].Line)
		case slices.Contains(r.Out[:n], name):
			d.problem(e.valueAt(), "", "out: %s is given twice", name)
		default:
			d.claim("static", name, e.valueAt())
		}
	}
}

// groupOrNetwork reads a group or a prefix of groups that a router forwards.
func (d *decoder) groupOrNetwork(e entry, target *netip.Prefix) {
	var group netip.Addr
	switch {
	case prefixed(e.value):
		d.groupNetwork(e, target)
	case !d.address(e, &group):
	case !group.IsMulticast():
		d.problem(e.valueAt(), "groups are in 224.0.0.0/4 and ff00::/8",
			"%s: %s is not a multicast group", e.key, group)
	case linkLocal(group):
		d.problem(e.valueAt(), "no router forwards it", "%s: %s stays on its link", e.key, group)
	default:
		*target = netip.PrefixFrom(group, group.BitLen())
	}
}

// linkLocal says whether a group never leaves its link, or its node (RFC 5771
// section 4, RFC 4291 section 2.7).
func linkLocal(group netip.Addr) bool {
	return group.IsLinkLocalMulticast() || group.IsInterfaceLocalMulticast()
}

// sourceOrNetwork reads a host, a prefix of hosts, or "*" for any.
func (d *decoder) sourceOrNetwork(e entry, target *netip.Prefix) {
	var source netip.Addr
	text, _ := e.value.(*ast.StringNode)
	switch {
	case text != nil && text.Value == "*":
	case prefixed(e.value):
		d.sourceNetwork(e, target)
	case !d.address(e, &source):
	case source.IsMulticast() || source.IsUnspecified():
		d.problem(e.valueAt(), `"*" is any`, "%s: %s is not a host", e.key, source)
	default:
		*target = netip.PrefixFrom(source, source.BitLen())
	}
}

// prefixed says whether a value is written with a prefix length.
func prefixed(n ast.Node) bool {
	text, ok := n.(*ast.StringNode)
	return ok && strings.Contains(text.Value, "/")
}
