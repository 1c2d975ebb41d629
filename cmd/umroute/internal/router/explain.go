package router

import (
	"cmp"
	"context"
	"net/netip"
	"time"

	"umroute/cmd/umroute/internal/control"
	"umroute/cmd/umroute/internal/explain"
	"umroute/mgm"
	"umroute/routing"
	"umroute/stack/membership"
)

// lookInterval is how often Explain looks whether packets have come.
const lookInterval = 20 * time.Millisecond

// Explain says why a flow is forwarded to an interface or not. Where only its
// packets can tell, it waits for some.
func (r *Router) Explain(ctx context.Context, q control.Question) (control.Explanation, error) {
	flow := mgm.Flow{Source: q.Source, Group: q.Group}
	watch, watching := r.forwarder.Watch(flow)
	if watching {
		defer r.forwarder.StopWatch(watch)
	}
	end := time.Now().Add(q.Wait)
	for {
		facts, err := r.facts(ctx, q)
		if err != nil {
			return control.Explanation{}, err
		}
		if watching {
			facts.Seen = r.sightings(watch)
		}
		verdict := explain.Decide(facts)
		wrong := verdict.Cause == explain.WrongInterface && len(facts.Seen) == 0
		if !verdict.Open() && !wrong || !time.Now().Before(end) {
			return r.explanation(facts, verdict), nil
		}
		select {
		case <-ctx.Done():
			return control.Explanation{}, ctx.Err()
		case <-time.After(min(lookInterval, time.Until(end))):
		}
	}
}

func (r *Router) sightings(watch *routing.Watch) []explain.Sighting {
	var list []explain.Sighting
	for _, s := range watch.Sightings() {
		list = append(list, explain.Sighting{Reason: s.Reason, Packets: s.Packets,
			Interface: r.name(mgm.Iface{Index: s.Index})})
	}
	return list
}

// facts gathers what is known about a flow and an interface.
func (r *Router) facts(ctx context.Context, q control.Question) (*explain.Facts, error) {
	f := r.igmp
	if q.Group.Is6() {
		f = r.mld
	}
	facts := &explain.Facts{Source: q.Source, Group: q.Group, Interface: q.Interface}
	for _, i := range r.list() {
		facts.Known = append(facts.Known, i.config.Name)
	}
	if route, ok := r.rib.Lookup(q.Source); ok {
		facts.Route = explain.Route{Prefix: route.Prefix, Via: route.NextHop,
			Interface: r.name(route.Iface), Kind: routeKind(route.Protocol)}
		facts.In = r.explainLink(r.byIndex(route.Iface.Index), q.Group)
	}
	out := r.byName(q.Interface)
	if facts.Out = r.explainLink(out, q.Group); out == nil {
		return facts, nil
	}
	facts.Crosses = facts.In != nil &&
		r.forwarder.MayCross(facts.In.Domain, facts.Out.Domain, q.Group)
	flow := mgm.Flow{Source: q.Source, Group: q.Group}
	if entry, err := f.manager.MFEStats(flow); err == nil {
		facts.Entry = explainEntry(entry, out)
		if in := r.byIndex(entry.MFE.In.Index); in != nil {
			facts.In = r.explainLink(in, q.Group)
		}
	}
	var err error
	if facts.Membership, err = r.explainMembership(ctx, f, out, q.Group); err != nil {
		return nil, err
	}
	// A proxy sends upstream without a membership.
	facts.Member = f.covers(flow, out, facts.Membership) ||
		out.host != nil && facts.Entry != nil && facts.Entry.Output != nil
	return facts, nil
}

// routeKind is how a route came to be, in a word.
func routeKind(p mgm.ProtocolID) string {
	switch p {
	case routing.ProtocolConfigured:
		return "rpf"
	case routing.ProtocolConnected:
		return "connected"
	case routing.ProtocolStatic:
		return "static"
	}
	learnt := map[mgm.ProtocolID]string{8: "rip", 9: "isis", 13: "ospf", 14: "bgp", 16: "eigrp",
		19: "dhcp"}
	return cmp.Or(learnt[p], "other")
}

func (r *Router) explainLink(i *iface, group netip.Addr) *explain.Link {
	if i == nil {
		return nil
	}
	link := &explain.Link{Name: i.config.Name, Domain: i.config.Domain,
		Threshold: i.config.TTLThreshold, Boundary: i.config.Boundary, ReversePathFilter: -1}
	if i.link != nil {
		has, known := i.link.MulticastFlag()
		link.NoMulticastFlag = known && !has
		link.ReversePathFilter = i.link.ReversePathFilter()
	}
	if i.host != nil {
		link.Host = explainHost(i, group)
	}
	link.Up, link.Reason = r.registry.state(i)
	return link
}

func explainHost(i *iface, group netip.Addr) *explain.Host {
	h := &explain.Host{Ports: i.host.Received(group)}
	for _, p := range i.host.Addresses() {
		if p.Addr().Is4() == group.Is4() && !h.Address.IsValid() {
			h.Address = p.Addr()
		}
	}
	return h
}

func explainEntry(entry mgm.MFEStats, out *iface) *explain.Entry {
	e := &explain.Entry{
		Packets: entry.Stats.InPackets, WrongIf: entry.Stats.DifferentIf,
		LowTTL: entry.Stats.InHdrErrors, Negative: len(entry.MFE.OIFs) == 0,
	}
	for _, oif := range entry.MFE.OIFs {
		if oif.Index == out.index && e.Output == nil {
			e.Output = &explain.Output{}
		}
	}
	for _, oif := range entry.Stats.OIFs {
		if oif.Iface.Index == out.index && e.Output != nil {
			e.Output.Packets += oif.OutPackets
			e.Output.TTLTooLow += oif.TTLTooLow
			e.Output.FragNeeded += oif.FragNeeded
			e.Output.Discards += oif.OutDiscards
		}
	}
	return e
}

// covers says whether some client has a membership for the flow on i that is not
// hidden by a filter: what hosts exclude, wildcards of others may still bring.
func (f *family) covers(flow mgm.Flow, i *iface, m *explain.Membership) bool {
	excluded := m.Group != nil && m.Group.Excludes(flow.Source)
	for row := range f.manager.Memberships() {
		e := row.Entry
		if row.Iface.Index != i.index || e.Group.IsValid() && e.Group != flow.Group {
			continue
		}
		wild := !e.Source.IsValid() && !(excluded && row.Client == f.client.ID())
		if wild || e.Source == flow.Source {
			return true
		}
	}
	return false
}

// explainMembership asks the loop about IGMP or MLD on an interface.
func (r *Router) explainMembership(ctx context.Context, f *family, i *iface,
	group netip.Addr) (*explain.Membership, error) {
	m, settings := &explain.Membership{Protocol: "IGMP", Newest: 3}, i.config.IGMP
	if f.v6 {
		m, settings = &explain.Membership{Protocol: "MLD", Newest: 2}, i.config.MLD
	}
	m.Allow, m.MaxGroups, m.MaxSources = settings.Allow, settings.MaxGroups, settings.MaxSources
	m.Ignored = make(map[string]uint64)
	if !r.loop.run(ctx, func(now time.Time) {
		if status, ok := f.membership.Interface(now, i.index); ok {
			fillMembership(m, status)
		}
		if g, ok := f.membership.Group(now, i.index, group); ok {
			m.Group = explainGroup(g)
		}
	}) {
		return nil, errStopped
	}
	return m, nil
}

func fillMembership(m *explain.Membership, status membership.InterfaceStatus) {
	m.Enabled, m.Version, m.Querier = true, status.Version, status.Querier
	heard := status.Counters.Received
	m.Reports = heard.ReportsV1 + heard.ReportsV2 + heard.ReportsV3
	for reason, n := range status.Counters.Ignored {
		m.Ignored[reason.String()] = n
	}
}

func explainGroup(g membership.GroupStatus) *explain.Group {
	group := &explain.Group{Include: g.Mode == membership.Include && !g.Static,
		Version: g.Version, Sources: make(map[netip.Addr]bool)}
	for _, s := range g.Sources {
		group.Sources[s.Address] = s.Forwarding
	}
	return group
}

// explanation is the document of a verdict.
func (r *Router) explanation(f *explain.Facts, v explain.Verdict) control.Explanation {
	document := control.Explanation{
		Source: f.Source.String(), Group: f.Group.String(), Interface: f.Interface,
		Forwarded: v.Forwarded, Cause: string(v.Cause), Text: v.Text, Rule: v.Rule,
		Remedy: v.Remedy, Seen: []control.Seen{},
	}
	if f.Route.Prefix.IsValid() {
		document.RIB = &control.RIBRoute{Prefix: f.Route.Prefix.String(),
			Interface: f.Route.Interface, Via: text(f.Route.Via), Kind: f.Route.Kind}
	}
	for _, s := range f.Seen {
		document.Seen = append(document.Seen,
			control.Seen{Interface: s.Interface, Reason: s.Reason, Packets: s.Packets})
	}
	return document
}
