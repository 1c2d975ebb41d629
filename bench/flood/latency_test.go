package flood

import "testing"

// TestCopies gives three outputs' arrivals in every order that can be.
func TestCopies(t *testing.T) {
	c := &copies{outputs: 3}
	room := uint64(len(c.places))
	for i, step := range []struct {
		number   uint64
		at, skew int64
		complete bool
	}{
		{5, 100, 0, false},
		{6, 110, 0, false},
		{5, 90, 0, false}, // the clock of another processor
		{5, 130, 40, true},
		{6, 111, 0, false},
		{6 + room, 500, 0, false}, // overtakes by so many that 6 is forgotten
		{6, 112, 0, false},
		{6, 113, 0, false},
		{6, 114, 2, true},
		{5 + room, 7, 0, false},
		{5 + room, 7, 0, false},
		{5 + room, 7, 0, true},
	} {
		skew, complete := c.arrive(step.number, step.at)
		if skew != step.skew || complete != step.complete {
			t.Errorf("step %d: %d, %v", i, skew, complete)
		}
	}
}
