package routing

// outLane is the way from one worker to one output.
type outLane struct {
	// Packets that are longer than mtu or whose TTL is not above threshold need
	// a closer look. All do with an mtu of -1, which is that of a closed lane.
	mtu       int
	threshold uint8

	finish bool // checksums have to be complete

	n      int    // packets that the parcel holds
	wholes int    // of these, super-packets
	alone  bool   // what goes to several devices at once leaves this one out
	count  uint64 // their datagrams, while they are written
	octets uint64 // the bytes of these, likewise
	parcel

	head int // bytes to leave free in front of the IP header
	port *port
	out  *settings // for this batch, nil where there is no interface
	sent outTotals
}

// parcel is what goes into one write. Lanes borrow its memory for a batch.
type parcel struct {
	frames [][]byte
	labels []label
}

// label is the packet that is in a frame, with the place where its flow counts
// it.
type label struct {
	packet *packet
	place  uint32
}

// outTotals counts what one worker sent to one port.
type outTotals struct {
	packets, octets, resent counter
	drops                   [drops]counter
}

// openLane makes the lane to the port with this slot ready for the batch, if
// it is not yet.
func (w *worker) openLane(slot uint32) *outLane {
	for int(slot) >= len(w.lanes) {
		w.lanes = append(w.lanes, w.closed)
	}
	l := w.lanes[slot]
	if l == w.closed {
		l = &outLane{port: (*w.forwarder.ports.Load())[slot]}
		l.port.addLane(l)
		w.lanes[slot] = l
	}
	if l.labels != nil {
		return l
	}
	if len(w.spare) == 0 {
		size := len(w.sizes)
		w.spare = append(w.spare, parcel{make([][]byte, size), make([]label, size)})
	}
	last := len(w.spare) - 1
	l.parcel, w.spare = w.spare[last], w.spare[:last]
	l.adopt(l.port.settings.Load(), w.in)
	w.open = append(w.open, l)
	return l
}

// adopt sets what packets that come in by in meet at out.
func (l *outLane) adopt(out, in *settings) {
	l.out, l.n, l.wholes = out, 0, 0
	l.mtu, l.threshold, l.head, l.finish = -1, 0, 0, false
	if out == nil {
		return
	}
	l.head, l.finish = out.header+out.ethernet, out.finish
	l.threshold = out.threshold
	if out.domain == in.domain && len(out.boundary[0])+len(out.boundary[1]) == 0 {
		l.mtu = out.mtu
	}
}

// add puts p, in whatever form it is, into lane l. All lanes share its bytes.
func (w *worker) add(l *outLane, p *packet, place uint32) {
	if l.n == len(l.labels) {
		w.flushLane(l)
	}
	l.labels[l.n] = label{p, place}
	l.n++
	if p.segment != 0 {
		l.wholes++
	}
}

// load makes frames of what the labels name, and counts it as handed over.
func (l *outLane) load() {
	ethernet, head := l.out.ethernet, l.head
	var count, octets uint64
	frames, labels := l.frames[:l.n], l.labels[:l.n]
	for i := range labels {
		p := labels[i].packet
		frames[i] = p.buf[p.start-head : p.end]
		count += uint64(p.count)
		octets += p.octets(ethernet)
		p.entry.tally.handed[labels[i].place].add(uint64(p.count))
	}
	l.count, l.octets = count, octets
}

// refuse counts n datagrams that do not leave here, for the port and the flow.
func (l *outLane) refuse(reason Drop, count *counter, n uint64) {
	l.sent.drops[reason].add(n)
	count.add(n)
}

// flush writes all lanes and closes them.
func (w *worker) flush() {
	if w.port != nil && w.in.writer != nil {
		w.flushTogether()
	}
	for _, l := range w.open {
		w.flushLane(l)
		w.spare = append(w.spare, l.parcel)
		l.parcel, l.mtu = parcel{}, -1
	}
	w.open = w.open[:0]
}
