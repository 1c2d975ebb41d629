package result

import (
	"fmt"
	"io"
	"strings"
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
	value(s.Throughput(), 0, "dgrams/s")
	value(s.Cost(), 4, "cpu-s/Mpkt")
	if s.Usage.Router > 0 {
		value(s.RouterCost(), 4, "router-cpu-s/Mpkt")
	}
	if s.Row.Rate > 0 {
		value(float64(s.Traffic.Latency.P50), 0, "p50-ns")
		value(float64(s.Traffic.Latency.P99), 0, "p99-ns")
	}
	value(s.Loss()*100, 4, "%loss")
	value(float64(s.Faults()), 0, "faults")
	value(s.Foreign(), 2, "foreign-cpus")
	b.WriteByte('\n')
}

// benchmarkName says in key=value pairs what was measured.
func benchmarkName(s Sample) string {
	r := s.Row
	name := fmt.Sprintf("BenchmarkForward/engine=%s/io=%s/link=%s/oifs=%d/size=%d/flows=%d"+
		"/sender=%s/receiver=%s", s.Engine.Name, s.Engine.IO, s.Engine.Link, r.Oifs, r.Size,
		r.Flows, r.Sender, r.Receiver)
	if r.Rate > 0 {
		name += fmt.Sprintf("/rate=%g", r.Rate)
	}
	if r.IPv6 {
		name += "/ip=6"
	}
	return name
}
