package result

import "umroute/bench/plan"

// Measured gives a sample the form in which it is kept.
func (s Sample) Measured() Measured {
	r := s.Row
	m := Measured{
		Test: r.Test, Round: s.Round, At: s.At,
		Engine: s.Engine.Name, IO: s.Engine.IO, Link: s.Engine.Link,
		Family: 4, Oifs: r.Oifs, Size: r.Size, Frame: r.Frame(), Flows: r.Flows, Groups: r.Flows,
		Load: r.Sender, Receiver: r.Receiver, Unicast: float64(r.Unicast) / 10,
		Protocol: r.Protocol, FastLeave: r.FastLeave, Burden: r.Burden, Target: r.Target,
		Rate: s.Rate(), Wanted: r.Rate, LostAt: s.Dropped,
		Latency: s.Latency, Skew: s.Skew, ByOutput: s.ByOutput,
		Capacity: s.Capacity, CapacityLimited: s.Limit,
		Noisy: s.Noisy(),
	}
	if m.Test == "" {
		m.Test = plan.Forward
	}
	if r.IPv6 {
		m.Family = 6
	}
	if r.Size == 0 {
		m.Mix = "imix"
	}
	if r.Rate > 0 && !r.Joins() {
		m.Pattern = "paced"
		if r.Burst {
			m.Pattern = "burst"
		}
	}
	if s.Search != nil {
		m.Goal, m.Width, m.Found = s.Search.Goal, s.Search.Width, s.Search.Found
		m.Wanted = s.Search.Found
	}
	if s.Rate() == MRR {
		m.Wanted = 0
	}
	if r.Test == plan.LeaveDelay {
		m.Leave = s.Delay
	} else {
		m.Join = s.Delay
	}
	s.setTraffic(&m)
	return m
}

// setTraffic fills in what was counted and what it cost.
func (s Sample) setTraffic(m *Measured) {
	elapsed := s.Usage.Elapsed.Seconds()
	m.Elapsed = elapsed
	m.Offered = ratio(float64(s.Interval.Sent), elapsed)
	m.Delivered = ratio(float64(s.Interval.Delivered), elapsed)
	t := s.Traffic
	m.Sent, m.Expected, m.Received, m.Lost = t.Sent, t.Expected, t.Delivered, t.Lost
	m.Loss, m.Reordered, m.Duplicates = s.Loss(), t.Reordered, t.Duplicates
	m.Damaged = s.Faults() - t.Reordered - t.Duplicates
	m.Stalls = t.Stalls
	m.CPUPerSent = s.Cost()
	copies := float64(s.Interval.Delivered) / 1e6
	m.CPUPerCopies = ratio(s.Usage.Total.Seconds(), copies)
	m.CPURouter = ratio(s.Usage.Router.Seconds(), copies)
	if s.Allocs != nil {
		perMillion := ratio(float64(*s.Allocs), float64(t.Sent)/1e6)
		m.Allocs = &perMillion
	}
	m.Foreign = ratio(s.Usage.Foreign.Seconds(), elapsed)
	m.Stolen = ratio(s.Usage.Stolen.Seconds(), elapsed)
}
