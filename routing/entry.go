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
	few   [2]output // outs of a small entry, to have it all in one place
}

// output is one outgoing interface of an entry.
type output struct {
	count *outCounters
	slot  uint32 // of the port
}

// flow is what successive entries of one (S,G) share: the counters, which
// survive a replacement. The plane's lock guards it, but for wrongIf, reported
// and the counters.
type flow struct {
	creator  *port // whose limit of flows this one counts against
	oifs     []mgm.Iface
	tallies  []*tally // one per incoming interface that there was
	uninit   uint64   // packets that came while there was no entry yet
	overflow uint64   // those of them that found no place to wait

	wrongIf  atomic.Uint64 // packets on another interface
	reported atomic.Int64  // when one was reported last, in Unix nanoseconds
}

// tally is what came in for a flow by one interface. Only the worker of that
// interface counts here, or the plane before the entry is published.
type tally struct {
	flow *flow
	in   *port

	packets, octets, negative, headerErrors counter

	outs []outTally // sorted by interface; guarded by the plane's lock
}

// outTally finds the counters of an outgoing interface. They stay where they
// are for the life of the flow, as entries point to them.
type outTally struct {
	iface mgm.Iface
	count *outCounters
}

// outCounters counts what one flow's packets met at one outgoing interface.
type outCounters struct {
	packets, ttlTooLow, fragNeeded, discards counter
}

// tallyFor gives the tally of flow f for packets that come in by in.
func (f *flow) tallyFor(in *port) *tally {
	for _, t := range f.tallies {
		if t.in == in {
			return t
		}
	}
	t := &tally{flow: f, in: in}
	f.tallies = append(f.tallies, t)
	return t
}

// reserve makes counters for the interfaces of oifs that have none, in one
// piece, since an entry's outputs are counted one after the other.
func (t *tally) reserve(oifs []mgm.Iface) {
	missing := 0
	for _, oif := range oifs {
		if t.find(oif) == nil {
			missing++
		}
	}
	if missing == 0 {
		return
	}
	fresh := make([]outCounters, missing)
	t.outs = slices.Grow(t.outs, missing)
	for _, oif := range oifs {
		at, known := t.search(oif)
		if !known {
			t.outs = slices.Insert(t.outs, at, outTally{oif, &fresh[0]})
			fresh = fresh[1:]
		}
	}
}

// search finds the place of oif in t.outs, which is sorted.
func (t *tally) search(oif mgm.Iface) (at int, found bool) {
	return slices.BinarySearchFunc(t.outs, oif, func(o outTally, oif mgm.Iface) int {
		if c := cmp.Compare(o.iface.Index, oif.Index); c != 0 {
			return c
		}
		return o.iface.NextHop.Compare(oif.NextHop)
	})
}

// find gives the counters of oif, or nil.
func (t *tally) find(oif mgm.Iface) *outCounters {
	if at, found := t.search(oif); found {
		return t.outs[at].count
	}
	return nil
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
		for _, o := range t.outs {
			s.TotalOutPackets += o.count.packets.load()
		}
		for i, oif := range f.oifs {
			if c := t.find(oif); c != nil {
				s.OIFs[i].TTLTooLow += c.ttlTooLow.load()
				s.OIFs[i].FragNeeded += c.fragNeeded.load()
				s.OIFs[i].OutPackets += c.packets.load()
				s.OIFs[i].OutDiscards += c.discards.load()
			}
		}
	}
	return s
}
