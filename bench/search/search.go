// Package search finds the highest rate that a system under test forwards with
// no more than some loss: the non-drop rate (NDR) where the loss is none, a
// partial drop rate (PDR) otherwise.
//
// RFC 2544 section 26.1 leaves the search to the tester and takes one trial for
// the truth. On a machine that others use that gives chance results, so a rate
// is judged by a majority of repeated trials, several goals share their trials,
// and the search ends at a stated width: the ideas of MLRsearch (IETF's BMWG).
//
// A Search has no clock and takes no measurement: it says what to try next.
package search

import (
	"fmt"
	"math"
	"slices"
)

// Goal is what to search for.
type Goal struct {
	Loss   float64 // allowed, as a part of what should arrive: 0 to 1
	Width  float64 // (upper - lower) / upper bound at which the search ends
	Trials int     // that decide on a rate, by majority
}

func (g Goal) validate() error {
	if !(g.Loss >= 0 && g.Loss < 1) || !(g.Width > 0 && g.Width < 1) || g.Trials < 1 {
		return fmt.Errorf("goal %+v is not possible", g)
	}
	return nil
}

// Config limits a search.
type Config struct {
	Min, Max float64 // rates
	Goals    []Goal  // the strictest last is the quickest
	// MaxTrials ends a search that finds no end; 0: 40 for each goal.
	MaxTrials int
}

// Bound is what was found for a goal.
type Bound struct {
	Goal Goal
	// Lower is the highest rate that passed below all rates that failed, 0 where
	// even the least failed. Upper is the lowest that failed, 0 where none did.
	Lower, Upper float64
	Loss         float64 // the median of the trials at Lower
	Trials       int     // at Lower
}

// Width is how far the bounds are apart, as a part of the upper one; 0 where
// even the highest rate passed.
func (b Bound) Width() float64 {
	if b.Upper == 0 {
		return 0
	}
	return (b.Upper - b.Lower) / b.Upper
}

// point is a rate that was tried.
type point struct {
	rate   float64
	losses []float64
}

// verdict on a rate.
type verdict int

const (
	undecided verdict = iota
	passed
	failed
)

// judge says whether the trials so far decide, whatever more of them would
// bring.
func (p point) judge(g Goal) verdict {
	bad := 0
	for _, loss := range p.losses {
		if loss > g.Loss {
			bad++
		}
	}
	majority := g.Trials/2 + 1
	switch {
	case bad >= majority:
		return failed
	case len(p.losses)-bad >= majority:
		return passed
	}
	return undecided
}

// Search is a search under way.
type Search struct {
	config Config
	points []point // by rate
	trials int
	hint   float64 // where the bounds are expected; 0: no idea
	next   float64
}

// New begins a search.
func New(c Config) (*Search, error) {
	if !(c.Min > 0 && c.Max >= c.Min) || math.IsInf(c.Max, 0) || len(c.Goals) == 0 {
		return nil, fmt.Errorf("search from %v to %v for %d goals: not possible", c.Min, c.Max,
			len(c.Goals))
	}
	for _, g := range c.Goals {
		if err := g.validate(); err != nil {
			return nil, err
		}
	}
	if c.MaxTrials == 0 {
		c.MaxTrials = 40 * len(c.Goals)
	}
	return &Search{config: c}, nil
}

// Next says which rate to try now, or that the search has ended.
func (s *Search) Next() (rate float64, more bool) {
	if s.trials >= s.config.MaxTrials {
		return 0, false
	}
	for _, g := range s.config.Goals {
		if rate, more = s.toward(g); more {
			s.next = rate
			return rate, true
		}
	}
	return 0, false
}

// Add tells the loss, 0 to 1, of a trial at the rate that Next gave. A trial at
// which the rate could not be offered has a loss of 1.
func (s *Search) Add(loss float64) {
	s.trials++
	i, known := slices.BinarySearchFunc(s.points, s.next, func(p point, rate float64) int {
		switch {
		case p.rate < rate:
			return -1
		case p.rate > rate:
			return 1
		}
		return 0
	})
	if !known {
		s.points = slices.Insert(s.points, i, point{rate: s.next})
	}
	s.points[i].losses = append(s.points[i].losses, loss)
	// What came through at the highest rate is near what can come through.
	if s.next == s.config.Max && loss < 1 {
		s.hint = s.config.Max * (1 - loss)
	}
}

// toward gives the rate to try for one goal.
func (s *Search) toward(g Goal) (float64, bool) {
	lower, upper := s.bounds(g)
	switch {
	case upper == nil && lower == nil:
		return s.config.Max, true
	case upper == nil && lower.rate < s.config.Max:
		return min(s.config.Max, lower.rate*s.step(g, true)), true
	case upper == nil:
		return 0, false
	case upper.rate <= s.config.Min:
		return 0, false
	case lower == nil && s.hint > s.config.Min && s.hint < upper.rate*(1-g.Width):
		return s.hint, true
	case lower == nil:
		return max(s.config.Min, upper.rate/s.step(g, false)), true
	case (upper.rate-lower.rate)/upper.rate <= g.Width:
		return 0, false
	}
	// Half of the relative width.
	return math.Sqrt(lower.rate * upper.rate), true
}

// step is how far to go where only one bound is known: twice as far each time.
func (s *Search) step(g Goal, up bool) float64 {
	want, n := failed, 0
	if up {
		want = passed
	}
	for _, p := range s.points {
		if p.judge(g) == want {
			n++
		}
	}
	return 1 + 2*g.Width*math.Exp2(float64(min(n, 8)))
}

// bounds are the lowest rate that failed, and the highest that passed below it.
func (s *Search) bounds(g Goal) (lower, upper *point) {
	for i := range s.points {
		switch s.points[i].judge(g) {
		case failed:
			return lower, &s.points[i]
		case passed:
			lower = &s.points[i]
		}
	}
	return lower, nil
}

// Bounds gives what was found so far, for each goal.
func (s *Search) Bounds() []Bound {
	var all []Bound
	for _, g := range s.config.Goals {
		b := Bound{Goal: g}
		lower, upper := s.bounds(g)
		if upper != nil {
			b.Upper = upper.rate
		}
		if lower != nil {
			losses := slices.Sorted(slices.Values(lower.losses))
			b.Lower, b.Loss, b.Trials = lower.rate, losses[len(losses)/2], len(losses)
		}
		all = append(all, b)
	}
	return all
}

// Trials is how many there were.
func (s *Search) Trials() int { return s.trials }
