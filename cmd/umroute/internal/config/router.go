package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// config reads the whole file, then judges what its parts say of each other.
func (d *decoder) config(root ast.Node) *Config {
	c := Default()
	if _, ok := root.(*ast.MappingNode); root != nil && !ok {
		d.mismatch(root, "configuration", "a mapping", "as in interfaces: {red: {netns: red}}")
		return nil
	}
	var drafts []draft
	var unicast []unicastDraft
	var rpf []rpfDraft
	written := false
	at := d.section(root, "the configuration", fields{
		"name":    func(e entry) { d.routerName(e, &c.Name) },
		"log":     func(e entry) { d.log(e, &c.Log) },
		"metrics": func(e entry) { d.metrics(e, &c.Metrics) },
		"control": func(e entry) { d.control(e, &c.Control) },
		"interfaces": func(e entry) {
			drafts = d.interfaces(e)
			_, written = e.value.(*ast.MappingNode)
		},
		"domains":   func(e entry) { c.Domains = d.domains(e) },
		"unicast":   func(e entry) { unicast = d.unicast(e, &c.Unicast) },
		"rpf":       func(e entry) { rpf = d.rpf(e) },
		"protocols": func(e entry) { d.protocols(e, &c.Protocols) },
	})
	// An empty file is a slip, "interfaces: {}" a router that others attach to.
	if len(drafts) == 0 && !written {
		d.noInterfaces(at)
	}
	d.checkDevices(drafts)
	d.checkAddresses(drafts)
	d.checkUnicast(unicast, drafts)
	d.checkRPF(rpf, drafts)
	d.checkProtocols(drafts)
	for _, i := range drafts {
		c.Interfaces = append(c.Interfaces, i.Interface)
	}
	for _, r := range unicast {
		c.Unicast.Routes = append(c.Unicast.Routes, r.UnicastRoute)
	}
	for _, r := range rpf {
		c.RPF.Routes = append(c.RPF.Routes, r.RPFRoute)
	}
	c.RPF.Routes = append(c.RPF.Routes, d.sources...)
	return c
}

// noInterfaces says that there are none, unless that follows from something
// already told.
func (d *decoder) noInterfaces(at marks) {
	if len(d.problems) > 0 && at["interfaces"] != (Position{}) {
		return
	}
	pos := fileStart
	if p, ok := at["interfaces"]; ok {
		pos = p
	}
	d.problem(pos, "as in interfaces: {red: {netns: red}}; {} where all are attached",
		"no interfaces")
}

func (d *decoder) log(e entry, target *Log) {
	level, format := "info", string(LogText)
	levelNames := []string{"debug", "info", "warn", "error"}
	formats := []string{string(LogText), string(LogJSON)}
	d.section(e.value, e.key, fields{
		"level":  func(e entry) { d.choice(e, &level, levelNames) },
		"format": func(e entry) { d.choice(e, &format, formats) },
	})
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo,
		"warn": slog.LevelWarn, "error": slog.LevelError,
	}
	*target = Log{Level: levels[level], Format: LogFormat(format)}
}

// unicastDraft is a route whose place in the file is still of use.
type unicastDraft struct {
	UnicastRoute
	at marks
}

func (d *decoder) unicast(e entry, target *Unicast) []unicastDraft {
	var routes []unicastDraft
	d.section(e.value, e.key, fields{
		"forward": func(e entry) { d.boolean(e, &target.Forward) },
		"kernel":  func(e entry) { d.boolean(e, &target.Kernel) },
		"routes": func(e entry) {
			d.list(e, func(e entry) {
				var r unicastDraft
				r.at = d.section(e.value, "unicast route", fields{
					"prefix": func(e entry) { d.sourceNetwork(e, &r.Prefix) },
					"via":    func(e entry) { d.address(e, &r.Via) },
				})
				d.require(e, "unicast route", r.at, "prefix", "via")
				routes = append(routes, r)
			})
		},
	})
	return routes
}

// rpfDraft is a route whose place in the file is still of use.
type rpfDraft struct {
	RPFRoute
	at marks
}

func (d *decoder) rpf(e entry) []rpfDraft {
	var routes []rpfDraft
	d.section(e.value, e.key, fields{
		"routes": func(e entry) {
			d.list(e, func(e entry) {
				var r rpfDraft
				r.at = d.section(e.value, "rpf route", fields{
					"prefix":    func(e entry) { d.sourceNetwork(e, &r.Prefix) },
					"interface": func(e entry) { d.text(e, &r.Interface) },
				})
				d.require(e, "rpf route", r.at, "prefix", "interface")
				routes = append(routes, r)
			})
		},
	})
	return routes
}

// require names the keys that a section lacks.
func (d *decoder) require(e entry, what string, at marks, keys ...string) {
	if _, ok := e.value.(*ast.MappingNode); !ok {
		return // and section has said so
	}
	for _, key := range keys {
		if _, ok := at[key]; !ok {
			d.problem(e.valueAt(), "", "%s: %s is missing", what, key)
		}
	}
}

func (d *decoder) checkUnicast(routes []unicastDraft, drafts []draft) {
	seen := make(map[netip.Prefix]Position)
	for _, r := range routes {
		d.checkTwice(seen, r.Prefix, r.at["prefix"])
		if r.Via.IsValid() {
			d.checkVia(r, drafts)
		}
	}
}

// checkVia wants a neighbour: an address on a connected prefix that is not
// the router's own.
func (d *decoder) checkVia(r unicastDraft, drafts []draft) {
	at := r.at["via"]
	if r.Prefix.IsValid() && r.Prefix.Addr().Is4() != r.Via.Is4() {
		d.problem(at, "", "via: %s is not of the family of %s", r.Via, r.Prefix)
		return
	}
	connected := false
	for _, i := range drafts {
		for _, a := range i.Addresses {
			if a.Addr() == r.Via {
				d.problem(at, "", "via: %s is the router's own address on %s", r.Via, i.Name)
				return
			}
			connected = connected || a.Contains(r.Via)
		}
	}
	if !connected && !d.addressFault {
		d.problem(at, "it must be in the prefix of an interface's address",
			"via: %s is not on a connected prefix", r.Via)
	}
}

func (d *decoder) checkRPF(routes []rpfDraft, drafts []draft) {
	var names []string
	for _, i := range drafts {
		names = append(names, i.Name)
	}
	seen := make(map[netip.Prefix]Position)
	for _, r := range routes {
		d.checkTwice(seen, r.Prefix, r.at["prefix"])
		if r.Interface != "" && len(names) > 0 && !slices.Contains(names, r.Interface) {
			d.problem(r.at["interface"], suggest(r.Interface, names),
				"interface: no interface is named %s", quote(r.Interface))
		}
	}
}

func (d *decoder) checkTwice(seen map[netip.Prefix]Position, p netip.Prefix, at Position) {
	if !p.IsValid() {
		return
	}
	if first, again := seen[p]; again {
		d.problem(at, fmt.Sprintf("first in line %d", first.Line), "prefix: %s has two routes", p)
		return
	}
	seen[p] = at
}
