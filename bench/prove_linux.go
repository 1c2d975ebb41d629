package bench

import (
	"fmt"
	"time"

	"umroute/bench/flood"
	"umroute/bench/plan"
)

// How an engine is proved: some traffic, until all of it arrives as it should.
// The kernel uses a new link for IPv6 only once it has noticed that it is up,
// which takes up to a second.
const (
	proofRate     = 5000 // datagrams per second
	proofLength   = 20 * time.Millisecond
	proofPatience = 5 * time.Second
)

// prove sees to it that what is measured works, with all receivers.
func (s *stage) prove(v6 bool) error {
	// Two flows, so that a table with room for one does not pass.
	return s.settle(plan.Row{Oifs: len(s.topology.Receivers()), Size: 512, Flows: 2, IPv6: v6})
}

// settle sends a little of a row's traffic again and again, until all of it
// comes through.
func (s *stage) settle(r plan.Row) error {
	r.Sender, r.Receiver, r.Rate, r.Find = plan.Plain, plan.Plain, proofRate, ""
	r.Size = max(r.Size, plan.MinSize)
	for deadline := time.Now().Add(proofPatience); ; {
		report, err := s.attempt(r)
		if err != nil {
			return err
		}
		faults := report.Corrupt + report.Foreign + report.WrongTTL + report.WrongFrom +
			report.Duplicates + report.Reordered
		if report.Lost == 0 && faults == 0 && report.Sent > 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("of %d datagrams to %d receivers, %d were lost, and %d arrived "+
				"that were not as they should be", report.Sent, r.Oifs, report.Lost, faults)
		}
	}
}

// attempt sends for long enough that each flow has its turn.
func (s *stage) attempt(r plan.Row) (flood.Report, error) {
	f, err := s.open(r, false)
	if err != nil {
		return flood.Report{}, err
	}
	defer f.Close()
	f.Start()
	turns := float64(2 * max(r.Flows, 10))
	time.Sleep(max(proofLength, time.Duration(turns/r.Rate*float64(time.Second))))
	return f.Stop()
}
