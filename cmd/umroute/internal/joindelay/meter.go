// Package joindelay measures how long after a join the first packet leaves by
// the joined interface. It is a state machine without clock, which looks at
// counters: the packet path does nothing for it.
package joindelay

import (
	"slices"
	"sync"
	"time"

	"umroute/mgm"
)

const (
	// firstLook is how soon after a join the counters are looked at; each later
	// look comes after twice the time, so a delay is known as exactly as Bounds
	// tell it.
	firstLook = time.Millisecond
	// patience is how long after a join a packet still is its first one. A group
	// to which nobody sends has no delay.
	patience = 16384 * time.Millisecond
	// maxPending bounds the joins that are measured at once; others are not.
	maxPending = 64
)

// Bounds are the upper bounds of the delays that Delays counts.
var Bounds = bounds()

func bounds() (all []time.Duration) {
	for d := firstLook; d <= patience; d *= 2 {
		all = append(all, d)
	}
	return all
}

// Delays is what was measured so far.
type Delays struct {
	Counts []uint64 // by the place in Bounds of the smallest that is not exceeded
	Count  uint64
	Sum    time.Duration
}

// Meter measures. Delays may be called by anybody, all else by one goroutine.
type Meter struct {
	sent    func(mgm.Entry, mgm.Iface) uint64
	pending []join

	mu     sync.Mutex // guards delays
	delays Delays
}

// join waits for its first packet.
type join struct {
	entry  mgm.Entry
	iface  mgm.Iface
	since  time.Time
	next   time.Time // when to look
	before uint64    // packets sent there before the join
}

// New makes a meter. Sent counts the packets of an entry's flows that have left
// by an interface; it may forget flows.
func New(sent func(mgm.Entry, mgm.Iface) uint64) *Meter {
	return &Meter{sent: sent, delays: Delays{Counts: make([]uint64, len(Bounds))}}
}

// Joined says that an entry is about to be joined on an interface.
func (m *Meter) Joined(now time.Time, e mgm.Entry, i mgm.Iface) {
	if len(m.pending) < maxPending {
		m.pending = append(m.pending, join{entry: e, iface: i, since: now,
			next: now.Add(firstLook), before: m.sent(e, i)})
	}
}

// Left says that a join is over.
func (m *Meter) Left(e mgm.Entry, i mgm.Iface) {
	m.pending = slices.DeleteFunc(m.pending, func(j join) bool {
		return j.entry == e && j.iface == i
	})
}

// Advance looks at the counters of those joins whose time has come.
func (m *Meter) Advance(now time.Time) {
	m.pending = slices.DeleteFunc(m.pending, func(j join) bool {
		if now.Before(j.next) {
			return false
		}
		if m.sent(j.entry, j.iface) > j.before {
			m.note(now.Sub(j.since))
			return true
		}
		return now.Sub(j.since) >= patience
	})
	for n := range m.pending {
		if j := &m.pending[n]; !now.Before(j.next) {
			j.next = j.since.Add(2 * now.Sub(j.since))
		}
	}
}

// Deadline is when Advance is due, if anything is pending.
func (m *Meter) Deadline() (next time.Time, ok bool) {
	for _, j := range m.pending {
		if !ok || j.next.Before(next) {
			next, ok = j.next, true
		}
	}
	return next, ok
}

func (m *Meter) note(delay time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.delays.Count++
	m.delays.Sum += delay
	if at, _ := slices.BinarySearch(Bounds, delay); at < len(Bounds) {
		m.delays.Counts[at]++
	}
}

// Delays gives what was measured so far.
func (m *Meter) Delays() Delays {
	m.mu.Lock()
	defer m.mu.Unlock()
	delays := m.delays
	delays.Counts = slices.Clone(delays.Counts)
	return delays
}
