package proxy

import (
	"container/heap"
	"time"
)

// timers is a heap of members by the time at which something is due of them.
// It is lazy: a member that is wanted earlier gets a second place, and the
// place that does not stand for its alarm is skipped when it comes up.
type timers struct{ queue timerQueue }

type timer struct {
	at time.Time
	m  *member
}

// set makes sure that m comes up at the given time or before.
func (t *timers) set(m *member, at time.Time) {
	if at.IsZero() || !m.alarm.IsZero() && !at.Before(m.alarm) {
		return
	}
	m.alarm = at
	heap.Push(&t.queue, timer{at, m})
}

// next returns the earliest time; it may be too early. Zero is never.
func (t *timers) next() time.Time {
	if len(t.queue) == 0 {
		return time.Time{}
	}
	return t.queue[0].at
}

// due takes out a member whose time has come, nil if there is none.
func (t *timers) due(now time.Time) *member {
	for len(t.queue) > 0 && !t.queue[0].at.After(now) {
		first := heap.Pop(&t.queue).(timer)
		if first.m.alarm.Equal(first.at) {
			first.m.alarm = time.Time{}
			return first.m
		}
	}
	return nil
}

// timerQueue implements heap.Interface.
type timerQueue []timer

func (q timerQueue) Len() int           { return len(q) }
func (q timerQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q timerQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

func (q *timerQueue) Push(x any) { *q = append(*q, x.(timer)) }

func (q *timerQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = timer{}
	*q = old[:len(old)-1]
	return last
}
