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

	Round int       `json:"round"` // 1 is the first
	At    time.Time `json:"at"`    // its beginning

	// Search is how the rate was found, where it was.
	Search *Search `json:"search,omitempty"`
	// Allocs are heap allocations of the router over the whole run; nil where it
	// cannot tell.
	Allocs   *uint64        `json:"allocs,omitempty"`
	Latency  *Distribution  `json:"latency,omitempty"`
	Skew     *Distribution  `json:"skew,omitempty"`
	ByOutput []Distribution `json:"by_output,omitempty"`
	// Delay is of joins or leaves, as the row says.
	Delay *Distribution `json:"delay,omitempty"`
	// Capacity is a number of groups, and Limit what ended the search for more.
	Capacity int    `json:"capacity,omitempty"`
	Limit    string `json:"limit,omitempty"`
}

// Search is what a search for a rate found.
type Search struct {
	Kind   string  `json:"kind"`  // NDR, PDR or MRR
	Goal   float64 `json:"goal"`  // loss allowed, 0 to 1
	Width  float64 `json:"width"` // part of the upper bound between the bounds
	Found  float64 `json:"found"` // datagrams per second offered
	Trials int     `json:"trials"`
}

// The kinds of rates.
const (
	NDR    = "ndr" // the highest without loss
	PDR    = "pdr" // the highest with little loss
	MRR    = "mrr" // what comes through without limit
	Closed = "closed"
	Fixed  = "fixed"
)

// Rate is the kind of rate of a sample.
func (s Sample) Rate() string {
	switch {
	case s.Search != nil:
		return s.Search.Kind
	case s.Row.Rate > 0:
		return Fixed
	}
	return Closed
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
	return ratio(float64(s.Traffic.Lost), float64(s.Traffic.Expected))
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

// Noisy says whether others took so much that the figures are unsafe.
func (s Sample) Noisy() bool { return s.Foreign() > tooNoisy }

// ratio is 0 where there is nothing to divide by.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
