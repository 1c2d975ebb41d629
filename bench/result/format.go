package result

import (
	"fmt"
	"io"
	"strings"

	"umroute/bench/plan"
)

// Fact is one line about the machine or the measurement.
type Fact struct{ Key, Value string }

// WriteBenchmark writes samples in the Go benchmark format
// (golang.org/design/14313-benchmark-format): facts, then a line for each
// sample, so that benchstat can judge how they scatter.
func WriteBenchmark(w io.Writer, facts []Fact, samples []Sample) error {
	var b strings.Builder
	for _, f := range facts {
		// The format has one line for each.
		fmt.Fprintf(&b, "%s: %s\n", f.Key, strings.Join(strings.Fields(f.Value), " "))
	}
	for _, s := range samples {
		writeSample(&b, s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeSample(b *strings.Builder, s Sample) {
	fmt.Fprintf(b, "%s 1", benchmarkName(s))
	value := func(v float64, digits int, unit string) {
		fmt.Fprintf(b, " %.*f %s", digits, v, unit)
	}
	defer b.WriteByte('\n')
	switch {
	case s.Row.Joins():
		if d := s.Delay; d != nil {
			value(float64(d.P50), 0, "p50-ns")
			value(float64(d.Max), 0, "max-ns")
		}
		return
	case s.Row.Test == plan.Capacity:
		value(float64(s.Capacity), 0, "groups")
		return
	}
	value(s.Throughput(), 0, "dgrams/s")
	value(s.Cost(), 4, "cpu-s/Mpkt")
	if s.Usage.Router > 0 {
		value(s.RouterCost(), 4, "router-cpu-s/Mpkt")
	}
	if s.Row.Rate > 0 {
		value(float64(s.Traffic.Latency.P50), 0, "p50-ns")
		value(float64(s.Traffic.Latency.P99), 0, "p99-ns")
	}
	if s.Skew != nil {
		value(float64(s.Skew.P50), 0, "skew-p50-ns")
	}
	if s.Search != nil {
		value(s.Search.Found, 0, "offered/s")
	}
	value(s.Loss()*100, 4, "%loss")
	value(float64(s.Faults()), 0, "faults")
	value(s.Foreign(), 2, "foreign-cpus")
}

// benchmarkName says in key=value pairs what was measured.
func benchmarkName(s Sample) string {
	r := s.Row
	var b strings.Builder
	fmt.Fprintf(&b, "Benchmark%s/engine=%s/io=%s/link=%s/oifs=%d", camel(testOf(r)), s.Engine.Name,
		s.Engine.IO, s.Engine.Link, r.Oifs)
	pair := func(show bool, key string, v any) {
		if show {
			fmt.Fprintf(&b, "/%s=%v", key, v)
		}
	}
	pair(r.Size > 0, "size", r.Size)
	pair(r.Size == 0, "size", "imix")
	pair(true, "flows", r.Flows)
	pair(true, "sender", r.Sender)
	pair(true, "receiver", r.Receiver)
	pair(r.Rate > 0, "rate", r.Rate)
	pair(s.Search != nil, "rate", s.Rate())
	pair(r.Burst, "pattern", "burst")
	pair(r.Unicast > 0, "unicast", float64(r.Unicast)/10)
	pair(r.Burden > 0, "burden", r.Burden)
	pair(r.Joins(), "protocol", r.Protocol)
	pair(r.Joins(), "fastleave", r.FastLeave)
	pair(r.IPv6, "ip", 6)
	return b.String()
}

// camel writes "join-delay" as "JoinDelay".
func camel(name string) string {
	var b strings.Builder
	for _, word := range strings.Split(name, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
