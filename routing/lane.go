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
	count  uint64 // their datagrams
	octets uint64 // the bytes of these
	parcel

	head int // bytes to leave free in front of the IP header
	port *port
	out  *settings // for this batch, nil where there is no interface
	sent outTotals
}

// parcel is what goes into one write: frames and the packets that are in them.
// Lanes borrow its memory for a batch.
type parcel struct {
	frames  [][]byte
	packets []*packet
}

// outTotals counts what one worker sent to one port.
type outTotals struct {
	packets, octets, resent counter
	drops                   [drops]counter
}

// lane gives the lane of an output, ready for the batch.
func (w *worker) lane(slot uint32) *outLane {
	slot = portSlot(slot)
	if int(slot) < len(w.lanes) && w.lanes[slot].packets != nil {
		return w.lanes[slot]
	}
	return w.openLane(slot)
}

// openLane is lane where it is not ready yet, for the slot of the port.
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
	if len(w.spare) == 0 {
		size := len(w.sizes)
		w.spare = append(w.spare, parcel{make([][]byte, size), make([]*packet, size)})
	}
	last := len(w.spare) - 1
	l.parcel, w.spare = w.spare[last], w.spare[:last]
	l.adopt(l.port.settings.Load(), w.in)
	w.open = append(w.open, l)
	return l
}

// adopt sets what packets that come in by in meet at out.
func (l *outLane) adopt(out, in *settings) {
	l.out, l.n, l.wholes, l.count, l.octets = out, 0, 0, 0, 0
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
	if l.n == len(l.packets) {
		w.flushLane(l)
	}
	l.frames[l.n], l.packets[l.n] = p.buf[p.start-l.head:p.end], p
	l.n++
	if p.segment != 0 {
		l.wholes++
	}
	l.count += uint64(p.count)
	l.octets += p.octets(l.out.ethernet)
	p.entry.tally.handed[place].add(uint64(p.count))
}

// refuse counts n datagrams that do not leave here, for the port and the flow.
func (l *outLane) refuse(reason Drop, count *counter, n uint64) {
	l.sent.drops[reason].add(n)
	count.add(n)
}

// flush writes all that is to be sent, and closes the lanes.
func (w *worker) flush() {
	w.deal()
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
