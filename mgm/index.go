package mgm

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"time"
)

const (
	segments    = 256 // of an index
	minSlots    = 16  // of a segment
	briefsChunk = 256
)

// brief is what a look-up of an MFE reads: one line of the processor's cache, in a chunk of
// its kind, so that many fit into what is cached of memory and of its page tables.
type brief struct {
	key           uint64        // of an IPv4 flow its addresses, of an IPv6 flow its hash
	born, timeout time.Duration // as in the mfe
	way           *way          // as in the mfe
	view          []Iface       // its oifs as callers see them: never changed, nil if outdated
	mfe           *mfe          // nil if the brief is free
}

// index finds the briefs of installed MFEs by their flows. It is a hash table in segments:
// each grows by itself, so that no change waits for the whole to be moved. Outsiders choose
// the flows, so the hash has a secret seed. An empty index belongs to IPv4.
type index struct {
	v6     bool
	seed   [5]uint64
	length int
	parts  [segments]segment
	briefs []*[briefsChunk]brief
	free   []uint32 // places in briefs
}

// segment is a hash table with open addressing. A slot is 0 if it is empty. Else its high
// half is the low half of the hash, which also tells where the slot ought to be, and its low
// half the place of the brief, plus one.
type segment struct {
	slots []uint64 // a power of two, at least an eighth of them empty
	used  int
}

// newIndex returns an empty index for one family.
func newIndex(v6 bool) index {
	x := index{v6: v6}
	for i := range x.seed {
		x.seed[i] = rand.Uint64() | 1
	}
	return x
}

// locate returns the key and the hash of f. It reports false for a flow of the other family.
func (x *index) locate(f *Flow) (key, hash uint64, ok bool) {
	if !x.v6 {
		if !f.Source.Is4() || !f.Group.Is4() {
			return 0, 0, false
		}
		s, g := f.Source.As4(), f.Group.As4()
		key = uint64(binary.BigEndian.Uint32(s[:]))<<32 | uint64(binary.BigEndian.Uint32(g[:]))
		return key, x.spread(key), true
	}
	s, g := f.Source.As16(), f.Group.As16()
	key = x.fold(s, x.seed[0], x.seed[1]) ^ bits.RotateLeft64(x.fold(g, x.seed[2], x.seed[3]), 32)
	return key, x.spread(key), f.Source.Is6() && f.Group.Is6()
}

// fold multiplies the halves of an address.
func (x *index) fold(a [16]byte, s, t uint64) uint64 {
	h, l := bits.Mul64(binary.BigEndian.Uint64(a[:8])^s, binary.BigEndian.Uint64(a[8:])^t)
	return h ^ l
}

// spread makes a hash of a key.
func (x *index) spread(key uint64) uint64 {
	h, l := bits.Mul64(key^x.seed[0], x.seed[4])
	h, l = bits.Mul64(h^l, x.seed[1])
	return h ^ l
}

// brief returns the one in a slot that is not empty.
func (x *index) brief(slot uint64) *brief {
	at := uint32(slot) - 1
	return &x.briefs[at/briefsChunk][at%briefsChunk]
}

// segment returns the one for a hash.
func (x *index) segment(hash uint64) *segment { return &x.parts[hash>>56] }

// home is where the slot of a hash, given in its high half, ought to be.
func (s *segment) home(slot uint64) int { return int(slot>>32) & (len(s.slots) - 1) }

// find returns the brief of f, nil if there is none.
func (x *index) find(f *Flow) *brief {
	key, hash, ok := x.locate(f)
	if !ok {
		return nil
	}
	at := x.segment(hash).find(x, f, key, hash)
	if at < 0 {
		return nil
	}
	return x.brief(x.segment(hash).slots[at])
}

// find returns the place of the slot of f, negative if there is none.
func (s *segment) find(x *index, f *Flow, key, hash uint64) int {
	tag := hash << 32
	if len(s.slots) == 0 {
		return -1
	}
	for at := s.home(tag); ; at = (at + 1) & (len(s.slots) - 1) {
		slot := s.slots[at]
		if slot == 0 {
			return -1
		}
		if (slot^tag)>>32 != 0 {
			continue
		}
		// An IPv4 key is the flow; of an IPv6 flow it says less.
		if b := x.brief(slot); b.key == key && (!x.v6 || b.mfe.flow == *f) {
			return at
		}
	}
}

// insert gives f, whose flow is not in the index, a brief.
func (x *index) insert(f *mfe) *brief {
	key, hash, _ := x.locate(&f.flow)
	at := x.place()
	s := x.segment(hash)
	if 8*(s.used+1) > 7*len(s.slots) {
		s.resize(max(minSlots, 2*len(s.slots)))
	}
	s.insert(hash<<32 | uint64(at+1))
	x.length++
	b := &x.briefs[at/briefsChunk][at%briefsChunk]
	b.key, b.mfe = key, f
	return b
}

// place returns the place of a free brief.
func (x *index) place() uint32 {
	if len(x.free) == 0 {
		first := len(x.briefs) * briefsChunk
		x.briefs = append(x.briefs, new([briefsChunk]brief))
		for at := first + briefsChunk; at > first; at-- {
			x.free = append(x.free, uint32(at-1))
		}
	}
	last := len(x.free) - 1
	at := x.free[last]
	x.free = x.free[:last]
	return at
}

// insert puts a slot where it belongs; there is room.
func (s *segment) insert(slot uint64) {
	at := s.home(slot)
	for s.slots[at] != 0 {
		at = (at + 1) & (len(s.slots) - 1)
	}
	s.slots[at] = slot
	s.used++
}

// resize moves the slots to a table of another size.
func (s *segment) resize(size int) {
	old := s.slots
	s.slots, s.used = make([]uint64, size), 0
	for _, slot := range old {
		if slot != 0 {
			s.insert(slot)
		}
	}
}

// delete takes the flow of f out.
func (x *index) delete(f *mfe) {
	key, hash, _ := x.locate(&f.flow)
	s := x.segment(hash)
	at := s.find(x, &f.flow, key, hash)
	slot := s.slots[at]
	*x.brief(slot) = brief{}
	x.free = append(x.free, uint32(slot)-1)
	x.length--
	s.delete(at)
	if x.length == 0 && len(x.briefs) > 1 {
		// What a flood took is given back.
		x.briefs, x.free, x.parts = nil, nil, [segments]segment{}
	}
}

// delete empties the slot at a place. Those behind it that a search could no longer reach
// move up.
func (s *segment) delete(at int) {
	mask := len(s.slots) - 1
	s.used--
	for next := (at + 1) & mask; s.slots[next] != 0; next = (next + 1) & mask {
		if (next-s.home(s.slots[next]))&mask >= (next-at)&mask {
			s.slots[at] = s.slots[next]
			at = next
		}
	}
	s.slots[at] = 0
}

// show brings the brief of f up to date, if f has one.
func (f *mfe) show() {
	if b := f.brief; b != nil {
		b.born, b.timeout, b.way = f.born, f.timeout, f.way
	}
}

// expires is the end of the lifetime.
func (b *brief) expires() time.Duration { return b.born + b.timeout }

// way is how a flow comes in. It never changes, and flows share it.
type way struct {
	in       *link      // nil if there is no route to the source
	route    *Route     // the route in use: the RIB's, unless RPF gave another
	upstream netip.Addr // the neighbour the flow comes from
}

// wayOf returns the way by l. The latest of a link is kept, as most flows share it.
func wayOf(l *link, route *Route, upstream netip.Addr) *way {
	w := way{in: l, route: route, upstream: upstream}
	if l == nil {
		return &w
	}
	if l.way == nil || *l.way != w {
		shared := w
		l.way = &shared
	}
	return l.way
}
