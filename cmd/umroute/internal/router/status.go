package router

import (
	"context"
	"net/netip"
	"time"

	"umroute/cmd/umroute/internal/config"
	"umroute/cmd/umroute/internal/control"
	"umroute/routing"
	"umroute/stack"
	"umroute/stack/membership"
	"umroute/tun"
)

// countedInterfaces describes the links, in the order of list.
func (r *Router) countedInterfaces(ctx context.Context) ([]control.Interface, error) {
	status := make(map[*family]map[uint32]membership.InterfaceStatus)
	if !r.loop.run(ctx, func(now time.Time) {
		for _, f := range r.families() {
			status[f] = make(map[uint32]membership.InterfaceStatus)
			for _, each := range f.membership.Interfaces(now) {
				status[f][each.Index] = each
			}
		}
	}) {
		return nil, errStopped
	}
	unicast := make(map[uint32]stack.InterfaceStats)
	for _, each := range r.stack.Stats().Interfaces {
		unicast[each.Index] = each
	}
	documents := []control.Interface{}
	for _, i := range r.list() {
		document := r.describe(i)
		document.IGMP = querying(status[r.igmp], i, i.config.IGMP)
		document.MLD = querying(status[r.mld], i, i.config.MLD)
		traffic, _ := r.forwarder.InterfaceStats(i.index)
		count(&document, traffic, unicast[i.index])
		i.countOverflows(&document)
		i.describeHost(&document)
		documents = append(documents, document)
	}
	return documents, nil
}

// describe says what an interface is, without its counters.
func (r *Router) describe(i *iface) control.Interface {
	document := control.Interface{
		Name: i.config.Name, Link: string(i.config.Link), Index: i.index,
		Netns: i.config.Netns.String(), Device: i.device.Name(), MTU: i.device.MTU(),
		Addresses: []string{}, PeerAddresses: []string{}, Owner: r.owner(i), Domain: i.config.Domain,
		Threshold: i.config.TTLThreshold, IO: i.device.IO(), Queues: 1, RPFilter: -1,
		Offload: tun.OffloadOf(i.device) == tun.OffloadSegmentation,
	}
	for _, address := range i.config.Addresses {
		document.Addresses = append(document.Addresses, address.String())
	}
	for _, address := range i.config.PeerAddresses {
		document.PeerAddresses = append(document.PeerAddresses, address.String())
	}
	if i.device.Kind() == tun.KindPipe {
		document.Link = "pipe"
	}
	if i.link != nil {
		document.RPFilter = i.link.ReversePathFilter()
	}
	document.Up, document.Reason = r.registry.state(i)
	return document
}

// owner names the client that holds an interface; "" where nobody does.
func (r *Router) owner(i *iface) string {
	for _, f := range r.families() {
		if id, err := f.manager.Owner(i.key()); err == nil {
			return f.clientName(id)
		}
	}
	return ""
}

// count adds up what went through the forwarder and through the stack. What
// the forwarder read and punted is among its packets already.
func count(document *control.Interface, traffic routing.InterfaceStats,
	unicast stack.InterfaceStats) {
	document.RxPackets, document.RxBytes = traffic.RxPackets, traffic.RxBytes
	document.TxPackets = traffic.TxPackets + unicast.SentPackets
	document.TxBytes = traffic.TxBytes + unicast.SentBytes
	document.Drops = make(map[string]uint64)
	for _, drops := range []map[string]uint64{traffic.Drops, unicast.Drops} {
		for reason, n := range drops {
			document.Drops[reason] += n
		}
	}
}

// countOverflows adds what was lost before it could be read.
func (i *iface) countOverflows(document *control.Interface) {
	if i.link == nil {
		return
	}
	if n := i.link.Overflows(); n > 0 {
		document.Drops["queue_full"] += n
	}
}

func querying(all map[uint32]membership.InterfaceStatus, i *iface,
	settings config.Membership) control.Querying {
	status, enabled := all[i.index]
	if !enabled {
		return control.Querying{Sent: map[string]uint64{}, Received: map[string]uint64{},
			Ignored: map[string]uint64{}}
	}
	document := control.Querying{
		Enabled: true, Version: status.Version, IsQuerier: status.IsQuerier,
		Querier: text(status.Querier), Groups: status.Groups,
		FastLeave:               settings.FastLeave.On(i.config.Link),
		Robustness:              status.Robustness,
		QueryInterval:           seconds(status.QueryInterval),
		QueryResponseInterval:   seconds(status.QueryResponseInterval),
		LastMemberQueryInterval: seconds(status.LastMemberQueryInterval),
		NextQuery:               seconds(status.NextQuery),
		OtherQuerier:            seconds(status.OtherQuerierExpires),
		Sent: map[string]uint64{
			"general_query": status.Counters.Sent.GeneralQueries,
			"group_query":   status.Counters.Sent.GroupQueries,
			"source_query":  status.Counters.Sent.SourceQueries,
			"error":         status.Counters.Sent.Errors,
		},
		Received: received(status.Counters.Received),
		Ignored:  make(map[string]uint64),
	}
	for reason, n := range status.Counters.Ignored {
		document.Ignored[reason.String()] = n
	}
	return document
}

func received(r membership.Received) map[string]uint64 {
	return map[string]uint64{
		"query_v1": r.QueriesV1, "query_v2": r.QueriesV2, "query_v3": r.QueriesV3,
		"report_v1": r.ReportsV1, "report_v2": r.ReportsV2, "report_v3": r.ReportsV3,
		"leave": r.Leaves,
	}
}

func groupDocument(g membership.GroupStatus) control.Group {
	document := control.Group{
		Interface: g.Interface, Group: g.Group.String(), Mode: g.Mode.String(),
		Version: g.Version, LastReporter: text(g.LastReporter), Reporters: []string{},
		Uptime: seconds(g.Uptime), Expires: seconds(g.Expires), Static: g.Static,
		Sources: []control.Source{},
	}
	if g.Static {
		document.Mode = membership.Exclude.String() // of no source: all are wanted
	}
	for _, reporter := range g.Reporters {
		document.Reporters = append(document.Reporters, reporter.String())
	}
	for _, source := range g.Sources {
		document.Sources = append(document.Sources, control.Source{
			Address: source.Address.String(), Expires: seconds(source.Expires),
			Forwarding: source.Forwarding,
		})
	}
	return document
}

// text is an address, or "" for the zero Addr.
func text(address netip.Addr) string {
	if !address.IsValid() {
		return ""
	}
	return address.String()
}
