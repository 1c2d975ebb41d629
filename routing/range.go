package routing

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"umroute/mgm"
)

// Range names the flows of one family that an entry can cover besides the exact
// (S,G): those from sources in one prefix to groups in another. A zero Prefix
// is any, so that a Range without Source is a (*,G) for all groups of a prefix,
// and one without either is (*,*).
// A prefix of length 0 is any, too.
type Range struct {
	IPv6   bool
	Source netip.Prefix // of unicast addresses
	Group  netip.Prefix // of multicast addresses
}

// SetRange installs or replaces an entry for a Range: its flows come in by one
// interface and leave by others, none for a negative entry. An entry for the
// exact (S,G) goes first, then the longest group prefix, then the longest source
// prefix.
//
// A flow that a Range covers is never missed, so a manager does not hear of it,
// and it goes where the Range says alone, whatever memberships there are. An
// entry that a manager sets for the flow nevertheless, a negative one too, takes
// it away from the Range until it is deleted. Packets that wait for a manager's
// answer leave by the Range, and first.
//
// Ranges do not count towards Config.FlowLimit. The errors wrap
// mgm.ErrInvalidParameter.
func (f *Forwarder) SetRange(r Range, in mgm.Iface, oifs []mgm.Iface) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("set entry of %v: %w", r, err)
	}
	if in.Index == 0 {
		return fmt.Errorf("set entry of %v: no incoming interface: %w", r, mgm.ErrInvalidParameter)
	}
	oifs = slices.Clone(oifs)
	slices.SortFunc(oifs, mgm.Iface.Compare)
	f.plane(r.IPv6).setRange(r, f.port(in.Index), slices.Compact(oifs))
	return nil
}

// DeleteRange removes the entry for a Range, and says whether there was one.
func (f *Forwarder) DeleteRange(r Range) bool {
	return r.check() == nil && f.plane(r.IPv6).deleteRange(r)
}

// RangeStats gives the counters of the entry for a Range, false if there is none.
func (f *Forwarder) RangeStats(r Range) (mgm.ForwarderStats, bool) {
	if r.check() != nil {
		return mgm.ForwarderStats{}, false
	}
	return f.plane(r.IPv6).rangeStats(r)
}

// String is of the form (source,group), with * for any.
func (r Range) String() string {
	text := func(p netip.Prefix) string {
		if !p.IsValid() {
			return "*"
		}
		return p.String()
	}
	return "(" + text(r.Source) + "," + text(r.Group) + ")"
}

// check says what is wrong with r.
func (r Range) check() error {
	fits := func(p netip.Prefix) bool {
		return p == netip.Prefix{} || p.IsValid() && p == p.Masked() && !p.Addr().Is4In6() &&
			p.Addr().Is6() == r.IPv6
	}
	switch {
	case !fits(r.Source) || !fits(r.Group):
	case r.Source.IsValid() && r.Source.Addr().IsMulticast():
	case r.Group.IsValid() && !r.Group.Addr().IsMulticast():
	default:
		return nil
	}
	return mgm.ErrInvalidParameter
}

// shape is what Ranges have in common whose prefixes are equally long.
type shape struct {
	sourceBits, groupBits int
	source, group         address // masks
	entries               *table  // by keys under these masks
}

// ranges holds the entries for Ranges: a table for each shape there is, the one
// to be preferred first. There are few, as few lengths of prefixes are in use.
// Any number of goroutines look up while one at a time makes changes.
type ranges struct{ shapes atomic.Pointer[[]shape] }

// lookup finds the entry that covers k, or nil.
func (r *ranges) lookup(k *key) *entry {
	shapes := r.shapes.Load()
	if shapes == nil {
		return nil
	}
	for i := range *shapes {
		s := &(*shapes)[i]
		masked := s.mask(k)
		if e := s.entries.lookup(&masked); e != nil {
			return e
		}
	}
	return nil
}

// mask gives the key under which an entry of this shape covers k.
func (s *shape) mask(k *key) key {
	return key{
		source: address{k.source[0] & s.source[0], k.source[1] & s.source[1]},
		group:  address{k.group[0] & s.group[0], k.group[1] & s.group[1]},
	}
}

// before orders shapes: those that are looked up first go first.
func (s *shape) before(o *shape) int {
	return cmp.Or(cmp.Compare(o.groupBits, s.groupBits), cmp.Compare(o.sourceBits, s.sourceBits))
}

// key gives the key of r's own entry.
func (r Range) key() key {
	var k key
	if r.Source.IsValid() {
		k.source = addressOf(r.Source.Addr())
	}
	if r.Group.IsValid() {
		k.group = addressOf(r.Group.Addr())
	}
	return k
}

// shape gives the shape of r, with an empty table.
func (r Range) shape() shape {
	s := shape{entries: newTable()}
	if r.Source.IsValid() {
		s.sourceBits, s.source = r.Source.Bits(), rangeOf(r.Source).mask
	}
	if r.Group.IsValid() {
		s.groupBits, s.group = r.Group.Bits(), rangeOf(r.Group).mask
	}
	return s
}

// find gives the place of a shape in the list.
func (r *ranges) find(s *shape) (list []shape, at int, found bool) {
	if shapes := r.shapes.Load(); shapes != nil {
		list = *shapes
	}
	at, found = slices.BinarySearchFunc(list, s, func(a shape, b *shape) int { return a.before(b) })
	return list, at, found
}

// get finds the entry of which is, or nil.
func (r *ranges) get(which Range) *entry {
	s, k := which.shape(), which.key()
	list, at, found := r.find(&s)
	if !found {
		return nil
	}
	return list[at].entries.lookup(&k)
}

// put adds e, or replaces the entry of which.
func (r *ranges) put(which Range, e *entry) {
	s := which.shape()
	list, at, found := r.find(&s)
	if found {
		list[at].entries.put(e)
		return
	}
	s.entries.put(e)
	longer := slices.Insert(slices.Clone(list), at, s)
	r.shapes.Store(&longer)
}

// delete removes the entry of which, and says whether there was one.
func (r *ranges) delete(which Range) bool {
	s, k := which.shape(), which.key()
	list, at, found := r.find(&s)
	if !found || !list[at].entries.delete(&k) {
		return false
	}
	if list[at].entries.live == 0 {
		shorter := slices.Delete(slices.Clone(list), at, at+1)
		r.shapes.Store(&shorter)
	}
	return true
}

// covers says whether the entry of r covers k.
func (r Range) covers(k *key) bool {
	s := r.shape()
	return s.mask(k) == r.key()
}

// setRange installs an entry.
func (p *plane) setRange(r Range, in *port, oifs []mgm.Iface) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.ranges.get(r); old != nil {
		p.ranges.put(r, p.entry(r.key(), in, old.tally.flow, old, oifs))
		return
	}
	e := p.entry(r.key(), in, newFlow(in, oifs), nil, oifs)
	// As in Set, what waits goes before anybody sees the entry.
	for w := p.queue.oldest; w != nil; {
		next := w.newer
		if r.covers(&w.key) {
			p.queue.remove(w)
			e.tally.flow.uninit += w.met
			e.tally.flow.overflow += w.overflow
			p.send(e, w)
			p.forget(w.creator)
		}
		w = next
	}
	p.ranges.put(r, e)
}

// deleteRange removes an entry.
func (p *plane) deleteRange(r Range) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ranges.delete(r)
}

// rangeStats gives the counters of an entry.
func (p *plane) rangeStats(r Range) (mgm.ForwarderStats, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.ranges.get(r)
	if e == nil {
		return mgm.ForwarderStats{}, false
	}
	return e.tally.flow.stats(), true
}

// match finds the entry for packets of k: an exact one, else that of a Range.
func (p *plane) match(k *key) *entry {
	if e := p.table.lookup(k); e != nil {
		return e
	}
	return p.ranges.lookup(k)
}
