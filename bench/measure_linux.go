package bench

import (
	"errors"
	"fmt"
	"time"

	"umroute/bench/engine"
	"umroute/bench/flood"
	"umroute/bench/plan"
	"umroute/bench/result"
	"umroute/bench/witness"
	"umroute/mgm"
)

// traffic is what a measurement drives: a flood, or the memory engine.
type traffic interface {
	Start()
	Counters() flood.Counters
	Stop() (flood.Report, error)
}

// measure takes the samples of one round of a row by an engine: one, or one for
// each rate that was to be found.
func (l *lab) measure(m measurement) ([]result.Sample, error) {
	at := time.Now().UTC()
	samples, err := l.dispatch(m)
	for i := range samples {
		samples[i].Engine, samples[i].Row, samples[i].At = m.Engine, m.Row, at
	}
	return samples, err
}

func (l *lab) dispatch(m measurement) ([]result.Sample, error) {
	if m.Engine.Name == plan.Memory {
		loop, err := engine.NewLoop(m.Row)
		if err != nil {
			return nil, err
		}
		return one(l.sample(m, loop, 0))
	}
	if m.Row.Joins() {
		return one(l.delays(m))
	}
	s := l.stages[m.Engine]
	if s == nil {
		return nil, fmt.Errorf("engine %s is not prepared", m.Engine)
	}
	switch {
	case m.Row.Sender == plan.Iperf:
		return one(l.witness(s, m))
	case m.Row.Test == plan.Capacity:
		return one(l.capacity(s, m))
	case m.Row.Find != "":
		return l.find(s, m)
	case m.Row.Burden > 0:
		return one(l.burdened(s, m))
	}
	return one(l.flow(s, m))
}

// one makes a list of one sample.
func one(s result.Sample, err error) ([]result.Sample, error) {
	if err != nil {
		return nil, err
	}
	return []result.Sample{s}, nil
}

// witness has iperf send and receive.
func (l *lab) witness(s *stage, m measurement) (result.Sample, error) {
	group := groups(m.Row)
	flow := mgm.Flow{Source: s.topology.Sender().Address(m.Row.IPv6), Group: group[0]}
	if err := s.router.Route([]mgm.Flow{flow}, m.Row.Oifs); err != nil {
		return result.Sample{}, err
	}
	before, err := l.meter.Read(s.router.PID())
	if err != nil {
		return result.Sample{}, err
	}
	report, err := witness.Iperf(s.topology, witness.Traffic{Group: group[0],
		Receivers: m.Row.Oifs, Size: m.Row.Size, Rate: m.Row.Rate, Duration: m.Duration})
	if err != nil {
		return result.Sample{}, err
	}
	after, err := l.meter.Read(s.router.PID())
	usage := after.Since(before)
	// iperf is no child that is waited for in time, so its own time is not known.
	usage.Total, usage.Router, usage.Elapsed = 0, 0, report.Elapsed
	return result.Sample{Usage: usage, Traffic: report.Report, Interval: flood.Counters{
		Sent: report.Report.Sent, Delivered: report.Report.Delivered}}, err
}

// burdened takes a sample while unicast flows beside.
func (l *lab) burdened(s *stage, m measurement) (result.Sample, error) {
	burden, err := s.burden(m.Row)
	if err != nil {
		return result.Sample{}, err
	}
	defer burden.Close()
	burden.Start()
	sample, err := l.flow(s, m)
	report, err2 := burden.Stop()
	if report.Lost > 0 && sample.Dropped != nil {
		sample.Dropped["of the burden"] = report.Lost
	}
	return sample, errors.Join(err, err2)
}

// flow takes a sample of traffic through a router.
func (l *lab) flow(s *stage, m measurement) (result.Sample, error) {
	f, err := s.open(m.Row, true)
	if err != nil {
		return result.Sample{}, err
	}
	defer f.Close()
	// Around the whole run: to ask in the middle would cost the router time.
	before, err := s.counters()
	if err != nil {
		return result.Sample{}, err
	}
	sample, err := l.sample(m, f, s.router.PID())
	if err != nil {
		return result.Sample{}, err
	}
	after, err := s.counters()
	if err != nil {
		return result.Sample{}, err
	}
	sample.Dropped = difference(after.Dropped, before.Dropped)
	if n := sample.Traffic.Overflows; n > 0 {
		sample.Dropped["in receivers' buffers"] = n
	}
	if before.Allocs != nil && after.Allocs != nil {
		allocs := *after.Allocs - *before.Allocs
		sample.Allocs = &allocs
	}
	return sample, distribute(&sample, f.Times())
}

// distribute sums up the times of a run, where there are any.
func distribute(s *result.Sample, times *flood.Times) (err error) {
	if times == nil {
		return nil
	}
	if s.Latency, err = result.Distribute(times.Latency); err != nil {
		return err
	}
	if s.Skew, err = result.Distribute(times.Skew); err != nil {
		return err
	}
	for _, output := range times.ByOutput {
		d, err := result.Distribute(output)
		if err != nil {
			return err
		}
		if d != nil && len(times.ByOutput) > 1 {
			s.ByOutput = append(s.ByOutput, *d)
		}
	}
	return nil
}

// sample measures the time between warming up and slowing down.
func (l *lab) sample(m measurement, t traffic, router int) (result.Sample, error) {
	t.Start()
	time.Sleep(m.Warmup)
	// Counters and clocks are read together, so that an interval that is longer
	// than it should be, on a busy machine, is so for both.
	from := t.Counters()
	earlier, err := l.meter.Read(router)
	time.Sleep(m.Duration)
	to := t.Counters()
	later, err2 := l.meter.Read(router)
	report, err3 := t.Stop()
	if err := errors.Join(err, err2, err3); err != nil {
		return result.Sample{}, err
	}
	return result.Sample{
		Interval: flood.Counters{
			Sent: to.Sent - from.Sent, Delivered: to.Delivered - from.Delivered,
		},
		Usage: later.Since(earlier), Traffic: report,
	}, nil
}

// difference gives what was counted in between, without zeros.
func difference(after, before map[string]uint64) map[string]uint64 {
	d := make(map[string]uint64)
	for reason, n := range after {
		if n > before[reason] {
			d[reason] = n - before[reason]
		}
	}
	return d
}
