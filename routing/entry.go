package routing

import (
	"cmp"
	"slices"
	"sync/atomic"

	"umroute/mgm"
)

// entry is one forwarding entry as the workers see it. It never changes once
// it is in the table. Without outputs it is negative.
//
// Entries for less than an exact (S,G) can come later as further levels behind
// the table; what workers do with an entry stays.
type entry struct {
	key   key
	in    *port
	tally *tally // counts what comes in by in
	outs  []output
	few   [3]output // outs of a small entry, to have it all in one place
}

// output is one outgoing interface of an entry.
type output struct {
	place uint32 // in the arrays of the tally
	slot  uint32 // of the port
}

// flow is what successive entries of one (S,G) share: the counters, which
// survive a replacement. The plane's lock guards it, but for wrongIf, reported
// and the counters.
type flow struct {
	creator  *port // whose limit of flows this one counts against
	oifs     []mgm.Iface
	tallies  []*tally // the one in use last
	uninit   uint64   // packets that came while there was no entry yet
	overflow uint64   // those of them that found no place to wait

	wrongIf  atomic.Uint64 // packets on another interface
	reported atomic.Int64  // when one was reported last, in Unix nanoseconds
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

// tallyFor gives the tally of flow f for packets that come in by in, with
// places for oifs.
func (f *flow) tallyFor(in *port, oifs []mgm.Iface) *tally {
	for i, t := range slices.Backward(f.tallies) {
		if t.in == in && t.fits(oifs) {
			f.tallies = append(slices.Delete(f.tallies, i, i+1), t)
			return t
		}
	}
	t := &tally{flow: f, in: in}
	t.handed = t.few[:]
	if len(oifs) > len(t.few) {
		// Room for some more, so that joins one by one leave few tallies behind.
		t.handed = make([]counter, len(oifs)+len(oifs)/2)
	}
	if len(oifs) > 0 {
		t.unsent = make([]unsent, len(t.handed))
		t.fits(oifs)
	}
	f.tallies = append(f.tallies, t)
	return t
}

// fits gives places to those of oifs that have none, if there are enough.
func (t *tally) fits(oifs []mgm.Iface) bool {
	missing := 0
	for _, oif := range oifs {
		if _, found := t.search(oif); !found {
			missing++
		}
	}
	if len(t.oifs)+missing > len(t.unsent) {
		return false
	}
	if missing == 0 {
		return true
	}
	t.oifs = slices.Grow(t.oifs, missing)
	for _, oif := range oifs {
		if at, found := t.search(oif); !found {
			place := uint32(len(t.oifs))
			t.oifs = slices.Insert(t.oifs, at, placedOIF{oif, place})
		}
	}
	return true
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
	for _, t := range f.tallies {
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
