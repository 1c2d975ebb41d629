package routing

import (
	"time"

	"umroute/tun"
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

	room room // what is made of the packets of the batch
	runs runs
	full bool // the last read filled all buffers

	bundle bundle
	lanes  []*outLane // by slot of the output's port
	closed *outLane   // in lanes where there is none yet
	open   []*outLane // those with settings for this batch
	spare  []parcel
	frames [][]byte     // of one write that is no lane's
	outs   []tun.Packet // of one write to all devices

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
		frames:    make([][]byte, 0, c.Batch),
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
	w.makeBuffers(s)
	n, err := s.device.Read(w.views, w.sizes)
	w.full = n == len(w.views)
	return n, err
}

// fewBuffers is how many buffers for super-packets a worker begins with.
const fewBuffers = 8

// makeBuffers sees to it that buffers hold packets of the link's MTU with all
// that may stand in front of them, and somewhat more, as the other end may
// think it larger. Those for super-packets are large, so there are as many as
// reads have filled: most interfaces never need more than a few.
func (w *worker) makeBuffers(s *settings) {
	size, n := max(2048, headroom+tun.VirtioHeaderLen+ethernetHeaderLen+s.mtu), len(w.sizes)
	if s.offload == tun.OffloadSegmentation {
		size = headroom + tun.VirtioHeaderLen + ethernetHeaderLen + maxMTU
		n = min(n, max(fewBuffers, len(w.buffers)))
		if w.full {
			n = min(2*n, len(w.sizes))
		}
	}
	if len(w.buffers) >= n && len(w.buffers[0]) >= size {
		return
	}
	// An odd number of cache lines from one to the next: with a power of two,
	// all headers would fall into the same few sets of the cache.
	const line = 64
	stride := (size+line-1)/line*line | line
	slab := make([]byte, n*stride)
	w.buffers = make([][]byte, n)
	w.views = make([][]byte, n)
	for i := range w.buffers {
		w.buffers[i] = slab[i*stride : (i+1)*stride : (i+1)*stride]
		w.views[i] = w.buffers[i][headroom:]
	}
}

// work does everything with the n packets that were read.
func (w *worker) work(n int, s *settings) {
	w.in, w.now = s, time.Time{}
	w.room.reset()
	w.sort(n)
	if len(w.packets) > 1 && w.forwarder.joins.Load() {
		w.join()
	}
	for i := range w.packets {
		if !w.packets[i].joined {
			w.handle(i)
		}
	}
	w.flush()
}

// sort parses the packets of a batch, hands to the host stack what is its
// own, and looks up the flows of the data packets.
func (w *worker) sort(n int) {
	var packets int
	var octets uint64
	w.packets = w.packets[:0]
	for i := range n {
		next := len(w.packets)
		p := &w.packets[:next+1][next]
		v, reason := drop, DropBadHeader
		ok := w.accept(p, i)
		packets += int(p.count)
		octets += p.octets(w.in.ethernet)
		switch {
		case ok:
			v, reason = w.parse(p)
		case w.puntTCP(p):
			continue
		}
		switch v {
		case forward:
			w.packets = w.packets[:next+1]
			w.share(p)
		case drop:
			w.drop(reason, int(p.count))
		case punt:
			w.punt(p)
		}
	}
	w.counts.packets.add(uint64(packets))
	w.counts.octets.add(octets)
	w.forwarder.lookup(w.packets)
	w.tallyUp()
}

// tallyUp counts the packets that come in as their entries say. It is a step of
// its own so that the cache misses of the counters overlap.
func (w *worker) tallyUp() {
	for i := range w.packets {
		p := &w.packets[i]
		if p.entry != nil && p.entry.in == w.port {
			p.entry.tally.meet(p)
		}
	}
}

// accept makes p what was read into buffer i, and says whether the virtio-net
// header in front of it, if there is one, can be.
func (w *worker) accept(p *packet, i int) bool {
	start := headroom + w.in.header
	*p = packet{}
	p.buf, p.start, p.end = w.buffers[i], start+w.in.ethernet, headroom+w.sizes[i]
	p.count = 1
	if w.in.header == 0 {
		return true
	}
	ok := p.end > start && p.accept(p.buf[headroom:start], w.in.ethernet)
	if !ok {
		p.segment = 0
	}
	p.measure()
	return ok
}

// share leaves p, which may be forwarded, to the host stack as well where that
// is a member of the group.
func (w *worker) share(p *packet) {
	if inside(w.in.members[p.family()], &p.key.group) {
		w.punt(p)
		p.made = nil // these datagrams are the host stack's
	}
}

// punt leaves what was read to the host stack, complete and one by one.
func (w *worker) punt(p *packet) {
	ethernet := p.buf[p.start-w.in.ethernet : p.start]
	if p.segment != 0 && (!p.sound() || !isIP(ethernet, p.v6)) {
		w.drop(DropBadHeader, int(p.count))
		return
	}
	w.counts.punted.add(uint64(p.count))
	for d := w.singles(p); d != nil; d = d.next {
		w.puntOne(d, ethernet)
	}
}

// puntOne leaves d, which is not a super-packet, to the host stack.
func (w *worker) puntOne(d *packet, ethernet []byte) {
	if w.forwarder.config.Punt == nil {
		return
	}
	d.finish()
	frame := d.buf[d.start-len(ethernet) : d.end]
	copy(frame, ethernet)
	w.forwarder.config.Punt(w.port.index, frame)
}

// parse classifies what was accepted.
func (w *worker) parse(p *packet) (verdict, Drop) {
	var v verdict
	var reason Drop
	if w.in.ethernet != 0 {
		v, reason = p.parseFrame(p.buf, p.start-w.in.ethernet, p.end)
	} else {
		v, reason = p.parse(p.buf, p.start, p.end)
	}
	if v != forward {
		return v, reason
	}
	if inside(w.in.boundary[p.family()], &p.key.group) {
		return drop, DropBoundary
	}
	if inside(w.in.punted[p.family()], &p.key.group) {
		return punt, 0
	}
	if p.checksum == checksumUnfinished && !p.sound() {
		return drop, DropBadHeader
	}
	p.measure()
	return forward, 0
}

// handle finds out what the entry of packet i of the batch allows.
func (w *worker) handle(i int) {
	p := &w.packets[i]
	if p.entry != nil {
		w.arrived(p)
		return
	}
	if p.ttl <= 1 {
		w.dropOf(p, DropTTL, int(p.count))
		p.unlink()
		return
	}
	p.unlink()
	w.keepOrder(i)
	for p = w.singles(p); p != nil; {
		next := p.next
		p.next = nil // each waits by itself
		p.finish()
		if e := w.forwarder.planes[p.family()].miss(w, p); e != nil {
			p.entry = e
			if e.in == w.port {
				e.tally.meet(p)
			}
			w.arrived(p)
		}
		p = next
	}
}

// arrived checks where p, whose entry is known, came in.
func (w *worker) arrived(p *packet) {
	if p.entry.in == w.port {
		w.replicate(p)
		return
	}
	n := p.datagrams()
	w.dropOf(p, DropWrongIf, n)
	w.wrongIf(p.entry.tally.flow, p, n)
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
			if p.entry != nil && p.entry.in == w.port {
				p.entry.tally.unmeet(p)
			}
			p.entry = nil
		case len(w.open)+len(w.bundle.packets) > 0:
			w.flush()
		}
	}
}

// drop counts n datagrams that came in and go nowhere.
func (w *worker) drop(reason Drop, n int) { w.counts.drops[reason].add(uint64(n)) }

// clock gives the time of the batch.
func (w *worker) clock() time.Time {
	if w.now.IsZero() {
		w.now = time.Now()
	}
	return w.now
}
