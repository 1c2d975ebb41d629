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
	row := plan.Row{Oifs: len(s.topology.Receivers()), Size: 512, Flows: 2,
		Sender: plan.Plain, Receiver: plan.Plain, Rate: proofRate, IPv6: v6}
	for deadline := time.Now().Add(proofPatience); ; {
		r, err := s.attempt(row)
		if err != nil {
			return err
		}
		faults := r.Corrupt + r.Foreign + r.WrongTTL + r.WrongFrom + r.Duplicates + r.Reordered
		if r.Lost == 0 && faults == 0 && r.Sent > 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("of %d datagrams to %d receivers, %d were lost, and %d arrived "+
				"that were not as they should be", r.Sent, row.Oifs, r.Lost, faults)
		}
	}
}

func (s *stage) attempt(row plan.Row) (flood.Report, error) {
	f, err := s.flood(row)
	if err != nil {
		return flood.Report{}, err
	}
	defer f.Close()
	f.Start()
	time.Sleep(proofLength)
	return f.Stop()
}
