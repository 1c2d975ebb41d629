package load

import "time"

// batchSize is the most datagrams in one sendmmsg or recvmmsg call.
const batchSize = 64

// pacer says how many datagrams are due. It has no clock: times are given.
type pacer struct {
	rate    float64 // per second; 0: all are always due
	start   time.Time
	taken   uint64 // due since start
	skipped uint64
}

// burst is the most that may be sent at once to catch up: 10 ms of traffic,
// and enough for a batch.
func (p *pacer) burst() uint64 { return max(batchSize, uint64(p.rate/100)) }

// due returns how many of at most limit datagrams to send now, and takes
// them. A stall beyond the burst is not made up for.
func (p *pacer) due(now time.Time, limit int) int {
	if p.rate == 0 {
		return limit
	}
	if p.start.IsZero() {
		p.start = now
	}
	// The first is due at the start.
	elapsed := max(0, now.Sub(p.start))
	total := uint64(float64(elapsed)*p.rate/float64(time.Second)) + 1
	if total <= p.taken {
		return 0
	}
	owed := total - p.taken
	if excess := owed - min(owed, p.burst()); excess > 0 {
		p.skipped += excess
		p.taken += excess
		owed -= excess
	}
	n := min(owed, uint64(limit))
	p.taken += n
	return int(n)
}

// next returns when the next datagram is due; after due has returned less
// than its limit.
func (p *pacer) next() time.Time {
	// One more nanosecond, since the conversion rounds down.
	return p.start.Add(time.Duration(float64(p.taken)/p.rate*float64(time.Second)) + 1)
}
