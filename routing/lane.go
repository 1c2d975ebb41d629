package routing

// outLane is the way from one worker to one output.
type outLane struct {
	// Packets that are longer than mtu or whose TTL is not above threshold need
	// a closer look. All do with an mtu of -1, which is that of a closed lane.
	mtu       int
	threshold uint8

	n      int    // frames that the parcel holds
	octets uint64 // their bytes
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

// label says where a frame is counted for its flow.
type label struct {
	tally *tally
	place uint32
}

// outTotals counts what one worker sent to one port.
type outTotals struct {
	packets, octets counter
	drops           [drops]counter
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
	if l.frames != nil {
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
	l.out, l.n, l.octets = out, 0, 0
	l.mtu, l.threshold, l.head = -1, 0, 0
	if out == nil {
		return
	}
	if out.tap {
		l.head = ethernetHeaderLen
	}
	l.threshold = out.threshold
	if out.domain == in.domain && len(out.boundary[0])+len(out.boundary[1]) == 0 {
		l.mtu = out.mtu
	}
}

// add puts p into the lane. All lanes share its bytes. A batch has no more
// packets than a lane has places.
func (l *outLane) add(p *packet, t *tally, place uint32) {
	frame := p.buf[p.start-l.head : p.end]
	l.frames[l.n] = frame
	l.labels[l.n] = label{t, place}
	l.n++
	l.octets += uint64(len(frame))
	t.handed[place].add(1)
}

// refuse counts a packet that does not leave here, for the port and the flow.
func (l *outLane) refuse(reason Drop, count *counter) {
	l.sent.drops[reason].add(1)
	count.add(1)
}

// flush writes all lanes and closes them.
func (w *worker) flush() {
	for _, l := range w.open {
		l.flush()
		w.spare = append(w.spare, l.parcel)
		l.parcel, l.mtu = parcel{}, -1
	}
	w.open = w.open[:0]
}

// flush writes what the lane holds. A device does not tell which packets it
// refused, so the last ones are taken to be those: a queue that is full
// usually stays full.
func (l *outLane) flush() {
	if l.n == 0 {
		return
	}
	taken := l.write(l.frames[:l.n])
	for i := taken; i < l.n; i++ {
		at := &l.labels[i]
		l.refuse(DropDevice, &at.tally.unsent[at.place].refused)
		l.octets -= uint64(len(l.frames[i]))
	}
	l.sent.packets.add(uint64(taken))
	l.sent.octets.add(l.octets)
	l.n, l.octets = 0, 0
}

// write gives frames to the device, and tells how many it took. Ethernet
// headers are written only now: the links share the bytes of a packet, not the
// address it is sent from.
func (l *outLane) write(frames [][]byte) int {
	if l.out.tap {
		for _, frame := range frames {
			putEthernet(frame, l.out.hardware)
		}
	}
	// The error adds nothing to the number: the device's reader meets it too.
	n, _ := l.out.device.Write(frames)
	return max(0, min(n, len(frames)))
}

// sendFragments writes the fragments of the packet that w.fragments holds.
// What is in the lane goes first, for the order. To the flow they are one
// packet, which is lost if one of them is.
func (w *worker) sendFragments(l *outLane, t *tally, place uint32) {
	l.flush()
	whole := true
	for frames := w.fragments.next(l.head); len(frames) > 0; frames = w.fragments.next(l.head) {
		taken := l.write(frames)
		for _, frame := range frames[:taken] {
			l.sent.octets.add(uint64(len(frame)))
		}
		l.sent.packets.add(uint64(taken))
		l.sent.drops[DropDevice].add(uint64(len(frames) - taken))
		whole = whole && taken == len(frames)
	}
	t.handed[place].add(1)
	if !whole {
		t.unsent[place].refused.add(1)
	}
}
