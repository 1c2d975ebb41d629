package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"umroute/cmd/umroute/internal/proxyfile"
)

// Proxy is an IGMP and MLD proxy (RFC 4605): a host on its upstream interfaces,
// the router on its downstream ones.
type Proxy struct {
	Upstream   []string // names of interfaces, at least one, in order of preference
	Downstream []string // at least one
	Rules      []ProxyRule
	// RequireQuerier has the proxy forward to a downstream link only while it is
	// the querier there (RFC 4605 section 4.2), so that of several proxies on a
	// link one forwards.
	RequireQuerier bool
	// SendToAll has what downstream sources send go to all upstream interfaces,
	// not only to the one that the rules give it.
	SendToAll bool
	Family    string // "ipv4" or "ipv6" for one family alone; "" for both
}

// ProxyRule gives a part of all multicast to one of several upstream
// interfaces. The first rule that matches decides, and without one the first
// interface.
type ProxyRule struct {
	Upstream string         // "": nobody
	Groups   []netip.Prefix // none: all
	Sources  []netip.Prefix // none: all
}

// proxyDraft is a proxy whose places in the file are still of use.
type proxyDraft struct {
	Proxy
	upstreamAt, downstreamAt, rulesAt []Position

	load  func(path string) ([]proxyfile.Proxy, error) // of another proxy's file
	file  string
	entry entry // that names it
}

// proxies reads one proxy, or a list of them.
func (d *decoder) proxies(e entry, target *[]Proxy) {
	var drafts []proxyDraft
	if _, several := e.value.(*ast.SequenceNode); several {
		d.list(e, func(e entry) { drafts = append(drafts, d.proxy(e)) })
	} else {
		drafts = append(drafts, d.proxy(e))
	}
	d.afterInterfaces(func(names []string) {
		var all []proxyDraft
		for _, p := range drafts {
			if p.load == nil {
				d.checkNames(p.Upstream, p.upstreamAt, names)
				d.checkNames(p.Downstream, p.downstreamAt, names)
				all = append(all, p)
				continue
			}
			all = append(all, d.proxyFile(p)...)
		}
		d.checkProxyInterfaces(all)
		for _, p := range all {
			*target = append(*target, p.Proxy)
		}
	})
}

func (d *decoder) proxy(e entry) proxyDraft {
	p := proxyDraft{Proxy: Proxy{RequireQuerier: true}}
	at := d.section(e.value, "proxy", fields{
		"upstream":   func(e entry) { p.Upstream, p.upstreamAt = d.interfaceNames(e) },
		"downstream": func(e entry) { p.Downstream, p.downstreamAt = d.interfaceNames(e) },
		"rules": func(e entry) {
			d.list(e, func(e entry) { d.proxyRule(e, &p) })
		},
		"require-querier": func(e entry) { d.boolean(e, &p.RequireQuerier) },
		"send-to-all":     func(e entry) { d.boolean(e, &p.SendToAll) },
		"family": func(e entry) {
			d.choice(e, &p.Family, []string{"both", "ipv4", "ipv6"})
			p.Family = strings.TrimPrefix(p.Family, "both")
		},
		"igmpproxy": func(e entry) { d.proxyFileName(e, &p, loadIgmpproxy) },
		"mcproxy":   func(e entry) { d.proxyFileName(e, &p, proxyfile.LoadMcproxy) },
	})
	if e.value == nil || e.value.Type() == ast.NullType {
		d.problem(e.at, "", "proxy: upstream and downstream are missing")
		return p
	}
	if p.load != nil {
		d.onlyFile(at, p.entry)
		return p
	}
	d.require(e, "proxy", at, "upstream", "downstream")
	for i, rule := range p.Rules {
		if rule.Upstream != "" && !slices.Contains(p.Upstream, rule.Upstream) {
			d.problem(p.rulesAt[i], suggest(rule.Upstream, p.Upstream),
				"upstream: %s is not among the proxy's upstream interfaces",
				quote(rule.Upstream))
		}
	}
	return p
}

// interfaceNames reads a list of at least one name.
func (d *decoder) interfaceNames(e entry) (names []string, at []Position) {
	before := len(d.problems)
	d.list(e, func(e entry) {
		var name string
		if d.text(e, &name) {
			names, at = append(names, name), append(at, e.at)
		}
	})
	if len(names) == 0 && len(d.problems) == before {
		d.problem(e.valueAt(), "as in [red, blue]", "%s: no interfaces", e.key)
	}
	return names, at
}

func (d *decoder) proxyRule(e entry, p *proxyDraft) {
	var rule ProxyRule
	at := d.section(e.value, "proxy rule", fields{
		"upstream": func(e entry) { d.text(e, &rule.Upstream) },
		"groups":   func(e entry) { rule.Groups = d.groupNetworks(e) },
		"sources": func(e entry) {
			d.list(e, func(e entry) {
				var source netip.Prefix
				if d.sourceNetwork(e, &source) {
					rule.Sources = append(rule.Sources, source)
				}
			})
		},
	})
	d.require(e, "proxy rule", at, "upstream")
	p.Rules, p.rulesAt = append(p.Rules, rule), append(p.rulesAt, at["upstream"])
}

// checkProxyInterfaces holds that an interface has one place in one proxy: one
// that is upstream and downstream would be a loop.
func (d *decoder) checkProxyInterfaces(proxies []proxyDraft) {
	type place struct {
		at   Position
		role string
	}
	taken := make(map[string]place)
	check := func(names []string, at []Position, role string) {
		for i, name := range names {
			if first, again := taken[name]; again {
				d.problem(at[i], fmt.Sprintf("%s in line %d", first.role, first.at.Line),
					"%s: interface %s is in a proxy already", role, name)
				continue
			}
			taken[name] = place{at[i], role}
			d.claim("proxy", name, at[i])
		}
	}
	for _, p := range proxies {
		check(p.Upstream, p.upstreamAt, "upstream")
		check(p.Downstream, p.downstreamAt, "downstream")
	}
}

// checkNames refuses names that no interface has.
func (d *decoder) checkNames(names []string, at []Position, known []string) {
	for i, name := range names {
		if len(known) > 0 && !slices.Contains(known, name) {
			d.problem(at[i], suggest(name, known), "no interface is named %s", quote(name))
		}
	}
}
