package result

import (
	"slices"

	"umroute/bench/plan"
)

// Range is a median with the extremes around it.
type Range struct{ Median, Min, Max float64 }

// rangeOf sums values up. Of an even number the median is the mean of the two
// in the middle.
func rangeOf(values []float64) Range {
	if len(values) == 0 {
		return Range{}
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return Range{Median: (v[(n-1)/2] + v[n/2]) / 2, Min: v[0], Max: v[n-1]}
}

// Summary is what the samples of one row by one engine say.
type Summary struct {
	Engine  plan.Engine
	Row     plan.Row
	Samples int // that the figures are from
	Noisy   int // samples left out: see quiet

	Throughput, Cost, RouterCost, Foreign Range
	P50, P99                              Range             // nanoseconds
	Loss                                  float64           // the worst, 0 to 1
	Faults                                uint64            // of all samples, noisy ones included
	Dropped                               map[string]uint64 // likewise

	// OfKernel and CostOfKernel are the medians of throughput and cost as
	// multiples of the kernel's; 0 where there is nothing to compare.
	OfKernel, CostOfKernel float64
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
		return s.Foreign() > tooNoisy
	})
	if len(kept) < enoughQuiet {
		return samples
	}
	return kept
}

// Summarize sums up samples by row and engine, in the order of the first sample
// of each row and then of each engine.
func Summarize(samples []Sample) []Summary {
	type place struct {
		row    plan.Row
		engine plan.Engine
	}
	var rows []plan.Row
	var engines []plan.Engine
	at := make(map[place][]Sample)
	for _, s := range samples {
		if !slices.Contains(rows, s.Row) {
			rows = append(rows, s.Row)
		}
		if !slices.Contains(engines, s.Engine) {
			engines = append(engines, s.Engine)
		}
		p := place{s.Row, s.Engine}
		at[p] = append(at[p], s)
	}
	var all []Summary
	for _, row := range rows {
		first := len(all)
		for _, engine := range engines {
			if of := at[place{row, engine}]; len(of) > 0 {
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
	over := func(f func(Sample) float64) Range {
		var values []float64
		for _, s := range kept {
			values = append(values, f(s))
		}
		return rangeOf(values)
	}
	sum := Summary{
		Engine: samples[0].Engine, Row: samples[0].Row,
		Samples: len(kept), Noisy: len(samples) - len(kept), Dropped: make(map[string]uint64),
		Throughput: over(Sample.Throughput), Cost: over(Sample.Cost),
		RouterCost: over(Sample.RouterCost), Foreign: over(Sample.Foreign),
		P50: over(func(s Sample) float64 { return float64(s.Traffic.Latency.P50) }),
		P99: over(func(s Sample) float64 { return float64(s.Traffic.Latency.P99) }),
	}
	for _, s := range samples {
		sum.Loss = max(sum.Loss, s.Loss())
		sum.Faults += s.Faults()
		for where, n := range s.Dropped {
			sum.Dropped[where] += n
		}
	}
	return sum
}

// compare sets the summaries of one row in relation to the kernel's.
func compare(row []Summary) {
	i := slices.IndexFunc(row, func(s Summary) bool { return s.Engine.Name == plan.Kernel })
	if i < 0 {
		return
	}
	kernel := row[i]
	for i := range row {
		// Without senders and receivers there is nothing to compare.
		if row[i].Engine.Name == plan.Memory {
			continue
		}
		row[i].CostOfKernel = ratio(row[i].Cost.Median, kernel.Cost.Median)
		// At a given rate the throughput is given too.
		if kernel.Row.Rate == 0 {
			row[i].OfKernel = ratio(row[i].Throughput.Median, kernel.Throughput.Median)
		}
	}
}
