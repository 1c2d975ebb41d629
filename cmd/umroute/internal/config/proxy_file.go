package config

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"

	"umroute/cmd/umroute/internal/proxyfile"
)

// A proxy may be described by the file of another one: igmpproxy.conf or
// mcproxy.conf. Its names are those of interfaces of the router.

func loadIgmpproxy(path string) ([]proxyfile.Proxy, error) {
	p, err := proxyfile.LoadIgmpproxy(path)
	return []proxyfile.Proxy{p}, err
}

// proxyFileName reads the name of a file, relative to that of the configuration.
func (d *decoder) proxyFileName(e entry, p *proxyDraft,
	load func(string) ([]proxyfile.Proxy, error)) {
	if !d.text(e, &p.file) {
		return
	}
	if !filepath.IsAbs(p.file) {
		p.file = filepath.Join(filepath.Dir(d.file), p.file)
	}
	p.load, p.entry = load, e
}

// onlyFile refuses keys beside that of a file which says it all.
func (d *decoder) onlyFile(at marks, file entry) {
	for _, key := range slices.Sorted(maps.Keys(at)) {
		if key != file.key && key != "require-querier" {
			d.problem(at[key], "", "%s: not together with %s", key, file.key)
		}
	}
}

// proxyFile reads the file of a draft, and gives the proxies that it describes.
func (d *decoder) proxyFile(draft proxyDraft) (list []proxyDraft) {
	proxies, err := draft.load(draft.file)
	var problems proxyfile.Problems
	switch {
	case errors.As(err, &problems):
		for _, p := range problems {
			d.inFile(p.Pos, "%s", p.Message)
		}
		return nil
	case err != nil:
		d.problem(draft.entry.valueAt(), "", "%s: %v", draft.entry.key, err)
		return nil
	}
	for _, p := range proxies {
		result := proxyDraft{Proxy: Proxy{RequireQuerier: draft.RequireQuerier,
			SendToAll: p.SendToAll, Family: "ipv4"}}
		if p.IPv6 {
			result.Family = "ipv6"
		}
		for _, rule := range p.Rules {
			result.Rules = append(result.Rules, ProxyRule(rule))
		}
		at := draft.entry.valueAt()
		for _, i := range p.Upstream {
			d.fromFile(i, p)
			result.Upstream = append(result.Upstream, i.Name)
			result.upstreamAt = append(result.upstreamAt, at)
		}
		for _, i := range p.Downstream {
			d.fromFile(i, p)
			d.sourcesOf(i)
			result.Downstream = append(result.Downstream, i.Name)
			result.downstreamAt = append(result.downstreamAt, at)
		}
		list = append(list, result)
	}
	return list
}

// fromFile gives an interface of the router what a file says of it.
func (d *decoder) fromFile(i proxyfile.Interface, p proxyfile.Proxy) {
	var names []string
	for n := range d.drafts {
		target := &d.drafts[n].Interface
		names = append(names, target.Name)
		if target.Name != i.Name {
			continue
		}
		protocol := &target.IGMP
		if p.IPv6 {
			protocol = &target.MLD
		}
		if p.Version != 0 {
			protocol.Version = p.Version
		}
		if i.Threshold != 0 {
			target.TTLThreshold = i.Threshold
		}
		if len(i.Groups) > 0 {
			protocol.Allow = i.Groups
		}
		return
	}
	d.inFile(i.Pos, "no interface is named %s (%s)", quote(i.Name), suggest(i.Name, names))
}

// sourcesOf has the data of networks behind a downstream interface come in
// there. What is behind an upstream one does so by itself.
func (d *decoder) sourcesOf(i proxyfile.Interface) {
	for _, p := range i.Sources {
		d.sources = append(d.sources, RPFRoute{Prefix: p, Interface: i.Name})
	}
}

// inFile notes a problem in a file that the configuration names.
func (d *decoder) inFile(at proxyfile.Position, format string, args ...any) {
	outer := d.file
	d.file = at.File
	d.problem(Position{at.Line, at.Column}, "", format, args...)
	d.file = outer
}
