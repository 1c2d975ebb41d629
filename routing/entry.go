package routing

import (
	"cmp"
	"slices"
	"sync/atomic"

	"umroute/mgm"
)

// entry is one forwarding entry as the workers see it. It never changes once
// it is in the table. Without outputs it is negative.
type entry struct {
	key   key
	in    *port
	tally *tally // counts what comes in by in
	// The outputs: the slots of their ports, with thresholds (restrict), and their
	// places in the arrays of the tally.
	slots, places []uint32
	few           [2][3]uint32 // both of a small entry, to have it all in one place
}

// flow is what successive entries of one (S,G) share: the counters, which
// survive a replacement. The plane's lock guards it, but for wrongIf, reported
// and the counters.
type flow struct {
	first    tally       // in place, as most flows need no other
	others   []*tally    // the one in use last, unless that is first
	creator  *port       // whose limit of flows this one counts against
	oifs     []mgm.Iface // of the entry, shared with who set it
	uninit   uint64      // packets that came while there was no entry yet
	overflow uint64      // those of them that found no place to wait

	wrongIf  atomic.Uint64 // packets on another interface
	reported atomic.Int64  // when one was reported last, in Unix nanoseconds

	_ [32]byte // to whole cache lines, as the next flow may be another worker's
}

// tally is what came in for a flow by one interface. Only the worker of that
// interface counts here, or the plane before the entry is published. Since a
// worker may hold an entry for a while after it was replaced, arrays stay where
// they are: a tally that runs out of places gets a larger successor.
type tally struct {
	packets, octets counter
	handed          []counter  // by place: copies for the output's device
	few             [2]counter // handed of a small tally
	flow            *flow
	in              *port

	negative, headerErrors counter
	unsent                 []unsent // by place

	oifs []placedOIF // sorted; guarded by the plane's lock
}

// unsent counts the copies of one flow's packets that did not leave by one
// outgoing interface.
type unsent struct {
	refused                         counter // handed to the device, not taken
	ttlTooLow, fragNeeded, discards counter // not handed to it
}

// placedOIF is an outgoing interface that has a place in a tally. It keeps it
// when the entry loses the interface, for the case that it comes back.
type placedOIF struct {
	iface mgm.Iface
	place uint32
}

// newFlow makes a flow whose entry is to come in by in and leave by oifs.
func newFlow(in *port, oifs []mgm.Iface) *flow {
	f := new(flow)
	f.first.init(f, in, oifs)
	return f
}

// init makes t ready to count, with places for oifs.
func (t *tally) init(f *flow, in *port, oifs []mgm.Iface) {
	t.flow, t.in = f, in
	t.handed = t.few[:]
	if len(oifs) > len(t.few) {
		// Room for some more, so that joins one by one leave few tallies behind.
		t.handed = make([]counter, len(oifs)+len(oifs)/2)
	}
	if len(oifs) > 0 {
		t.unsent = make([]unsent, len(t.handed))
	}
}

// meet counts p, which came in as the entry says.
func (t *tally) meet(p *packet) {
	t.packets.add(uint64(p.count))
	t.octets.add(p.octets(0))
}

// unmeet undoes meet.
func (t *tally) unmeet(p *packet) {
	t.packets.add(-uint64(p.count))
	t.octets.add(-p.octets(0))
}

// tallyFor gives the tally of flow f for packets that come in by in, and the
// places of oifs in it, appended to places.
func (f *flow) tallyFor(in *port, oifs []mgm.Iface, places []uint32) (*tally, []uint32) {
	for i, t := range slices.Backward(f.others) {
		if t.in != in {
			continue
		}
		if places, ok := t.place(oifs, places); ok {
			f.others = append(slices.Delete(f.others, i, i+1), t)
			return t, places
		}
	}
	if f.first.in == in {
		if places, ok := f.first.place(oifs, places); ok {
			return &f.first, places
		}
	}
	t := new(tally)
	t.init(f, in, oifs)
	f.others = append(f.others, t)
	places, _ = t.place(oifs, places)
	return t, places
}

// place appends the places of oifs, and gives one to those that have none. It
// says no where t has too few.
func (t *tally) place(oifs []mgm.Iface, places []uint32) ([]uint32, bool) {
	for _, oif := range oifs {
		at, found := t.search(oif)
		if !found {
			next := len(t.oifs)
			if next == len(t.unsent) {
				return nil, false
			}
			t.oifs = slices.Insert(t.oifs, at, placedOIF{oif, uint32(next)})
		}
		places = append(places, t.oifs[at].place)
	}
	return places, true
}

// search finds the position of oif in t.oifs.
func (t *tally) search(oif mgm.Iface) (at int, found bool) {
	return slices.BinarySearchFunc(t.oifs, oif, func(o placedOIF, oif mgm.Iface) int {
		if c := cmp.Compare(o.iface.Index, oif.Index); c != 0 {
			return c
		}
		return o.iface.NextHop.Compare(oif.NextHop)
	})
}

// tallies goes over all tallies of the flow.
func (f *flow) tallies(yield func(*tally) bool) {
	if !yield(&f.first) {
		return
	}
	for _, t := range f.others {
		if !yield(t) {
			return
		}
	}
}

// stats adds the counters of all tallies, with the interfaces in the order of
// the entry.
func (f *flow) stats() mgm.ForwarderStats {
	s := mgm.ForwarderStats{
		DifferentIf:   f.wrongIf.Load(),
		QueueOverflow: f.overflow,
		Uninit:        f.uninit,
		OIFs:          make([]mgm.OIFStats, len(f.oifs)),
	}
	for i, oif := range f.oifs {
		s.OIFs[i].Iface = oif
	}
	for t := range f.tallies {
		s.InPackets += t.packets.load()
		s.InOctets += t.octets.load()
		s.Negative += t.negative.load()
		s.InHdrErrors += t.headerErrors.load()
		for i := range t.unsent {
			s.TotalOutPackets += t.left(uint32(i))
		}
		for i := range s.OIFs {
			t.addTo(&s.OIFs[i])
		}
	}
	return s
}

// left gives how many copies left by the output in this place. Until a batch
// is written, that includes those that the device is about to refuse.
func (t *tally) left(place uint32) uint64 {
	refused := t.unsent[place].refused.load()
	return t.handed[place].load() - refused
}

// addTo adds what t counted for one outgoing interface.
func (t *tally) addTo(s *mgm.OIFStats) {
	at, found := t.search(s.Iface)
	if !found {
		return
	}
	place := t.oifs[at].place
	u := &t.unsent[place]
	s.OutPackets += t.left(place)
	s.TTLTooLow += u.ttlTooLow.load()
	s.FragNeeded += u.fragNeeded.load()
	s.OutDiscards += u.discards.load() + u.refused.load()
}
