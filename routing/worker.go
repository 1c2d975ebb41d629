package routing

import (
	"time"
)

// worker carries packets from one device queue to the lanes of its outputs.
// One goroutine works; nothing here is shared, but for counters that others
// read.
//
// A batch goes through three steps: sort parses each packet and looks its flow
// up, replicate puts data packets into lanes, flush writes each lane at once.
// They are apart so that an engine that reads and writes several devices in
// one system call can run the steps for all of them in turn.
type worker struct {
	forwarder *Forwarder
	port      *port       // what is read
	counts    *inCounters // of port
	in        *settings   // of port, for this batch
	now       time.Time   // of this batch, zero until somebody asks

	buffers [][]byte // whole, with headroom
	views   [][]byte // the parts of them that the device fills
	sizes   []int
	packets []packet // the data packets of the batch

	lanes  []*outLane // by slot of the output's port
	closed *outLane   // in lanes where there is none yet
	open   []*outLane // those with settings for this batch
	spare  []parcel

	misses, wrongIfs, tooBigs bucket
	fragments                 fragmenter
}

// newWorker makes a worker for port p, or with nil for the packets of a plane
// that have waited.
func newWorker(f *Forwarder, p *port) *worker {
	c := &f.config
	w := &worker{
		forwarder: f,
		port:      p,
		sizes:     make([]int, c.Batch),
		packets:   make([]packet, 0, c.Batch),
		closed:    &outLane{mtu: -1},
		misses:    newBucket(c.MissRate, max(c.MissRate/8, 1)),
		wrongIfs:  newBucket(c.WrongIfRate, max(c.WrongIfRate/8, 1)),
		// RFC 4443 section 2.4 (f) suggests 10 a second, 10 at once.
		tooBigs: newBucket(10, 10),
	}
	if p != nil {
		w.counts = p.counts
	}
	return w
}

// read waits for packets.
func (w *worker) read(s *settings) (int, error) {
	w.makeBuffers(s.mtu)
	return s.device.Read(w.views, w.sizes)
}

// makeBuffers sees to it that buffers hold packets of the link's MTU with an
// Ethernet header, and somewhat more, as the other end may think it larger.
func (w *worker) makeBuffers(mtu int) {
	size := max(2048, headroom+ethernetHeaderLen+mtu)
	if len(w.buffers) > 0 && len(w.buffers[0]) >= size {
		return
	}
	// An odd number of cache lines from one to the next: with a power of two,
	// all headers would fall into the same few sets of the cache.
	const line = 64
	stride := (size+line-1)/line*line | line
	slab := make([]byte, len(w.sizes)*stride)
	w.buffers = make([][]byte, len(w.sizes))
	w.views = make([][]byte, len(w.sizes))
	for i := range w.buffers {
		w.buffers[i] = slab[i*stride : (i+1)*stride : (i+1)*stride]
		w.views[i] = w.buffers[i][headroom:]
	}
}

// work does everything with the n packets that were read.
func (w *worker) work(n int, s *settings) {
	w.in, w.now = s, time.Time{}
	w.sort(n)
	for i := range w.packets {
		w.handle(i)
	}
	w.flush()
}

// sort parses the packets of a batch, hands to the host stack what is its
// own, and looks up the flows of the data packets.
func (w *worker) sort(n int) {
	var octets uint64
	w.packets = w.packets[:0]
	for i := range n {
		octets += uint64(w.sizes[i])
		next := len(w.packets)
		p := &w.packets[:next+1][next]
		switch v, reason := w.parse(p, w.buffers[i], headroom+w.sizes[i]); v {
		case forward:
			w.packets = w.packets[:next+1]
		case drop:
			w.drop(reason)
		case punt:
			w.punt(w.views[i][:w.sizes[i]])
		}
	}
	w.counts.packets.add(uint64(n))
	w.counts.octets.add(octets)
	w.forwarder.lookup(w.packets)
}

// punt leaves what was read to the host stack.
func (w *worker) punt(frame []byte) {
	w.counts.punted.add(1)
	if w.forwarder.config.Punt != nil {
		w.forwarder.config.Punt(w.port.index, frame)
	}
}

// parse classifies what was read into buf[headroom:end].
func (w *worker) parse(p *packet, buf []byte, end int) (verdict, Drop) {
	var v verdict
	var reason Drop
	if w.in.tap {
		v, reason = p.parseFrame(buf, headroom, end)
	} else {
		v, reason = p.parse(buf, headroom, end)
	}
	if v == forward && inside(w.in.boundary[p.family()], p.key.group) {
		return drop, DropBoundary
	}
	return v, reason
}

// handle finds out what the entry of packet i of the batch allows.
func (w *worker) handle(i int) {
	p := &w.packets[i]
	e := p.entry
	if e == nil {
		if p.ttl <= 1 {
			w.drop(DropTTL)
			return
		}
		w.keepOrder(i)
		if e = w.forwarder.planes[p.family()].miss(w, p); e == nil {
			return
		}
	}
	if e.in != w.port {
		w.drop(DropWrongIf)
		w.wrongIf(e.tally.flow, p)
		return
	}
	w.replicate(e, p)
}

// keepOrder sees to it that packet i can wait without others of its flow going
// by. Earlier ones may be in lanes still, if the entry was deleted during the
// batch, and must be gone before the plane sends this one; later ones may have
// found an entry that was there for a moment only, and must look again.
func (w *worker) keepOrder(i int) {
	k := &w.packets[i].key
	for j := range w.packets {
		switch p := &w.packets[j]; {
		case p.key != *k || j == i:
		case j > i:
			p.entry = nil
		case len(w.open) > 0:
			w.flush()
		}
	}
}

// replicate puts p, which came in as e says, into the lanes of e's outputs.
func (w *worker) replicate(e *entry, p *packet) {
	length := p.end - p.start
	t := e.tally
	t.packets.add(1)
	t.octets.add(uint64(length))
	switch {
	case p.ttl <= 1:
		t.headerErrors.add(1)
		w.drop(DropTTL)
		return
	case len(e.outs) == 0:
		t.negative.add(1)
		w.drop(DropNegative)
		return
	}
	p.decrement()
	smallest := 0
	for i := range e.outs {
		o := &e.outs[i]
		if int(o.slot) < len(w.lanes) {
			l := w.lanes[o.slot]
			if length <= l.mtu && p.ttl > l.threshold {
				l.add(p, t, o.place)
				continue
			}
		}
		mtu := w.scrutinise(w.openLane(o.slot), p, t, o.place)
		if mtu != 0 && (smallest == 0 || mtu < smallest) {
			smallest = mtu
		}
	}
	if smallest != 0 && p.v6 {
		w.tooBig(p, smallest)
	}
}

// scrutinise puts p into lane l if that may be, and else counts why not. If p
// is too long for the link and cannot be fragmented, it returns the link's
// MTU; in all other cases 0.
func (w *worker) scrutinise(l *outLane, p *packet, t *tally, place uint32) (mtu int) {
	out, unsent := l.out, &t.unsent[place]
	switch {
	case out == nil:
		l.refuse(DropNoInterface, &unsent.discards)
	case out.domain != w.in.domain:
		l.refuse(DropDomain, &unsent.discards)
	case inside(out.boundary[p.family()], p.key.group):
		l.refuse(DropBoundary, &unsent.discards)
	case p.ttl <= out.threshold:
		// RFC 1812 section 5.2.1.3 forwards where the TTL is above the threshold.
		l.refuse(DropThreshold, &unsent.ttlTooLow)
	case p.end-p.start <= out.mtu:
		l.add(p, t, place)
	case !p.v6 && w.fragments.start(p.ip(), out.mtu):
		w.sendFragments(l, t, place)
	default:
		l.refuse(DropFragNeeded, &unsent.fragNeeded)
		return out.mtu
	}
	return 0
}

// drop counts a packet that came in and goes nowhere.
func (w *worker) drop(reason Drop) { w.counts.drops[reason].add(1) }

// clock gives the time of the batch.
func (w *worker) clock() time.Time {
	if w.now.IsZero() {
		w.now = time.Now()
	}
	return w.now
}
