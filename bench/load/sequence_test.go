package load

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestSequence(t *testing.T) {
	const top = math.MaxUint64
	tests := []struct {
		name    string
		numbers []uint64
		want    Sequence // without the window
		lost    uint64
	}{
		{"none", nil, Sequence{}, 0},
		{"in order", []uint64{0, 1, 2},
			Sequence{Received: 3, Highest: 2}, 0},
		{"late start", []uint64{7, 8},
			Sequence{Received: 2, First: 7, Highest: 8}, 0},
		{"loss", []uint64{0, 1, 4},
			Sequence{Received: 3, Highest: 4}, 2},
		{"reordered", []uint64{0, 2, 1},
			Sequence{Received: 3, Reordered: 1, Highest: 2}, 0},
		{"duplicate", []uint64{0, 1, 1, 0},
			Sequence{Received: 2, Duplicates: 2, Highest: 1}, 0},
		{"duplicate of a reordered one", []uint64{0, 2, 1, 1},
			Sequence{Received: 3, Reordered: 1, Duplicates: 1, Highest: 2}, 0},
		{"before the first", []uint64{5, 3, 4},
			Sequence{Received: 3, Reordered: 2, First: 3, Highest: 5}, 0},
		{"at the edge of the window", []uint64{0, window, 1},
			Sequence{Received: 3, Reordered: 1, Highest: window}, window - 2},
		{"behind the window", []uint64{0, 1, window + 1, 1, 0},
			Sequence{Received: 3, Late: 2, Highest: window + 1}, window - 1},
		{"jump by a window", []uint64{0, 1, window, window + 1, window * 3, window*3 - 1},
			Sequence{Received: 6, Reordered: 1, Highest: window * 3}, window*3 - 5},
		{"all numbers", []uint64{0, top, top - 1},
			Sequence{Received: 3, Reordered: 1, Highest: top}, top - 2},
		{"the highest number", []uint64{top, top},
			Sequence{Received: 1, Duplicates: 1, First: top, Highest: top}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s Sequence
			for _, n := range tt.numbers {
				s.Record(n)
			}
			if lost := s.Lost(); lost != tt.lost {
				t.Errorf("lost %d, want %d", lost, tt.lost)
			}
			s.seen = tt.want.seen
			if s != tt.want {
				t.Errorf("got %+v, want %+v", s, tt.want)
			}
		})
	}
}

// history is the plain reference: it forgets nothing.
type history struct {
	seen                       map[uint64]bool
	first, highest             uint64
	reordered, duplicate, late uint64
}

func (h *history) record(n uint64) {
	switch {
	case len(h.seen) == 0:
		h.seen = make(map[uint64]bool)
		h.first, h.highest = n, n
	case n > h.highest:
		h.highest = n
	case h.highest-n >= window:
		h.late++
		return
	case h.seen[n]:
		h.duplicate++
		return
	default:
		h.reordered++
		h.first = min(h.first, n)
	}
	h.seen[n] = true
}

func (h *history) lost() (lost uint64) {
	if len(h.seen) == 0 {
		return 0
	}
	for n := h.first; n <= h.highest; n++ {
		if !h.seen[n] {
			lost++
		}
	}
	return lost
}

func TestSequenceAgainstHistory(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		next := rnd.Uint64N(3 * window)
		// How far numbers stray, from not at all to beyond the window.
		stray := 1 + rnd.Uint64N(1<<(seed%14))
		var s Sequence
		var h history
		for range 3000 {
			n := next
			switch rnd.IntN(12) {
			case 0, 1, 2:
				n -= min(n, rnd.Uint64N(stray))
			case 3:
				next += rnd.Uint64N(stray)
			case 4:
				if rnd.IntN(100) == 0 {
					next += rnd.Uint64N(3 * window)
				}
			default:
				next++
			}
			s.Record(n)
			h.record(n)
		}
		got := [7]uint64{
			s.Received, s.Reordered, s.Duplicates, s.Late, s.First, s.Highest, s.Lost(),
		}
		want := [7]uint64{
			uint64(len(h.seen)), h.reordered, h.duplicate, h.late, h.first, h.highest, h.lost(),
		}
		if got != want {
			t.Fatalf("seed %d: received, reordered, duplicates, late, first, highest, lost:\n"+
				"got  %v\nwant %v", seed, got, want)
		}
	}
}

func BenchmarkSequence(b *testing.B) {
	var s Sequence
	for n := uint64(0); b.Loop(); n++ {
		s.Record(n)
	}
}
