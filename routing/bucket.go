package routing

import "time"

// bucket is a token bucket, kept as the time at which it is full again. The
// zero value lets nothing through.
type bucket struct {
	interval time.Duration // a token comes in once in this time
	depth    time.Duration // what the bucket takes from empty to full
	full     time.Time
}

// newBucket makes a full bucket: burst at once, rate per second in the long run.
func newBucket(rate, burst int) bucket {
	interval := time.Second / time.Duration(rate)
	return bucket{interval: interval, depth: interval * time.Duration(burst)}
}

// take removes a token, if there is one.
func (b *bucket) take(now time.Time) bool {
	full := b.full
	if full.Before(now) {
		full = now
	}
	full = full.Add(b.interval)
	if b.interval == 0 || full.Sub(now) > b.depth {
		return false
	}
	b.full = full
	return true
}
