package flood

import "time"

// pace says how many datagrams are due at a rate. It has no clock.
type pace struct {
	rate  float64 // per second
	start time.Time
	given uint64 // sent or left out
}

// burst is the most that is sent at once to catch up: 10 ms of traffic, and
// enough for a call.
func (p *pace) burst() uint64 { return max(turn, uint64(p.rate/100)) }

// due returns how many to send at a time, at most a turn. A source that is late
// by more than a burst leaves the rest out: it is the machine that was busy,
// and the latency of what a burst adds to a queue would be no router's fault.
func (p *pace) due(now time.Time) int {
	if p.start.IsZero() {
		p.start = now
	}
	total := uint64(now.Sub(p.start).Seconds()*p.rate) + 1 // the first at the start
	if total <= p.given {
		return 0
	}
	if owed := total - p.given; owed > p.burst() {
		p.given += owed - p.burst()
	}
	return int(min(total-p.given, turn))
}

// took counts n datagrams as sent.
func (p *pace) took(n int) { p.given += uint64(n) }

// next returns when the next one is due.
func (p *pace) next() time.Time {
	return p.start.Add(time.Duration(float64(p.given)/p.rate*float64(time.Second)) + 1)
}
