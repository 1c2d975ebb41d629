package result

import (
	"time"

	"umroute/bench/flood"
	"umroute/bench/meter"
	"umroute/bench/plan"
)

// Sample is one measurement of one row by one engine. Throughput and processor
// time are those of the interval in the middle; loss and errors are those of
// the whole run.
type Sample struct {
	Engine plan.Engine `json:"engine"`
	Row    plan.Row    `json:"row"`

	Interval flood.Counters    `json:"interval"`
	Usage    meter.Usage       `json:"usage"`
	Traffic  flood.Report      `json:"traffic"`
	Dropped  map[string]uint64 `json:"dropped,omitempty"` // where, or why by the router
}

// Throughput is how many datagrams a second all receivers got together: the
// aggregated multicast throughput of RFC 3918 section 4.3, in datagrams.
func (s Sample) Throughput() float64 {
	return ratio(float64(s.Interval.Delivered), s.Usage.Elapsed.Seconds())
}

// Cost is the processor time of everything that took part, in seconds per
// million datagrams sent.
func (s Sample) Cost() float64 { return s.perMillion(s.Usage.Total) }

// RouterCost is the part of the router's process in Cost; 0 for the kernel,
// which works on the sender's and receivers' time.
func (s Sample) RouterCost() float64 { return s.perMillion(s.Usage.Router) }

func (s Sample) perMillion(d time.Duration) float64 {
	return ratio(d.Seconds()*1e6, float64(s.Interval.Sent))
}

// Loss is the fraction of what should have arrived that did not, 0 to 1.
func (s Sample) Loss() float64 {
	return ratio(float64(s.Traffic.Lost), float64(s.Traffic.Sent)*float64(s.Row.Oifs))
}

// Faults is how many datagrams arrived that were not as they should be: out of
// order, twice, damaged, with the wrong TTL or from the wrong source.
func (s Sample) Faults() uint64 {
	t := s.Traffic
	return t.Reordered + t.Duplicates + t.Late + t.Corrupt + t.Foreign + t.WrongTTL + t.WrongFrom
}

// Foreign is how many processors' worth of time others took meanwhile, on this
// machine or, if it is a virtual one, on its host.
func (s Sample) Foreign() float64 {
	return ratio((s.Usage.Foreign + s.Usage.Stolen).Seconds(), s.Usage.Elapsed.Seconds())
}

// ratio is 0 where there is nothing to divide by.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
