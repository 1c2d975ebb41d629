package top

import (
	"time"

	"umroute/cmd/umroute/internal/control"
)

// State is what is known about the router, and how fast its counters move.
type State struct {
	Stats      control.Stats
	Interfaces []control.Interface
	Groups     []control.Group
	Routes     []control.Route
	Events     []control.Event

	arrived map[string]time.Time // by document
	sampled time.Time
	last    map[counter]uint64  // as they were when sampled
	rates   map[counter]float64 // per second
}

// counter names a counter of the router.
type counter struct {
	kind string // "rx", "tx", "drops", "flow"
	name string // of an interface, or a flow
}

// flowName names a flow as a counter does.
func flowName(r control.Route) string { return r.Source + " " + r.Group }

// counters are those whose rates are shown.
func (s *State) counters() map[counter]uint64 {
	all := make(map[counter]uint64, 3*len(s.Interfaces)+len(s.Routes))
	for _, i := range s.Interfaces {
		all[counter{"rx", i.Name}] = i.RxPackets
		all[counter{"tx", i.Name}] = i.TxPackets
		all[counter{"drops", i.Name}] = total(i.Drops)
	}
	for _, r := range s.Routes {
		all[counter{"flow", flowName(r)}] = r.Packets
	}
	return all
}

// Sample works out rates since the last sample. It is called every second or
// so: documents come when they change, so a rate of zero comes with none.
func (s *State) Sample(now time.Time) {
	current := s.counters()
	elapsed := now.Sub(s.sampled).Seconds()
	s.rates = make(map[counter]float64)
	for c, n := range current {
		// A counter that was not there, or begins again, has no rate yet.
		if before, known := s.last[c]; known && n >= before && elapsed > 0 {
			s.rates[c] = float64(n-before) / elapsed
		}
	}
	s.last, s.sampled = current, now
}

// arrive notes when a document came.
func (s *State) arrive(document string, at time.Time) {
	if s.arrived == nil {
		s.arrived = make(map[string]time.Time)
	}
	s.arrived[document] = at
}

// since is a time of a document as it is now: documents come when something
// changes, and the mere passing of time is no change.
func (s *State) since(document string, seconds float64) float64 {
	at, known := s.arrived[document]
	if !known {
		return seconds
	}
	return seconds + max(s.sampled.Sub(at).Seconds(), 0)
}

// rate is how fast a counter moves, per second.
func (s *State) rate(kind, name string) float64 { return s.rates[counter{kind, name}] }

func total(counts map[string]uint64) (sum uint64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}
