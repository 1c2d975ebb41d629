package relay

import "time"

// bucket limits a rate: it holds up to a second's worth of datagrams.
type bucket struct {
	tokens float64
	filled time.Time
}

// take says whether the rule lets a link bring one more datagram.
func (r *rule) take(now time.Time, index uint32) bool {
	b := r.buckets[index]
	if b == nil {
		b = &bucket{tokens: float64(r.Rate), filled: now}
		r.buckets[index] = b
	}
	if elapsed := now.Sub(b.filled).Seconds(); elapsed > 0 {
		b.tokens = min(float64(r.Rate), b.tokens+elapsed*float64(r.Rate))
		b.filled = now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
