// Package metrics gives the state of a router in the form of Prometheus. It
// reads the documents of the control socket when somebody asks for metrics, and
// keeps nothing in between.
package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"umroute/cmd/umroute/internal/control"
)

// Router is what metrics are made of. Show gives the document of a name, as the
// control socket does.
type Router interface {
	Show(ctx context.Context, document string) (any, error)
}

// collectTime bounds how long the router may take to answer.
const collectTime = 10 * time.Second

// Handler serves the metrics of a router; with flows there is a series for each
// flow, too.
func Handler(router Router, flows bool, log *slog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		&collector{router: router, flows: flows},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: 4,
	})
}

// collector asks the router at each collection.
type collector struct {
	router Router
	flows  bool
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range all {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector. A document that the router does not
// give makes the whole collection fail, since a missing series would look like
// a counter that starts again.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTime)
	defer cancel()
	e := emitter{out: out}
	collect(ctx, c.router, &e, "stats", (*emitter).stats)
	collect(ctx, c.router, &e, "interfaces", (*emitter).interfaces)
	collect(ctx, c.router, &e, "protocols", (*emitter).protocols)
	collect(ctx, c.router, &e, "neighbors", (*emitter).neighbors)
	if c.flows {
		collect(ctx, c.router, &e, "routes", (*emitter).routes)
	}
}

// collect turns one document into metrics.
func collect[T any](ctx context.Context, router Router, e *emitter, document string,
	emit func(*emitter, T)) {
	value, err := router.Show(ctx, document)
	rows, ok := value.(T)
	if err == nil && !ok {
		err = fmt.Errorf("document %s is a %T", document, value)
	}
	if err != nil {
		e.out <- prometheus.NewInvalidMetric(upInterface, err)
		return
	}
	emit(e, rows)
}

// emitter writes metrics.
type emitter struct{ out chan<- prometheus.Metric }

func (e *emitter) count(d *prometheus.Desc, n uint64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (e *emitter) gauge(d *prometheus.Desc, value float64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (e *emitter) flag(d *prometheus.Desc, on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	e.gauge(d, value, labels...)
}

func (e *emitter) stats(s control.Stats) {
	e.gauge(buildInfo, 1, s.Version, s.Name)
	e.gauge(entries, float64(s.Flows-s.Negative), "positive")
	e.gauge(entries, float64(s.Negative), "negative")
	e.count(misses, s.Misses)
	e.count(punted, s.Punted)
	e.count(controlDropped, s.ControlEventsDropped)
	for reason, n := range s.Dropped {
		e.count(dropped, n, reason)
	}
	buckets := make(map[float64]uint64)
	var below uint64
	for _, b := range s.JoinDelay.Buckets {
		below += b.Count
		buckets[b.UpTo] = below
	}
	e.out <- prometheus.MustNewConstHistogram(joinDelay, s.JoinDelay.Count, s.JoinDelay.Sum,
		buckets)
}

func (e *emitter) interfaces(interfaces []control.Interface) {
	for _, i := range interfaces {
		e.flag(upInterface, i.Up, i.Name)
		e.gauge(interfaceInfo, 1, i.Name, i.Link, i.Netns, i.Device, i.IO)
		e.count(rxPackets, i.RxPackets, i.Name)
		e.count(rxBytes, i.RxBytes, i.Name)
		e.count(txPackets, i.TxPackets, i.Name)
		e.count(txBytes, i.TxBytes, i.Name)
		for reason, n := range i.Drops {
			e.count(interfaceDrops, n, i.Name, reason)
		}
		e.querying(i.Name, "igmp", i.IGMP)
		e.querying(i.Name, "mld", i.MLD)
	}
}

func (e *emitter) querying(name, protocol string, q control.Querying) {
	if !q.Enabled {
		return
	}
	e.gauge(groups, float64(q.Groups), name, protocol)
	e.flag(querier, q.IsQuerier, name, protocol)
	for kind, n := range q.Sent {
		e.count(sent, n, name, protocol, kind)
	}
	for kind, n := range q.Received {
		e.count(received, n, name, protocol, kind)
	}
	for reason, n := range q.Ignored {
		e.count(ignored, n, name, protocol, reason)
	}
}

func (e *emitter) protocols(protocols []control.Protocol) {
	type key struct{ protocol, family string }
	seen := make(map[key]bool)
	for _, p := range protocols {
		if k := (key{p.Name, p.Family}); !seen[k] {
			seen[k] = true
			e.gauge(memberships, float64(p.Memberships), p.Name, p.Family)
		}
	}
}

func (e *emitter) neighbors(list []control.Neighbor) {
	type key struct{ protocol, iface string }
	counts := make(map[key]int)
	for _, n := range list {
		counts[key{n.Protocol, n.Interface}]++
	}
	for k, n := range counts {
		e.gauge(neighbors, float64(n), k.protocol, k.iface)
	}
}

func (e *emitter) routes(routes []control.Route) {
	for _, r := range routes {
		e.count(flowPackets, r.Packets, r.Source, r.Group, r.IIF)
		e.count(flowBytes, r.Bytes, r.Source, r.Group, r.IIF)
		sent := make(map[string]uint64)
		for _, oif := range r.OIFs {
			sent[oif.Interface] += oif.Packets
		}
		for name, n := range sent {
			e.count(flowSent, n, r.Source, r.Group, name)
		}
	}
}
