package membership

// sleeper has something to do at some time: an interface or a group.
type sleeper interface {
	// place is for alarms alone.
	place() *place
	// serve does what is due and returns when the next thing is, 0 for never.
	serve(*Router, instant) instant
}

// alarms is a heap of sleepers by the time they want to be woken. It is lazy:
// a time that moves away, as each report does to the timers it refreshes, is
// not moved in the heap. The sleeper is woken at the old time, finds nothing
// due and names the new one. So a refresh costs nothing here, and each sleeper
// is sifted once per timeout, not once per report.
type alarms struct {
	heap []alarm
}

type alarm struct {
	at instant
	s  sleeper
}

// place is where a sleeper is in the heap. It repeats the time, so that a
// refresh does not have to look into the heap.
type place struct {
	at   instant
	slot int32 // index + 1; 0 for not in the heap
}

// isDue reports whether the sleeper waits and its time has come.
func (p *place) isDue(now instant) bool { return p.slot != 0 && p.at <= now }

// next returns the earliest time in the heap.
func (a *alarms) next() (instant, bool) {
	if len(a.heap) == 0 {
		return 0, false
	}
	return a.heap[0].at, true
}

// due returns a sleeper whose time has come. It stays in the heap.
func (a *alarms) due(now instant) (sleeper, bool) {
	if len(a.heap) == 0 || a.heap[0].at > now {
		return nil, false
	}
	return a.heap[0].s, true
}

// set makes sure that s is woken at the given time or before.
func (a *alarms) set(s sleeper, at instant) {
	p := s.place()
	if p.slot == 0 {
		a.heap = append(a.heap, alarm{})
		a.up(len(a.heap)-1, alarm{at, s})
		return
	}
	if at < p.at {
		a.up(int(p.slot)-1, alarm{at, s})
	}
}

// remove takes s out of the heap, if it is there.
func (a *alarms) remove(s sleeper) {
	p := s.place()
	if p.slot == 0 {
		return
	}
	i := int(p.slot) - 1
	*p = place{}
	last := len(a.heap) - 1
	moved := a.heap[last]
	a.heap[last] = alarm{}
	a.heap = a.heap[:last]
	if i == last {
		return
	}
	if i > 0 && moved.at < a.heap[(i-1)/2].at {
		a.up(i, moved)
		return
	}
	a.down(i, moved)
}

func (a *alarms) put(i int, x alarm) {
	a.heap[i] = x
	*x.s.place() = place{at: x.at, slot: int32(i + 1)}
}

// up puts x where the hole at i belongs after moving it towards the root.
func (a *alarms) up(i int, x alarm) {
	for i > 0 {
		parent := (i - 1) / 2
		if a.heap[parent].at <= x.at {
			break
		}
		a.put(i, a.heap[parent])
		i = parent
	}
	a.put(i, x)
}

// down puts x where the hole at i belongs after moving it towards the leaves.
func (a *alarms) down(i int, x alarm) {
	for {
		child := 2*i + 1
		if child >= len(a.heap) {
			break
		}
		if child+1 < len(a.heap) && a.heap[child+1].at < a.heap[child].at {
			child++
		}
		if a.heap[child].at >= x.at {
			break
		}
		a.put(i, a.heap[child])
		i = child
	}
	a.put(i, x)
}
