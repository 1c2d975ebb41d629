package bench

import (
	"umroute/bench/flood"
	"umroute/bench/plan"
	"umroute/bench/result"
	"umroute/bench/search"
)

// slowest is the least rate that a search tries, in datagrams per second.
const slowest = 1000

// notOffered is the part of a rate that a sender must reach: what it cannot
// offer says nothing about the router.
const notOffered = 0.95

// find finds rates: the one that comes through without limit and, if asked, the
// highest with little and with no loss.
func (l *lab) find(s *stage, m measurement) ([]result.Sample, error) {
	limitless, err := l.flow(s, m)
	if err != nil {
		return nil, err
	}
	offered := rateOf(limitless)
	limitless.Search = &result.Search{Kind: result.MRR, Found: offered, Trials: 1}
	samples := []result.Sample{limitless}
	if m.Row.Find == plan.Unlimited || offered < slowest {
		return samples, nil
	}
	look, err := search.New(search.Config{Min: slowest, Max: offered, Goals: m.goals()})
	if err != nil {
		return samples, err
	}
	trials := make(map[float64]result.Sample)
	for {
		rate, more := look.Next()
		if !more {
			break
		}
		trial, err := l.try(s, m, rate)
		if err != nil {
			return samples, err
		}
		loss := trial.Loss()
		if rateOf(trial) < notOffered*rate {
			loss = 1
		}
		look.Add(loss)
		// Of the trials at a rate the best stands for it, as most of them passed.
		if known, ok := trials[rate]; !ok || trial.Loss() < known.Loss() {
			trials[rate] = trial
		}
	}
	return append(samples, found(look, trials)...), nil
}

// try takes one trial.
func (l *lab) try(s *stage, m measurement, rate float64) (result.Sample, error) {
	m.Row.Rate = rate
	sample, err := l.flow(s, m)
	// Latencies at the limit are those of full queues.
	sample.Latency, sample.Skew, sample.ByOutput = nil, nil, nil
	sample.Traffic.Latency = flood.Latency{}
	return sample, err
}

// rateOf is what was offered.
func rateOf(s result.Sample) float64 {
	if s.Usage.Elapsed <= 0 {
		return 0
	}
	return float64(s.Interval.Sent) / s.Usage.Elapsed.Seconds()
}

// found makes a sample for each goal out of a trial at the rate that was found.
func found(look *search.Search, trials map[float64]result.Sample) []result.Sample {
	var samples []result.Sample
	for _, b := range look.Bounds() {
		sample := trials[b.Lower] // an empty one where nothing passed
		kind := result.PDR
		if b.Goal.Loss == 0 {
			kind = result.NDR
		}
		sample.Search = &result.Search{Kind: kind, Goal: b.Goal.Loss, Width: b.Width(),
			Found: b.Lower, Trials: look.Trials()}
		samples = append(samples, sample)
	}
	return samples
}
