package router

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"umroute/cmd/umroute/internal/control"
	"umroute/cmd/umroute/internal/joindelay"
	"umroute/cmd/umroute/internal/metrics"
	"umroute/mgm"
)

// Metrics serves the router's metrics for Prometheus.
func (r *Router) Metrics() http.Handler {
	return metrics.Handler(r, r.settings.Metrics.Flows, r.log)
}

// listenMetrics opens the TCP port for metrics, if there is to be one.
func (r *Router) listenMetrics() (net.Listener, error) {
	address := r.settings.Metrics.Listen
	if address == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("open the port for metrics (key metrics.listen): %w", err)
	}
	return listener, nil
}

// serveMetrics answers on that port until ctx ends.
func (r *Router) serveMetrics(ctx context.Context, listener net.Listener) error {
	if listener == nil {
		return nil
	}
	return metrics.Serve(ctx, listener, r.Metrics(), r.log)
}

// measured tells a meter of the joins that IGMP or MLD makes.
type measured struct {
	*client
	delays *joindelay.Meter
}

// AddMembership implements membership.Members.
func (m measured) AddMembership(e mgm.Entry, i mgm.Iface, flags mgm.StateFlags) error {
	if flags&mgm.JoinState != 0 {
		m.delays.Joined(time.Now(), e, i)
	}
	return m.client.AddMembership(e, i, flags)
}

// DeleteMembership implements membership.Members.
func (m measured) DeleteMembership(e mgm.Entry, i mgm.Iface, flags mgm.StateFlags) error {
	if flags&mgm.JoinState != 0 {
		m.delays.Left(e, i)
	}
	return m.client.DeleteMembership(e, i, flags)
}

// maxSenders bounds how many flows of a group are looked at for one join.
const maxSenders = 16

// sent counts the packets of an entry's flows that have left by an interface.
func (r *Router) sent(e mgm.Entry, i mgm.Iface) (packets uint64) {
	f := r.igmp
	if e.Group.Is6() {
		f = r.mld
	}
	if e.Source.IsValid() {
		return f.sent(mgm.Flow(e), i)
	}
	senders := 0
	for entry := range f.manager.MFEsAfter(mgm.Flow{Group: e.Group}) {
		if entry.Group != e.Group || senders == maxSenders {
			break
		}
		packets += f.sent(entry.Flow, i)
		senders++
	}
	return packets
}

func (f *family) sent(flow mgm.Flow, i mgm.Iface) (packets uint64) {
	entry, err := f.manager.MFEStats(flow)
	if err != nil {
		return 0
	}
	for _, oif := range entry.Stats.OIFs {
		if oif.Iface.Index == i.Index {
			packets += oif.OutPackets
		}
	}
	return packets
}

func delayDocument(d joindelay.Delays) control.Delays {
	document := control.Delays{Count: d.Count, Sum: d.Sum.Seconds(),
		Buckets: []control.DelayBucket{}}
	for n, count := range d.Counts {
		document.Buckets = append(document.Buckets,
			control.DelayBucket{UpTo: joindelay.Bounds[n].Seconds(), Count: count})
	}
	return document
}
