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
const maxLatency = 60 * time.Second

// Times are all times of a run at a rate, in nanoseconds. Latency is from
// before the sender's call to behind the receiver's. Skew is between the first
// and the last copy of a datagram, by the kernel's clock when they arrived in
// the receivers' namespaces.
type Times struct {
	Latency  *hdrhistogram.Histogram
	ByOutput []*hdrhistogram.Histogram // good to a hundredth
	Skew     *hdrhistogram.Histogram   // nil with one receiver
}

func newTimes(sinks int) *Times {
	t := &Times{Latency: hdrhistogram.New(1, int64(maxLatency), 3)}
	for range sinks {
		t.ByOutput = append(t.ByOutput, hdrhistogram.New(1, int64(maxLatency), 2))
	}
	if sinks > 1 {
		t.Skew = hdrhistogram.New(1, int64(maxLatency), 3)
	}
	return t
}

// record allocates nothing.
func (t *Times) record(output int, d time.Duration) {
	// In the range, so there is no error.
	ns := int64(min(max(d, 0), maxLatency))
	_ = t.Latency.RecordValue(ns)
	_ = t.ByOutput[output].RecordValue(ns)
}

func (t *Times) summary() Latency {
	if t == nil {
		return Latency{}
	}
	at := func(percent float64) time.Duration {
		return time.Duration(t.Latency.ValueAtQuantile(percent))
	}
	return Latency{P50: at(50), P99: at(99), Max: time.Duration(t.Latency.Max())}
}

// copies follows the copies of each datagram until all have come. It has room
// for those that are under way at the same time; what is overtaken by so many
// is forgotten.
type copies struct {
	outputs int
	places  [1 << 14]arrivals
}

// arrivals are those of the copies of one datagram so far.
type arrivals struct {
	number      uint64
	came        int
	first, last int64 // nanoseconds since 1970
}

// arrive notes a copy. When it is the last, it gives the time since the first.
func (c *copies) arrive(number uint64, at int64) (skew int64, complete bool) {
	a := &c.places[number%uint64(len(c.places))]
	if a.came == 0 || a.number != number {
		*a = arrivals{number: number, first: at, last: at}
	}
	a.came++
	a.first, a.last = min(a.first, at), max(a.last, at)
	if a.came < c.outputs {
		return 0, false
	}
	a.came = 0
	return a.last - a.first, true
}
