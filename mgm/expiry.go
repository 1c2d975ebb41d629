package mgm

import (
	"container/heap"
	"time"
)

// activeWindow is how long before the end of an entry the forwarder's counters are looked
// at first. An entry whose counters move until its end is active.
const activeWindow = 10 * time.Second

// maxTimeout keeps sums of times within range: about a century.
const maxTimeout = 1 << 61 * time.Nanosecond

// deadlines orders the installed entries by the time when each is due.
type deadlines []*mfe

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].due < d[j].due }

func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].slotHeap, d[j].slotHeap = int32(i), int32(j)
}

// Push adds an entry; it is for container/heap.
func (d *deadlines) Push(x any) {
	f := x.(*mfe)
	f.slotHeap = int32(len(*d))
	*d = append(*d, f)
}

// Pop removes the last entry; it is for container/heap.
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	f := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	return f
}

// firstDue is when f is looked at first: a while before its end.
func (f *mfe) firstDue() time.Duration {
	return f.expires() - min(activeWindow, f.timeout/2)
}

func (m *Manager) watch(f *mfe) {
	f.due = f.firstDue()
	heap.Push(&m.due, f)
}

func (m *Manager) unwatch(f *mfe) { heap.Remove(&m.due, int(f.slotHeap)) }

// postpone makes f due at its end.
func (m *Manager) postpone(f *mfe) {
	f.due = f.expires()
	heap.Fix(&m.due, int(f.slotHeap))
}

// setTimeout takes the answer to a prune alert: the lifetime of f in total. If that has
// passed f is deleted at once.
func (m *Manager) setTimeout(f *mfe, timeout time.Duration) {
	if timeout <= 0 || timeout == f.timeout {
		return
	}
	f.timeout = min(timeout, maxTimeout)
	now := m.now()
	if now >= f.expires() {
		m.remove(f)
		return
	}
	f.sampled = false
	f.due = f.firstDue()
	heap.Fix(&m.due, int(f.slotHeap))
	m.markDirty(f)
}

// age looks at f, which is due, without the mutex. Before the end it notes the forwarder's
// counters. At the end f is deleted, and nobody is told. If its counters have moved the
// forwarder keeps its entry until the clients have been asked anew and the new one takes
// its place, so that no packet is lost.
func (m *Manager) age(f *mfe) {
	m.mu.Lock()
	over := m.now() >= f.expires()
	count := f.installed && len(f.oifs) > 0 && (!over || f.sampled)
	m.mu.Unlock()
	var packets uint64
	var known bool
	if count {
		packets, known = m.packets(f.flow)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !f.installed || m.closed.Load() {
		return
	}
	if !over {
		f.sample, f.sampled = packets, known
		m.postpone(f)
		return
	}
	active := known && f.sampled && f.told && packets != f.sample && len(f.oifs) > 0
	if active {
		f.told = false // the forwarder's entry is left to the new one
	}
	m.remove(f)
	if active {
		m.mu.Unlock()
		made := m.create(f.flow, nil)
		if !made && !m.closed.Load() {
			m.forwarder.Delete(f.flow)
		}
		m.mu.Lock()
	}
}

// packets returns how many packets of flow the forwarder has counted.
func (m *Manager) packets(flow Flow) (uint64, bool) {
	stats, ok := m.forwarder.Stats(flow)
	return stats.InPackets + stats.TotalOutPackets, ok
}
