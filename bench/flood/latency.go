package flood

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency sums up the times from sending to receiving, over all sinks (RFC 3918
// section 5.1). It is zero in a closed loop, where it would be the queue's.
type Latency struct {
	P50 time.Duration `json:"p50"`
	P99 time.Duration `json:"p99"`
	Max time.Duration `json:"max"`
}

// maxLatency is what longer ones are taken for.
const maxLatency = 10 * time.Second

// latencies collects them. Recording allocates nothing.
type latencies struct{ histogram *hdrhistogram.Histogram }

func newLatencies() *latencies {
	return &latencies{hdrhistogram.New(1, int64(maxLatency), 3)}
}

func (l *latencies) record(d time.Duration) {
	// In the range, so there is no error.
	_ = l.histogram.RecordValue(int64(min(max(d, 0), maxLatency)))
}

func (l *latencies) summary() Latency {
	if l == nil {
		return Latency{}
	}
	at := func(percent float64) time.Duration {
		return time.Duration(l.histogram.ValueAtQuantile(percent))
	}
	return Latency{P50: at(50), P99: at(99), Max: time.Duration(l.histogram.Max())}
}
