package bench

import (
	"errors"
	"time"

	"umroute/bench/delay"
	"umroute/bench/engine"
	"umroute/bench/flood"
	"umroute/bench/meter"
	"umroute/bench/plan"
	"umroute/bench/result"
)

// How many joins and leaves a sample has. Without fast leave each takes
// seconds: the last member query time.
const (
	delaysOfSample     = 10
	slowLeavesOfSample = 3
)

// delays measures joins or leaves with a router of their own, since the row says
// how it is to be configured.
func (l *lab) delays(m measurement) (result.Sample, error) {
	receivers := max(m.Row.Oifs, 2) // one more, so that a burden has where to go
	t, router, err := engine.StartRouter(m.Engine, receivers,
		engine.Membership{Protocol: m.Row.Protocol, FastLeave: m.Row.FastLeave})
	if err != nil {
		return result.Sample{}, err
	}
	s := &stage{engine: m.Engine, topology: t, router: router}
	defer s.close()
	if !router.Membership() {
		return result.Sample{}, errors.New("it knows no membership")
	}
	if m.Row.Burden > 0 {
		burden, err := s.burden(m.Row)
		if err != nil {
			return result.Sample{}, err
		}
		defer burden.Close()
		burden.Start()
		defer burden.Stop()
	}
	source, err := flood.New(s.config(m.Row), t, 0)
	if err != nil {
		return result.Sample{}, err
	}
	defer source.Close()
	host, err := delay.NewHost(t.Receivers()[0], groups(m.Row)[0], m.Row.Protocol)
	if err != nil {
		return result.Sample{}, err
	}
	defer host.Close()
	source.Start()
	sample, err := l.joinAndLeave(m, host)
	report, err2 := source.Stop()
	sample.Traffic.Sent = report.Sent
	return sample, errors.Join(err, err2)
}

// joinAndLeave does so until there are enough delays. The first join of all only
// shows that everything is there.
func (l *lab) joinAndLeave(m measurement, host *delay.Host) (result.Sample, error) {
	n := delaysOfSample
	if m.Row.Test == plan.LeaveDelay && !m.Row.FastLeave {
		n = slowLeavesOfSample
	}
	if err := firstJoin(host); err != nil {
		return result.Sample{}, err
	}
	times := result.NewHistogram()
	var before meter.Reading
	for i := range n + 1 {
		joined, err := host.Join()
		if err != nil {
			return result.Sample{}, err
		}
		left, err := host.Leave()
		if err != nil {
			return result.Sample{}, err
		}
		if i == 0 {
			if before, err = l.meter.Read(0); err != nil {
				return result.Sample{}, err
			}
			continue
		}
		took := joined
		if m.Row.Test == plan.LeaveDelay {
			took = left
		}
		if err := times.RecordValue(int64(max(1, took))); err != nil {
			return result.Sample{}, err
		}
	}
	after, err := l.meter.Read(0)
	if err != nil {
		return result.Sample{}, err
	}
	d, err := result.Distribute(times)
	return result.Sample{Usage: after.Since(before), Delay: d}, err
}

// firstJoin tries for some time: a link that was just made drops what its host
// says first.
func firstJoin(host *delay.Host) error {
	for deadline := time.Now().Add(2 * proofPatience); ; {
		_, err := host.Join()
		if err == nil {
			_, err = host.Leave()
			return err
		}
		if !errors.Is(err, delay.ErrNothing) || time.Now().After(deadline) {
			return err
		}
		host.Forget()
	}
}
