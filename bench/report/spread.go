package report

import (
	"fmt"
	"math"

	"golang.org/x/perf/benchmath"
)

// confidence is that of every interval in a report, and significance the
// probability below which a difference is not taken for chance.
const (
	confidence   = 0.95
	significance = 0.05
)

// spread is the median of some samples and its interval by order statistics,
// which supposes nothing about how they scatter.
type spread struct {
	values       []float64
	median       float64
	low, high    float64
	withInterval bool // fewer than six samples bound nothing at 95 %
}

func newSpread(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sample := benchmath.NewSample(values, &benchmath.DefaultThresholds)
	s := benchmath.AssumeNothing.Summary(sample, confidence)
	bounded := !math.IsInf(s.Lo, 0) && !math.IsInf(s.Hi, 0)
	if !bounded {
		s.Lo, s.Hi = s.Center, s.Center
	}
	return spread{values: values, median: s.Center, low: s.Lo, high: s.Hi,
		withInterval: bounded}
}

// write gives the median, and half the interval's width in percent of it.
func (s spread) write(format func(float64) string) string {
	switch {
	case len(s.values) == 0:
		return "–"
	case !s.withInterval || s.median == 0:
		return format(s.median)
	}
	wide := max(s.high-s.median, s.median-s.low) / math.Abs(s.median) * 100
	return fmt.Sprintf("%s ± %.0f %%", format(s.median), math.Ceil(wide))
}

// chance is how probable it is that two sets of samples are of one kind, by the
// Mann-Whitney U test; 1 where there are too few to tell.
func chance(a, b spread) float64 {
	if len(a.values) < 4 || len(b.values) < 4 {
		return 1
	}
	sample := func(s spread) *benchmath.Sample {
		return benchmath.NewSample(s.values, &benchmath.DefaultThresholds)
	}
	return benchmath.AssumeNothing.Compare(sample(a), sample(b)).P
}

// ratio writes how many times b's median a's is.
func ratio(a, b spread) string {
	if len(a.values) == 0 || len(b.values) == 0 || b.median == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f×", a.median/b.median)
}
