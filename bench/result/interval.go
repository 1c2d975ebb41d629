package result

import (
	"math"
	"slices"
)

// Interval is a median with what it lies between.
//
// From six values on Low and High are order statistics between which the median
// of what the values were drawn from lies with a probability of at least 95 %,
// whatever its distribution: the k-th of n values from either end is outside of
// it with the probability that fewer than k of n fair coins show heads. Of fewer
// values no pair is that sure; Low and High are then the least and the largest.
type Interval struct {
	Median, Low, High float64
	// Confidence is how sure they are, 0 to 1.
	Confidence float64
}

// wantedConfidence is that of an Interval where it can be had.
const wantedConfidence = 0.95

// medianOf sums values up. Of an even number the median is the mean of the two
// in the middle.
func medianOf(values []float64) Interval {
	if len(values) == 0 {
		return Interval{}
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	rank, confidence := rankFor(n)
	return Interval{Median: (v[(n-1)/2] + v[n/2]) / 2, Low: v[rank], High: v[n-1-rank],
		Confidence: confidence}
}

// rankFor gives the highest rank, from 0, whose value and its counterpart from
// the other end are sure enough; 0 where none are.
func rankFor(n int) (rank int, confidence float64) {
	// Both tails of a binomial distribution with p = 1/2, up to k.
	tails := func(k int) float64 {
		sum := 0.0
		for i := range k + 1 {
			sum += math.Exp(logChoose(n, i) - float64(n)*math.Ln2)
		}
		return 2 * sum
	}
	for rank+1 < n/2 && 1-tails(rank+1) >= wantedConfidence {
		rank++
	}
	return rank, max(0, 1-tails(rank))
}

// logChoose is the logarithm of a binomial coefficient.
func logChoose(n, k int) float64 {
	gamma := func(x int) float64 {
		l, _ := math.Lgamma(float64(x) + 1)
		return l
	}
	return gamma(n) - gamma(k) - gamma(n-k)
}
