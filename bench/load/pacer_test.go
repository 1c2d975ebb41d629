package load

import (
	"testing"
	"time"
)

func TestPacer(t *testing.T) {
	start := time.Unix(1000, 0)
	type step struct {
		at   time.Duration
		want int
	}
	tests := []struct {
		name    string
		rate    float64
		steps   []step
		skipped uint64
	}{
		{"one by one", 10, []step{
			{0, 1}, {0, 0}, {99 * time.Millisecond, 0}, {100 * time.Millisecond, 1},
			{150 * time.Millisecond, 0}, {400 * time.Millisecond, 3},
		}, 0},
		{"catch up", 1000, []step{{0, 1}, {50 * time.Millisecond, 50}, {51 * time.Millisecond, 1}}, 0},
		{"a stall is not made up for", 1000, []step{
			{0, 1}, {10 * time.Second, 64}, {10 * time.Second, 0}, {10*time.Second + time.Millisecond, 1},
		}, 10_000 - 64},
		{"in batches", 100_000, []step{
			{0, 1}, {time.Millisecond, 64}, {time.Millisecond, 36}, {time.Millisecond, 0},
		}, 0},
		{"10 ms of a high rate", 100_000, []step{
			{0, 1}, {time.Second, 64}, {time.Second, 64}, {time.Second, 64},
		}, 99_000},
		{"slow", 0.5, []step{{0, 1}, {time.Second, 0}, {2 * time.Second, 1}, {3 * time.Second, 0}}, 0},
		{"no rate", 0, []step{{0, 64}, {0, 64}}, 0},
		{"clock set back", 10, []step{{0, 1}, {-time.Hour, 0}, {100 * time.Millisecond, 1}}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := pacer{rate: tt.rate}
			for _, s := range tt.steps {
				if got := p.due(start.Add(s.at), batchSize); got != s.want {
					t.Errorf("at %v: %d due, want %d", s.at, got, s.want)
				}
			}
			if p.skipped != tt.skipped {
				t.Errorf("skipped %d, want %d", p.skipped, tt.skipped)
			}
		})
	}
}

// TestPacerNext holds that who sleeps until next finds one due.
func TestPacerNext(t *testing.T) {
	for _, rate := range []float64{0.3, 1, 7, 999, 12345, 1e6} {
		p := pacer{rate: rate}
		now := time.Unix(1000, 0)
		for i := range 1000 {
			if got := p.due(now, batchSize); got < 1 {
				t.Fatalf("rate %g, datagram %d: none due at the announced time", rate, i)
			}
			now = p.next()
		}
	}
}
