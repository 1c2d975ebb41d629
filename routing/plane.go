package routing

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"umroute/mgm"
)

// plane is the forwarding of one address family: its table and the flows that
// wait for an entry. mgm sets entries; workers look them up without the lock,
// and take it for packets of unknown flows only.
type plane struct {
	forwarder *Forwarder
	v6        bool
	table     *table // of exact entries; changed under mu
	ranges    ranges // of others, likewise
	upcall    atomic.Pointer[Upcall]
	claimed   atomic.Bool // a manager fills the table

	mu      sync.Mutex
	queue   queue
	carrier *worker  // sends packets that have waited
	places  []uint32 // of the entry that is being made
}

var (
	_ mgm.Forwarder = (*plane)(nil)
	_ mgm.Claimed   = (*plane)(nil)
)

// Claim implements mgm.Claimed: two managers would undo each other's entries.
func (p *plane) Claim() bool { return p.claimed.CompareAndSwap(false, true) }

// Release implements mgm.Claimed.
func (p *plane) Release() { p.claimed.Store(false) }

// newPlane makes a plane that knows no flow.
func newPlane(f *Forwarder, v6 bool) *plane {
	return &plane{
		forwarder: f,
		v6:        v6,
		table:     newTable(),
		queue:     queue{flows: make(map[key]*waiting)},
		carrier:   newWorker(f, nil),
	}
}

// size tells how many entries there are and how many flows wait.
func (p *plane) size() (flows, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.table.live, len(p.queue.flows)
}

// check says whether f can have an entry in this plane.
func (p *plane) check(f mgm.Flow) error {
	fits := func(a netip.Addr) bool { return a.Is6() == p.v6 && a.Is4() != p.v6 && !a.Is4In6() }
	if !fits(f.Source) || !fits(f.Group) || !f.Group.IsMulticast() {
		return fmt.Errorf("source %v, group %v: %w", f.Source, f.Group, mgm.ErrInvalidParameter)
	}
	return nil
}

// Set implements mgm.Forwarder. Packets that waited for the entry leave before
// any that find it: they are sent before it is published, and a worker that
// found none takes the lock and looks again. Set keeps m.OIFs, which must not
// change.
func (p *plane) Set(m mgm.MFE) error {
	if err := p.check(m.Flow); err != nil {
		return fmt.Errorf("set forwarding entry: %w", err)
	}
	if m.In.Index == 0 && len(m.OIFs) > 0 {
		return fmt.Errorf("set forwarding entry of source %v, group %v: no incoming interface: %w",
			m.Source, m.Group, mgm.ErrInvalidParameter)
	}
	k := keyOf(m.Flow)
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.table.lookup(&k)
	in := p.incoming(m, old, p.queue.flows[k])
	if old != nil {
		// A manager also tells what has changed for it alone, as a lifetime.
		if f := old.tally.flow; old.in != in || !slices.Equal(f.oifs, m.OIFs) {
			p.table.put(p.entry(k, in, f, old, m.OIFs))
		}
		return nil
	}
	w := p.queue.flows[k]
	f := p.begin(w, in, m.OIFs)
	e := p.entry(k, in, f, nil, m.OIFs)
	if w != nil {
		p.queue.remove(w)
		p.send(e, w)
	}
	p.table.put(e)
	return nil
}

// incoming is where packets of an entry come in. A source that has no route is
// expected nowhere: its entry, which has no outputs, then belongs to the
// interface that its packets come by, so that they end at the table and count
// against that interface's limit of flows.
func (p *plane) incoming(m mgm.MFE, old *entry, w *waiting) *port {
	switch {
	case m.In.Index != 0:
	case old != nil:
		return old.in
	case w != nil:
		return w.creator
	}
	return p.forwarder.port(m.In.Index)
}

// begin makes the flow that entries of one (S,G) share, out of what waits for
// it, if anything does.
func (p *plane) begin(w *waiting, in *port, oifs []mgm.Iface) *flow {
	f := newFlow(in, oifs)
	if w != nil {
		f.creator, f.uninit, f.overflow = w.creator, w.met, w.overflow
		return f
	}
	p.forwarder.flows.Add(1)
	in.flows.Add(1)
	f.creator = in
	return f
}

// entry makes the entry of f. Outputs that old had too are taken from there.
func (p *plane) entry(k key, in *port, f *flow, old *entry, oifs []mgm.Iface) *entry {
	e := &entry{key: k, in: in}
	e.tally, p.places = f.tallyFor(in, oifs, p.places[:0])
	f.oifs = oifs
	e.slots, e.places = e.few[0][:0], e.few[1][:0]
	if n := len(oifs); n > len(e.few[0]) {
		both := make([]uint32, 2*n)
		e.slots, e.places = both[:0:n], both[n:n]
	}
	for i, place := range p.places {
		slot, known := uint32(0), false
		if old != nil && old.tally == e.tally {
			slot, known = old.slot(place, len(e.slots))
		}
		if !known {
			slot = p.slot(k, oifs[i].Index)
		}
		// The list is sorted, so that next hops of one interface are neighbours.
		last := len(e.slots) - 1
		if portSlot(slot) != in.slot && (last < 0 || e.slots[last] != slot) {
			e.slots, e.places = append(e.slots, slot), append(e.places, place)
		}
	}
	return e
}

// slot makes the slot of a flow's output to an interface.
func (p *plane) slot(k key, index uint32) uint32 {
	slot := p.forwarder.port(index).slot
	if threshold := p.forwarder.config.Threshold; threshold != nil {
		return restrict(slot, threshold(k.flow(p.v6), index))
	}
	return slot
}

// slot finds the slot of the output with this place in the tally, at position
// hint or near it.
func (e *entry) slot(place uint32, hint int) (slot uint32, found bool) {
	for i := max(0, hint-1); i < min(hint+2, len(e.slots)); i++ {
		if e.places[i] == place {
			return e.slots[i], true
		}
	}
	return 0, false
}

// place finds the place of the output by the port with this slot.
func (e *entry) place(port uint32) uint32 {
	return e.places[slices.IndexFunc(e.slots, func(s uint32) bool { return portSlot(s) == port })]
}

// send forwards the packets that waited for e, which nobody else sees yet: so
// its counters are the plane's to write.
func (p *plane) send(e *entry, w *waiting) {
	c := p.carrier
	family := 0
	if p.v6 {
		family = 1
	}
	c.in = e.in.settings.Load()
	for i := range w.packets {
		h := &w.packets[i]
		p.forwarder.budget.release(h.end - h.start)
		c.counts = h.arrival.late[family]
		switch {
		case h.arrival != e.in:
			e.tally.flow.wrongIf.Add(1)
			c.drop(DropWrongIf, 1)
		case c.in == nil:
			c.drop(DropNoInterface, 1)
		default:
			h.entry = e
			e.tally.meet(&h.packet)
			c.replicate(&h.packet)
		}
	}
	c.flush()
}

// Delete implements mgm.Forwarder.
func (p *plane) Delete(f mgm.Flow) {
	if p.check(f) != nil {
		return
	}
	k := keyOf(f)
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.table.lookup(&k)
	if e == nil {
		return
	}
	p.table.delete(&k)
	p.forget(e.tally.flow.creator)
}

// forget gives back a flow's place in the limits.
func (p *plane) forget(creator *port) {
	creator.flows.Add(-1)
	p.forwarder.flows.Add(-1)
}

// Stats implements mgm.Forwarder.
func (p *plane) Stats(f mgm.Flow) (mgm.ForwarderStats, bool) {
	if p.check(f) != nil {
		return mgm.ForwarderStats{}, false
	}
	k := keyOf(f)
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.table.lookup(&k)
	if e == nil {
		return mgm.ForwarderStats{}, false
	}
	return e.tally.flow.stats(), true
}

// advance drops the flows that have waited too long.
func (p *plane) advance(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire(now)
}

// expire is advance with the lock held. The queue is in the order of time, so
// it looks at one flow more than it drops.
func (p *plane) expire(now time.Time) {
	for f := p.queue.oldest; f != nil; f = p.queue.oldest {
		if now.Sub(f.since) < p.forwarder.config.PendingTimeout {
			return
		}
		p.queue.remove(f)
		p.forget(f.creator)
		for i := range f.packets {
			h := &f.packets[i]
			p.forwarder.budget.release(h.end - h.start)
			h.arrival.late[h.family()].drops[DropPendingTimeout].add(1)
		}
	}
}
