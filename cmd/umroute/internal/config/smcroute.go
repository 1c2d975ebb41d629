package config

import (
	"errors"
	"net/netip"
	"path/filepath"
	"slices"

	"umroute/cmd/umroute/internal/smcroute"
)

// maxJoins bounds the groups that a prefix of an mgroup stands for.
const maxJoins = 4096

// smcroute adds what a smcroute.conf says. The path is relative to the file of
// the configuration. Its names are those of interfaces of the router.
func (d *decoder) smcroute(e entry, path string, seen map[string]Position, target *Static) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(d.file), path)
	}
	file, err := smcroute.Load(path)
	var problems smcroute.Problems
	switch {
	case errors.As(err, &problems):
		for _, p := range problems {
			d.foreign(p.Pos, "%s", p.Message)
		}
		return
	case err != nil:
		d.problem(e.valueAt(), "", "%s: %v", e.key, err)
		return
	}
	disabled := d.phyints(file.Interfaces)
	routes := make(map[string]int) // by key, in target
	for _, r := range file.Routes {
		d.mroute(r, disabled, seen, routes, target)
	}
	for _, g := range file.Groups {
		d.mgroup(g, disabled, target)
	}
}

// foreign notes a problem in a file that the configuration names.
func (d *decoder) foreign(at smcroute.Position, format string, args ...any) {
	outer := d.file
	d.file = at.File
	d.problem(Position{at.Line, at.Column}, "", format, args...)
	d.file = outer
}

// phyints applies the phyint lines, and returns the interfaces that they
// disable.
func (d *decoder) phyints(list []smcroute.Interface) map[string]bool {
	disabled := make(map[string]bool)
	for _, i := range list {
		if i.Discovery {
			d.foreign(i.Pos, "phyint %s: mrdisc: not supported yet", i.Name)
		}
		for n := range d.drafts {
			if name := d.drafts[n].Name; smcroute.Matches(i.Name, name) {
				disabled[name] = i.Disabled
				if i.Threshold != 0 {
					d.drafts[n].TTLThreshold = i.Threshold
				}
			}
		}
	}
	return disabled
}

// named are the interfaces that a name or pattern stands for. A name may be that
// of an interface to come.
func (d *decoder) named(pattern string, disabled map[string]bool) []string {
	if !smcroute.IsPattern(pattern) {
		return []string{pattern}
	}
	var names []string
	for _, i := range d.drafts {
		if smcroute.Matches(pattern, i.Name) && !disabled[i.Name] {
			names = append(names, i.Name)
		}
	}
	return names
}

// mroute adds the routes of one line. The same route again adds outputs.
func (d *decoder) mroute(r smcroute.Route, disabled map[string]bool, seen map[string]Position,
	routes map[string]int, target *Static) {
	if r.Group.IsSingleIP() && linkLocal(r.Group.Addr()) {
		d.foreign(r.Pos, "mroute: %s stays on its link", r.Group.Addr())
		return
	}
	at := Position{r.Pos.Line, r.Pos.Column}
	for _, in := range d.named(r.In, disabled) {
		route := StaticRoute{Group: r.Group, Source: r.Source, In: in}
		for _, pattern := range r.Out {
			for _, out := range d.named(pattern, disabled) {
				if out != in && !slices.Contains(route.Out, out) {
					route.Out = append(route.Out, out)
				}
			}
		}
		for _, name := range append([]string{in}, route.Out...) {
			if disabled[name] {
				d.foreign(r.Pos, "mroute: interface %s is disabled", name)
			}
			d.claim("static", name, at)
		}
		if first, twice := seen[route.key()]; twice {
			d.foreign(r.Pos, "mroute: %s has the same route in line %d", d.file, first.Line)
			continue
		}
		n, again := routes[route.key()]
		if !again {
			routes[route.key()] = len(target.Routes)
			target.Routes = append(target.Routes, route)
			continue
		}
		for _, out := range route.Out {
			if !slices.Contains(target.Routes[n].Out, out) {
				target.Routes[n].Out = append(target.Routes[n].Out, out)
			}
		}
	}
}

// mgroup adds the groups of one line.
func (d *decoder) mgroup(g smcroute.Group, disabled map[string]bool, target *Static) {
	if g.Source.IsValid() && !g.Source.IsSingleIP() {
		d.foreign(g.Pos, "mgroup: a prefix of sources: not supported")
		return
	}
	if free := g.Group.Addr().BitLen() - g.Group.Bits(); free > 12 { // 4,096
		d.foreign(g.Pos, "mgroup: %s is more than %d groups", g.Group, maxJoins)
		return
	}
	source := netip.Addr{}
	if g.Source.IsValid() {
		source = g.Source.Addr()
	}
	for _, name := range d.named(g.In, disabled) {
		if disabled[name] {
			d.foreign(g.Pos, "mgroup: interface %s is disabled", name)
		}
		for group := g.Group.Addr(); g.Group.Contains(group); group = group.Next() {
			target.Joins = append(target.Joins,
				StaticJoin{Interface: name, Group: group, Source: source})
		}
	}
}
