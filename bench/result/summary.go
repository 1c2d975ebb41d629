package result

import (
	"slices"

	"umroute/bench/plan"
)

// Summary is what the samples of one row by one engine say.
type Summary struct {
	Engine  plan.Engine
	Row     plan.Row
	Rate    string // its kind, of a Sample
	Samples int    // that the figures are from
	Noisy   int    // samples left out: see quiet

	Throughput, Cost, RouterCost, Foreign Interval
	P50, P99, Skew                        Interval          // nanoseconds
	Found, Capacity                       Interval          // datagrams/s; groups
	Limit                                 string            // of the capacity, the last
	Delay                                 *Distribution     // all delays together
	Loss                                  float64           // the worst, 0 to 1
	Faults                                uint64            // of all samples, noisy ones included
	Dropped                               map[string]uint64 // likewise

	// The medians of throughput and cost as multiples of the kernel's and of the
	// naive router's; 0 where there is nothing to compare.
	OfKernel, CostOfKernel, OfNaive, CostOfNaive float64
}

// tooNoisy is how many processors others may take before a sample is left out,
// if there are at least enoughQuiet others.
const (
	tooNoisy    = 0.6
	enoughQuiet = 2
)

// quiet leaves out the samples during which others used much of the machine:
// by how much says more about them than about the router. Where too few would
// remain, it keeps all.
func quiet(samples []Sample) []Sample {
	kept := slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool {
		return s.Noisy()
	})
	if len(kept) < enoughQuiet {
		return samples
	}
	return kept
}

// Summarize sums up samples by row and engine, in the order of the first sample
// of each row and then of each engine.
func Summarize(samples []Sample) []Summary {
	type kind struct {
		row  plan.Row
		rate string
	}
	type place struct {
		kind   kind
		engine plan.Engine
	}
	var kinds []kind
	var engines []plan.Engine
	at := make(map[place][]Sample)
	for _, s := range samples {
		k := kind{s.Row, s.Rate()}
		if !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
		if !slices.Contains(engines, s.Engine) {
			engines = append(engines, s.Engine)
		}
		p := place{k, s.Engine}
		at[p] = append(at[p], s)
	}
	var all []Summary
	for _, k := range kinds {
		first := len(all)
		for _, engine := range engines {
			if of := at[place{k, engine}]; len(of) > 0 {
				all = append(all, summarize(of))
			}
		}
		compare(all[first:])
	}
	return all
}

// summarize sums up samples of one row by one engine.
func summarize(samples []Sample) Summary {
	// Loss and faults count wherever they happen; only speed is the machine's.
	kept := quiet(samples)
	over := func(f func(Sample) float64) Interval {
		var values []float64
		for _, s := range kept {
			values = append(values, f(s))
		}
		return medianOf(values)
	}
	sum := Summary{
		Engine: samples[0].Engine, Row: samples[0].Row, Rate: samples[0].Rate(),
		Samples: len(kept), Noisy: len(samples) - len(kept), Dropped: make(map[string]uint64),
		Throughput: over(Sample.Throughput), Cost: over(Sample.Cost),
		RouterCost: over(Sample.RouterCost), Foreign: over(Sample.Foreign),
		P50: over(func(s Sample) float64 { return float64(s.Traffic.Latency.P50) }),
		P99: over(func(s Sample) float64 { return float64(s.Traffic.Latency.P99) }),
	}
	sum.Skew = over(func(s Sample) float64 { return s.Skew.p50() })
	sum.Capacity = over(func(s Sample) float64 { return float64(s.Capacity) })
	sum.Found = over(func(s Sample) float64 {
		if s.Search == nil {
			return 0
		}
		return s.Search.Found
	})
	sum.Delay = delays(samples)
	for _, s := range samples {
		if s.Limit != "" {
			sum.Limit = s.Limit
		}
		sum.Loss = max(sum.Loss, s.Loss())
		sum.Faults += s.Faults()
		for where, n := range s.Dropped {
			sum.Dropped[where] += n
		}
	}
	return sum
}

// delays puts the delays of all samples together.
func delays(samples []Sample) *Distribution {
	all := NewHistogram()
	for _, s := range samples {
		if s.Delay == nil {
			continue
		}
		// They are this program's own, so there is nothing to go wrong.
		if h, err := s.Delay.Histogram(); err == nil {
			all.Merge(h)
		}
	}
	d, err := Distribute(all)
	if err != nil {
		return nil
	}
	return d
}

// compare sets the summaries of one row in relation to the kernel's and to the
// naive router's.
func compare(row []Summary) {
	for _, with := range row {
		for i := range row {
			s := &row[i]
			// Without senders and receivers there is nothing to compare.
			if s.Engine.Name == plan.Memory {
				continue
			}
			cost := ratio(s.Cost.Median, with.Cost.Median)
			throughput := ratio(s.Throughput.Median, with.Throughput.Median)
			// At a given rate the throughput is given too.
			if s.Rate == Fixed {
				throughput = 0
			}
			switch with.Engine.Name {
			case plan.Kernel:
				s.OfKernel, s.CostOfKernel = throughput, cost
			case plan.Naive:
				s.OfNaive, s.CostOfNaive = throughput, cost
			}
		}
	}
}
