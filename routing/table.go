package routing

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

const (
	minSlots  = 64
	moveSlots = 16 // looked at per change while the table is being moved
)

// table is the multicast forwarding table of one family: entries by exact
// (S,G), in open addressing with linear probing.
//
// Any number of goroutines look up without a lock, while one at a time changes
// the table. An entry is immutable; a change swaps the pointer in its slot. A
// table that fills up is moved to a new array a few slots per change, so no
// change waits for a million others.
type table struct {
	view atomic.Pointer[tableView]
	seed [4]uint64
	gone *entry // stands where an entry was deleted; its key is no flow's

	// For the goroutine that changes the table:
	live int // entries
	used int // slots of view.cur that are not nil
	next int // first slot of view.prev that is not moved yet
}

// tableView is what lookups walk: cur, then prev. While prev is there it holds
// entries that cur lacks, and stale ones that cur has too.
type tableView struct{ cur, prev slots }

// slots has a power of two elements, of which at most half are not nil.
type slots []atomic.Pointer[entry]

// newTable makes an empty table with a seed of its own.
func newTable() *table {
	const ones = ^uint64(0)
	t := &table{gone: &entry{key: key{address{ones, ones}, address{ones, ones}}}}
	for i := range t.seed {
		t.seed[i] = rand.Uint64() | 1
	}
	t.view.Store(&tableView{cur: make(slots, minSlots)})
	return t
}

// lookup finds the entry of k, or nil. An entry that is being deleted or added
// meanwhile may be found or not; all others are seen as they are.
func (t *table) lookup(k *key) *entry {
	h := k.hash(&t.seed)
	v := t.view.Load()
	if e := v.cur.lookup(k, h); e != nil {
		return e
	}
	if v.prev == nil {
		return nil
	}
	return v.prev.lookup(k, h)
}

// lookup finds the entries of the packets of a batch. It goes over them twice,
// so that the cache misses of their first probes overlap.
func (f *Forwarder) lookup(packets []packet) {
	tables := [2]*table{f.planes[0].table, f.planes[1].table}
	views := [2]slots{tables[0].view.Load().cur, tables[1].view.Load().cur}
	for i := range packets {
		p := &packets[i]
		if i > 0 && p.key == packets[i-1].key {
			p.entry = packets[i-1].entry
			continue
		}
		v := views[p.family()]
		p.entry = v[p.key.hash(&tables[p.family()].seed)&uint64(len(v)-1)].Load()
	}
	for i := range packets {
		p := &packets[i]
		switch {
		case p.entry != nil && p.entry.key == p.key:
		case i > 0 && p.key == packets[i-1].key:
			p.entry = packets[i-1].entry
		default:
			p.entry = f.planes[p.family()].match(&p.key)
		}
	}
}

// lookup probes from the slot that h names on. An empty slot ends the search,
// one of a deleted entry does not.
func (s slots) lookup(k *key, h uint64) *entry {
	for mask := uint64(len(s) - 1); ; h++ {
		e := s[h&mask].Load()
		if e == nil || e.key == *k {
			return e
		}
	}
}

// find gives the slot of k, or the free slot where k belongs.
func (s slots) find(k *key, h uint64, gone *entry) (slot *atomic.Pointer[entry], e *entry) {
	for mask := uint64(len(s) - 1); ; h++ {
		at := &s[h&mask]
		switch e := at.Load(); {
		case e == nil && slot != nil:
			return slot, slot.Load()
		case e == nil, e.key == *k:
			return at, e
		case e == gone && slot == nil:
			slot = at
		}
	}
}

// put adds e, or replaces the entry with its key.
func (t *table) put(e *entry) {
	t.move()
	v := t.view.Load()
	if v.prev == nil && (t.used+1)*2 > len(v.cur) {
		t.grow()
		v = t.view.Load()
	}
	h := e.key.hash(&t.seed)
	slot, old := v.cur.find(&e.key, h, t.gone)
	known := old != nil && old != t.gone
	if !known && v.prev != nil {
		known = v.prev.lookup(&e.key, h) != nil
	}
	if old == nil {
		t.used++
	}
	if !known {
		t.live++
	}
	slot.Store(e)
}

// delete removes the entry of k, and says whether there was one.
func (t *table) delete(k *key) bool {
	t.move()
	v := t.view.Load()
	h := k.hash(&t.seed)
	found := false
	// First where it may be stale, so that nobody meets the stale one alone.
	for _, s := range [2]slots{v.prev, v.cur} {
		if s == nil {
			continue
		}
		if slot, e := s.find(k, h, t.gone); e != nil && e != t.gone {
			slot.Store(t.gone)
			found = true
		}
	}
	if found {
		t.live--
		t.purge(v.cur, h)
	}
	return found
}

// purge empties the slots of deleted entries from where h belongs on, as far
// as the run of full slots ends with them: no probe needs to pass there.
func (t *table) purge(s slots, h uint64) {
	mask := uint64(len(s) - 1)
	end := h
	for s[end&mask].Load() != nil {
		end++
	}
	for end--; s[end&mask].Load() == t.gone; end-- {
		s[end&mask].Store(nil)
		t.used--
	}
}

// grow starts the move to an array that the live entries fill to a sixth at
// least and a third at most. It may be of the same size: then it purges.
func (t *table) grow() {
	v := t.view.Load()
	size := max(minSlots, 1<<bits.Len(uint(3*t.live)))
	t.used, t.next = 0, 0
	t.view.Store(&tableView{cur: make(slots, size), prev: v.cur})
}

// move takes some slots to the new array. It goes the faster the smaller that
// array is, so that changes cannot fill it before the move ends.
func (t *table) move() {
	v := t.view.Load()
	if v.prev == nil {
		return
	}
	step := max(moveSlots, moveSlots*len(v.prev)/len(v.cur))
	end := min(t.next+step, len(v.prev))
	for ; t.next < end; t.next++ {
		e := v.prev[t.next].Load()
		if e == nil || e == t.gone {
			continue
		}
		slot, old := v.cur.find(&e.key, e.key.hash(&t.seed), t.gone)
		if old != nil && old != t.gone {
			continue // replaced meanwhile
		}
		if old == nil {
			t.used++
		}
		slot.Store(e)
	}
	if t.next == len(v.prev) {
		t.view.Store(&tableView{cur: v.cur})
	}
}
