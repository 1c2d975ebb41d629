package routing

import (
	"testing"
	"time"
)

// TestBucket takes tokens at given times.
func TestBucket(t *testing.T) {
	start := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	b := newBucket(10, 3)
	for _, step := range []struct {
		at   time.Duration
		want string // a token for y, none for n
	}{
		{0, "yyyn"},
		{99 * time.Millisecond, "n"},
		{100 * time.Millisecond, "yn"},
		{time.Hour, "yyyn"},
		{time.Hour - time.Minute, "n"}, // a clock that is set back gives nothing away
	} {
		got := ""
		for range step.want {
			got += map[bool]string{true: "y", false: "n"}[b.take(start.Add(step.at))]
		}
		if got != step.want {
			t.Errorf("at %v: %s, want %s", step.at, got, step.want)
		}
	}
	if (&bucket{}).take(start) {
		t.Error("a token from the zero bucket")
	}
}
