package router

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"time"

	"umroute/cmd/umroute/internal/control"
	"umroute/mgm"
	"umroute/stack/membership"
)

// errStopped is what a question meets when the router has stopped.
var errStopped = errors.New("the router is stopping")

// Show gives the document of that name; control.Documents lists them.
func (r *Router) Show(ctx context.Context, document string) (any, error) {
	switch document {
	case "interfaces":
		return r.Interfaces(ctx)
	case "groups":
		return r.Groups(ctx)
	case "memberships":
		return r.Memberships(), nil
	case "routes":
		return r.Routes(), nil
	case "protocols":
		return r.Protocols(ctx)
	case "neighbors":
		return []control.Neighbor{}, nil
	case "events":
		return r.eventDocuments(), nil
	case "rib":
		return r.RIB(), nil
	case "stats":
		return r.Stats(), nil
	}
	return nil, fmt.Errorf("%w document %q: there are %v", control.ErrUnknown, document,
		control.Documents)
}

// Groups lists what listeners on the links asked for.
func (r *Router) Groups(ctx context.Context) ([]control.Group, error) {
	var groups []membership.GroupStatus
	var upstream []control.Group
	var now time.Time
	if !r.loop.run(ctx, func(at time.Time) {
		now = at
		for _, f := range r.families() {
			groups = append(groups, f.membership.Groups(now)...)
		}
		upstream = r.proxies.groups(now)
	}) {
		return nil, errStopped
	}
	documents := make([]control.Group, 0, len(groups)+len(upstream))
	for _, g := range groups {
		documents = append(documents, groupDocument(g))
	}
	return append(documents, upstream...), nil
}

// Memberships lists the tables of both Multicast Group Managers.
func (r *Router) Memberships() []control.Membership {
	documents := []control.Membership{}
	for _, f := range r.families() {
		for m := range f.manager.Memberships() {
			documents = append(documents, control.Membership{
				Group: wildcard(m.Entry.Group), Source: wildcard(m.Entry.Source),
				Interface: r.name(m.Iface), Client: f.clientName(m.Client),
			})
		}
	}
	return documents
}

// Routes lists the forwarding entries of both families.
func (r *Router) Routes() []control.Route {
	documents := []control.Route{}
	for _, f := range r.families() {
		for entry := range f.manager.AllMFEStats() {
			documents = append(documents, r.routeDocument(f, entry))
		}
	}
	return documents
}

func (r *Router) routeDocument(f *family, entry mgm.MFEStats) control.Route {
	document := control.Route{
		Source: entry.MFE.Source.String(), Group: entry.MFE.Group.String(),
		IIF: r.name(entry.MFE.In), Owner: f.clientName(entry.MFE.InProtocol),
		OIFs:    []control.OIF{},
		Packets: entry.Stats.InPackets, Bytes: entry.Stats.InOctets,
		WrongIf:       entry.Stats.DifferentIf,
		QueueOverflow: entry.Stats.QueueOverflow,
		Uptime:        seconds(entry.MFE.Up), Expires: seconds(entry.MFE.Expiry),
	}
	if entry.MFE.Upstream.IsValid() {
		document.Upstream = entry.MFE.Upstream.String()
	}
	counts := make(map[mgm.Iface]mgm.OIFStats, len(entry.Stats.OIFs))
	for _, oif := range entry.Stats.OIFs {
		counts[oif.Iface] = oif
	}
	for _, oif := range entry.MFE.OIFs {
		if !r.forwarder.MayCross(r.domain(entry.MFE.In), r.domain(oif), entry.MFE.Group) {
			continue // the forwarder leaves it out
		}
		count := counts[oif]
		document.OIFs = append(document.OIFs, control.OIF{
			Interface: r.name(oif), Threshold: max(r.threshold(oif),
				r.flowThreshold(entry.MFE.Flow, oif.Index)), Packets: count.OutPackets,
			TTLTooLow: count.TTLTooLow, FragNeeded: count.FragNeeded,
			Discards: count.OutDiscards,
		})
	}
	document.Negative = len(document.OIFs) == 0
	return document
}

// Protocols lists IGMP, MLD and the routing protocols.
func (r *Router) Protocols(ctx context.Context) ([]control.Protocol, error) {
	documents := []control.Protocol{}
	for _, f := range r.families() {
		documents = append(documents, f.client.document(r.list()))
	}
	if !r.loop.run(ctx, func(now time.Time) {
		for _, p := range r.protocols {
			documents = append(documents, p.Status(now)...)
		}
	}) {
		return nil, errStopped
	}
	return documents, nil
}

// countedStats describes the router as a whole.
func (r *Router) countedStats() control.Stats {
	traffic := r.forwarder.Stats()
	document := control.Stats{
		Name: r.settings.Name, PID: os.Getpid(), Version: r.options.Version,
		Uptime:  seconds(time.Since(r.started)),
		Misses:  traffic.Misses,
		Punted:  traffic.Punted,
		Dropped: traffic.Dropped,
		ControlEventsDropped: r.loop.dropped.Load() +
			r.igmp.manager.Counters().MissesDropped + r.mld.manager.Counters().MissesDropped,
	}
	document.JoinDelay = delayDocument(r.delays.Delays())
	for _, f := range r.families() {
		for entry := range f.manager.MFEs() {
			document.Flows++
			if len(entry.OIFs) == 0 {
				document.Negative++
			}
		}
	}
	return document
}

// nameOf is how people call the interface with an index.
func (r *Router) nameOf(index uint32) string { return r.name(mgm.Iface{Index: index}) }

// name is how people call an interface of a Multicast Group Manager.
func (r *Router) name(i mgm.Iface) string {
	if found := r.byIndex(i.Index); found != nil {
		return found.config.Name
	}
	return ""
}

func (r *Router) domain(i mgm.Iface) string {
	if found := r.byIndex(i.Index); found != nil {
		return found.config.Domain
	}
	return ""
}

func (r *Router) threshold(i mgm.Iface) uint8 {
	if found := r.byIndex(i.Index); found != nil {
		return found.config.TTLThreshold
	}
	return 0
}

func wildcard(address netip.Addr) string {
	if !address.IsValid() {
		return "*"
	}
	return address.String()
}

// seconds are rounded to a millisecond, as nobody reads more.
func seconds(d time.Duration) float64 {
	return math.Round(max(d, 0).Seconds()*1000) / 1000
}
