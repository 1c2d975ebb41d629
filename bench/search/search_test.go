package search

import (
	"math"
	"math/rand/v2"
	"testing"
)

var (
	ndr = Goal{Loss: 0, Width: .02, Trials: 3}
	pdr = Goal{Loss: .005, Width: .02, Trials: 3}
)

// find runs a search on a system that loses as loss says.
func find(t *testing.T, c Config, loss func(rate float64) float64) *Search {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for {
		rate, more := s.Next()
		if !more {
			return s
		}
		if rate < c.Min || rate > c.Max || math.IsNaN(rate) {
			t.Fatalf("trial %d: rate %v", s.Trials(), rate)
		}
		s.Add(loss(rate))
	}
}

// beyond loses what is above a limit.
func beyond(limit float64) func(float64) float64 {
	return func(rate float64) float64 { return max(0, 1-limit/rate) }
}

// TestSharp finds the limits of systems that always do the same.
func TestSharp(t *testing.T) {
	c := Config{Min: 1000, Max: 1e6, Goals: []Goal{pdr, ndr}}
	for _, limit := range []float64{1500, 70_000, 350_000, 990_000} {
		s := find(t, c, beyond(limit))
		for _, b := range s.Bounds() {
			edge := limit / (1 - b.Goal.Loss)
			if b.Lower > edge || b.Upper <= edge || b.Width() > b.Goal.Width || b.Trials < 2 {
				t.Errorf("limit %v: %+v, width %v", limit, b, b.Width())
			}
		}
		if s.Trials() > 50 {
			t.Errorf("limit %v: %d trials", limit, s.Trials())
		}
	}
}

// TestCollapse finds the limit of a system that forwards less and less beyond
// it, so that what comes through at the highest rate says little.
func TestCollapse(t *testing.T) {
	c := Config{Min: 1000, Max: 1e6, Goals: []Goal{ndr}}
	s := find(t, c, func(rate float64) float64 {
		if rate < 300_000 {
			return 0
		}
		return .95
	})
	if b := s.Bounds()[0]; b.Lower >= 300_000 || b.Upper < 300_000 || b.Width() > .02 {
		t.Errorf("%+v", b)
	}
}

// TestEnds looks at systems without a limit in the range.
func TestEnds(t *testing.T) {
	c := Config{Min: 1000, Max: 1e6, Goals: []Goal{pdr, ndr}}
	s := find(t, c, beyond(2e6))
	for _, b := range s.Bounds() {
		if b.Lower != c.Max || b.Upper != 0 || b.Width() != 0 || s.Trials() != 2 {
			t.Errorf("no loss at all: %+v, %d trials", b, s.Trials())
		}
	}
	for name, loss := range map[string]func(float64) float64{
		"always": beyond(10), "not offered": func(float64) float64 { return 1 },
	} {
		s := find(t, c, loss)
		if b := s.Bounds()[0]; b.Lower != 0 || b.Upper != c.Min || b.Trials != 0 {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

// TestNoise holds that single disturbed trials do not decide, where the first
// loss would end RFC 2544's search.
func TestNoise(t *testing.T) {
	c := Config{Min: 1000, Max: 1e6, Goals: []Goal{pdr, ndr}}
	near := 0
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 5))
		s := find(t, c, func(rate float64) float64 {
			if rng.Float64() < .1 {
				return .03
			}
			return beyond(200_000)(rate)
		})
		if b := s.Bounds()[1]; math.Abs(b.Lower/200_000-1) < .05 {
			near++
		}
	}
	if near < 80 {
		t.Errorf("only %d of 100 searches came near", near)
	}
}

// TestSingle has one trial decide, as RFC 2544 does.
func TestSingle(t *testing.T) {
	c := Config{Min: 1, Max: 100, Goals: []Goal{{Width: .05, Trials: 1}}}
	s := find(t, c, beyond(40))
	if b := s.Bounds()[0]; b.Lower > 40 || b.Upper <= 40 || b.Width() > .05 || b.Trials != 1 {
		t.Errorf("%+v", b)
	}
}

func TestMaxTrials(t *testing.T) {
	c := Config{Min: 1, Max: 1e9, Goals: []Goal{{Width: 1e-9, Trials: 9}}, MaxTrials: 17}
	if s := find(t, c, beyond(12345)); s.Trials() != 17 {
		t.Errorf("%d trials", s.Trials())
	}
}

func TestImpossible(t *testing.T) {
	for name, c := range map[string]Config{
		"no goal":   {Min: 1, Max: 2},
		"no rate":   {Max: 2, Goals: []Goal{ndr}},
		"backwards": {Min: 3, Max: 2, Goals: []Goal{ndr}},
		"unlimited": {Min: 3, Max: math.Inf(1), Goals: []Goal{ndr}},
		"no width":  {Min: 1, Max: 2, Goals: []Goal{{Trials: 1}}},
		"no trial":  {Min: 1, Max: 2, Goals: []Goal{{Width: .1}}},
		"all lost":  {Min: 1, Max: 2, Goals: []Goal{{Loss: 1, Width: .1, Trials: 1}}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
