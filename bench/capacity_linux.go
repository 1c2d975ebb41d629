package bench

import (
	"fmt"
	"time"

	"umroute/bench/plan"
	"umroute/bench/result"
)

// capacityRates are how fast groups are gone through, in datagrams per second. A
// number of groups is too large only if the slowest fails as well: what is lost
// was lost for the number then, and not for want of time. Hosts need more of it
// the more groups they are members of.
var capacityRates = []float64{10_000, 5000, 2000}

// capacity finds how many groups are forwarded without fault (RFC 3918 section
// 7.1): more of them step by step until some are not, then between the steps.
func (l *lab) capacity(s *stage, m measurement) (result.Sample, error) {
	var sample result.Sample
	good, bad := 0, 0
	try := func(groups int) error {
		taken, why, err := l.forwardsAll(s, m, groups)
		switch {
		case err != nil && s.router.PID() != 0 && good == 0:
			return err
		case err != nil || why != "":
			if err != nil {
				why = err.Error()
			}
			bad, sample.Limit = groups, fmt.Sprintf("%d groups: %s", groups, why)
		default:
			limit := sample.Limit
			good, sample = groups, taken
			sample.Limit = limit
		}
		return nil
	}
	for _, groups := range []int{1, 10, 100, 1000, 2000, 5000, plan.MaxFlows} {
		if err := try(groups); err != nil {
			return sample, err
		}
		if bad > 0 {
			break
		}
	}
	for bad-good > max(1, good/10) && bad > 0 {
		if err := try((good + bad) / 2); err != nil {
			return sample, err
		}
	}
	if sample.Capacity = good; bad == 0 {
		sample.Limit = fmt.Sprintf("no more than %d groups are tried", plan.MaxFlows)
	}
	return sample, nil
}

// forwardsAll says whether as many groups are forwarded, and if not why.
func (l *lab) forwardsAll(s *stage, m measurement, groups int) (result.Sample, string, error) {
	m.Row.Flows, m.Warmup = groups, 0
	least := m.Duration
	var why string
	for _, rate := range capacityRates {
		m.Row.Rate = rate
		// Two datagrams of each, and some more.
		all := time.Duration(2.2 * float64(groups) / rate * float64(time.Second))
		m.Duration = max(least, all)
		sample, err := l.flow(s, m)
		if err != nil {
			return sample, "", err
		}
		faults := sample.Faults()
		if sample.Traffic.Lost == 0 && faults == 0 {
			return sample, "", nil
		}
		why = fmt.Sprintf("%d of %d datagrams were lost, %d were not as they should be",
			sample.Traffic.Lost, sample.Traffic.Expected, faults)
	}
	return result.Sample{}, why, nil
}
