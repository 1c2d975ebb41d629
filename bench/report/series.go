package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"umroute/bench/chart"
	"umroute/bench/result"
)

// row is what was to be forwarded: all that must be equal for two samples to
// be samples of one thing, but for the engine.
type row struct {
	test, rate              string
	family, oifs, size      int
	flows, groups           int
	mix, load, receiver     string
	pattern, protocol       string
	fastLeave               bool
	wanted, burden, unicast float64
}

func rowOf(m result.Measured) row {
	r := row{test: m.Test, rate: m.Rate, family: m.Family, oifs: m.Oifs, size: m.Size,
		flows: m.Flows, groups: m.Groups, mix: m.Mix, load: m.Load, receiver: m.Receiver,
		pattern: m.Pattern, protocol: m.Protocol, fastLeave: m.FastLeave, burden: m.Burden,
		unicast: m.Unicast}
	if m.Rate == "fixed" {
		r.wanted = m.Wanted
	}
	return r
}

// dimension is one thing that may vary among rows.
type dimension struct {
	name  string
	value func(row) float64
	clear func(*row)
}

// dimensions in the order in which one is chosen for the axis of a chart.
func dimensions() []dimension {
	return []dimension{
		{"groups", func(r row) float64 { return float64(r.groups) },
			func(r *row) { r.groups, r.flows = 0, 0 }},
		{"outputs", func(r row) float64 { return float64(r.oifs) },
			func(r *row) { r.oifs = 0 }},
		{"payload, bytes", func(r row) float64 { return float64(r.size) },
			func(r *row) { r.size = 0 }},
		{"unicast, part", func(r row) float64 { return r.unicast },
			func(r *row) { r.unicast = 0 }},
		{"datagrams/s offered", func(r row) float64 { return r.wanted },
			func(r *row) { r.wanted = 0 }},
		{"flows", func(r row) float64 { return float64(r.flows) },
			func(r *row) { r.flows = 0 }},
	}
}

// String names a row by what is not usual about it.
func (r row) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case r.oifs == 1:
		add("1 output")
	case r.oifs > 1:
		add("%d outputs", r.oifs)
	}
	switch {
	case r.mix != "":
		parts = append(parts, r.mix)
	case r.size > 0:
		add("%d B", r.size)
	}
	if r.flows > 1 {
		add("%d flows", r.flows)
	}
	if r.groups > 1 {
		add("%d groups", r.groups)
	}
	if r.family == 6 {
		add("IPv6")
	}
	if r.load != "" && (r.load != "plain" || r.receiver != "plain") {
		add("%s to %s", r.load, r.receiver)
	}
	if r.wanted > 0 {
		add("%s/s", chart.Count(r.wanted))
	}
	if r.unicast > 0 {
		add("%.0f %% unicast", r.unicast*100)
	}
	if r.burden > 0 {
		add("beside %s/s", chart.Count(r.burden))
	}
	for _, word := range []string{r.pattern, r.protocol} {
		if word != "" && word != "paced" {
			parts = append(parts, word)
		}
	}
	if r.fastLeave {
		add("fast leave")
	}
	return strings.Join(parts, ", ")
}

func compareRows(a, b row) int {
	return cmp.Or(cmp.Compare(a.test, b.test), cmp.Compare(a.rate, b.rate),
		cmp.Compare(a.family, b.family), cmp.Compare(a.load, b.load),
		cmp.Compare(a.receiver, b.receiver), cmp.Compare(a.protocol, b.protocol),
		cmp.Compare(a.mix, b.mix), cmp.Compare(a.size, b.size),
		cmp.Compare(a.flows, b.flows), cmp.Compare(a.groups, b.groups),
		cmp.Compare(a.oifs, b.oifs), cmp.Compare(a.wanted, b.wanted),
		cmp.Compare(a.unicast, b.unicast), cmp.Compare(a.burden, b.burden),
		strings.Compare(a.String(), b.String()))
}

// table holds samples by row and engine.
type table struct {
	engines []string // in their order and colours
	rows    []row
	samples map[row]map[string][]result.Measured
}

// engineOf names what forwarded, with the way of its input and output where
// one engine was run with several.
func engineOf(m result.Measured, several bool) string {
	if several && m.IO != "" {
		return m.Engine + "/" + m.IO
	}
	return m.Engine
}

// newTable sorts samples; noisy ones are left out where others are left.
func newTable(samples []result.Measured) table {
	ways := map[string]map[string]bool{}
	for _, m := range samples {
		if ways[m.Engine] == nil {
			ways[m.Engine] = map[string]bool{}
		}
		ways[m.Engine][m.IO] = true
	}
	t := table{samples: map[row]map[string][]result.Measured{}}
	for _, m := range samples {
		r, engine := rowOf(m), engineOf(m, len(ways[m.Engine]) > 1)
		if t.samples[r] == nil {
			t.samples[r] = map[string][]result.Measured{}
			t.rows = append(t.rows, r)
		}
		if !slices.Contains(t.engines, engine) {
			t.engines = append(t.engines, engine)
		}
		t.samples[r][engine] = append(t.samples[r][engine], m)
	}
	slices.SortFunc(t.rows, compareRows)
	// Ours first, then what it is measured against.
	slices.SortStableFunc(t.engines, func(a, b string) int {
		return cmp.Compare(rank(a), rank(b))
	})
	return t
}

func rank(engine string) int {
	for i, name := range []string{"umroute", "kernel", "naive", "relay", "netstack"} {
		if engine == name || strings.HasPrefix(engine, name+"/") {
			return i
		}
	}
	return len(engine) + 10
}

// quiet leaves out what noise made unsafe, if at least three samples are left.
func quiet(samples []result.Measured) []result.Measured {
	calm := slices.DeleteFunc(slices.Clone(samples),
		func(m result.Measured) bool { return m.Noisy })
	if len(calm) < 3 {
		return samples
	}
	return calm
}

// spread of one metric of one row by one engine; samples without it are left out.
func (t table) spread(r row, engine string, metric func(result.Measured) float64) spread {
	var values []float64
	for _, m := range quiet(t.samples[r][engine]) {
		if v := metric(m); v > 0 {
			values = append(values, v)
		}
	}
	return newSpread(values)
}

// baseline is what ratios refer to: the kernel, or else the last engine.
func (t table) baseline() string {
	for _, engine := range t.engines {
		if engine == "kernel" || strings.HasPrefix(engine, "kernel/") {
			return engine
		}
	}
	return t.engines[len(t.engines)-1]
}

// colour is the same for an engine in all charts of a report.
func (t table) colour(engine string) int {
	return slices.Index(t.engines, engine) % chart.MaxSeries
}
