package routing

import (
	"cmp"
	"slices"
	"sync"

	"umroute/mgm"
)

// maxWatches bounds how many flows are watched at once.
const maxWatches = 16

// Watch counts packets of one flow that were dropped without the flow's own
// counters knowing: those that met no entry, or came in by a wrong interface.
// Nothing is counted before it is made.
type Watch struct {
	key    key
	v6     bool
	mu     sync.Mutex
	counts map[sighting]uint64
}

type sighting struct {
	index  uint32
	reason Drop
}

// Sighting is packets of a watched flow that came in by one interface.
type Sighting struct {
	Index   uint32 // of the interface
	Reason  string // the name of the Drop
	Packets uint64
}

// Watch starts to count what is dropped of a flow, until StopWatch. It says
// false for a flow that cannot be and where too many are watched.
func (f *Forwarder) Watch(flow mgm.Flow) (*Watch, bool) {
	v6 := flow.Group.Is6()
	if f.plane(v6).check(flow) != nil {
		return nil, false
	}
	watch := &Watch{key: keyOf(flow), v6: v6, counts: make(map[sighting]uint64)}
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []*Watch
	if watched := f.watches.Load(); watched != nil {
		list = *watched
	}
	if len(list) >= maxWatches {
		return nil, false
	}
	list = append(slices.Clone(list), watch)
	f.watches.Store(&list)
	return watch, true
}

// StopWatch ends a watch. Its counts stay.
func (f *Forwarder) StopWatch(watch *Watch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	watched := f.watches.Load()
	if watched == nil {
		return
	}
	list := slices.DeleteFunc(slices.Clone(*watched), func(w *Watch) bool { return w == watch })
	if len(list) == 0 {
		f.watches.Store(nil)
		return
	}
	f.watches.Store(&list)
}

// Sightings gives what was counted so far, sorted by interface and reason.
func (w *Watch) Sightings() []Sighting {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Sighting
	for s, n := range w.counts {
		list = append(list, Sighting{Index: s.index, Reason: s.reason.String(), Packets: n})
	}
	slices.SortFunc(list, func(a, b Sighting) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Reason, b.Reason))
	})
	return list
}

// dropOf counts n datagrams of p's flow that came in and go nowhere. Only where
// a flow is watched it does more than drop.
func (w *worker) dropOf(p *packet, reason Drop, n int) {
	w.drop(reason, n)
	watched := w.forwarder.watches.Load()
	if watched == nil || w.port == nil {
		return
	}
	for _, each := range *watched {
		if each.v6 == p.v6 && each.key == p.key {
			each.mu.Lock()
			each.counts[sighting{w.port.index, reason}] += uint64(n)
			each.mu.Unlock()
		}
	}
}
