package routing

// outLane is the way from one worker to one output.
type outLane struct {
	port      *port
	out       *settings // nil where there is no interface
	isOpen    bool      // the fields from out to head are those of this batch
	mtu       int       // longer packets need a closer look, as -1 all do
	threshold uint8     // so do packets with this TTL or less
	head      int       // bytes to leave free in front of the IP header

	n int
	*parcel

	sent outTotals
}

// parcel holds what goes into one write. Lanes borrow it for a batch.
type parcel struct {
	frames [][]byte
	counts []*outCounters // of the flow that the frame belongs to
}

// outTotals counts what one worker sent to one port.
type outTotals struct {
	packets, octets counter
	drops           [drops]counter
}

// lane gives the lane to the port with this slot, ready for the batch.
func (w *worker) lane(slot uint32) *outLane {
	if int(slot) < len(w.lanes) {
		if l := w.lanes[slot]; l != nil && l.isOpen {
			return l
		}
	}
	return w.openLane(slot)
}

// openLane takes over the settings of the output for this batch.
func (w *worker) openLane(slot uint32) *outLane {
	for int(slot) >= len(w.lanes) {
		w.lanes = append(w.lanes, nil)
	}
	l := w.lanes[slot]
	if l == nil {
		l = &outLane{port: (*w.forwarder.ports.Load())[slot]}
		l.port.addLane(l)
		w.lanes[slot] = l
	}
	if len(w.spare) == 0 {
		size := len(w.sizes)
		w.spare = append(w.spare, &parcel{make([][]byte, size), make([]*outCounters, size)})
	}
	last := len(w.spare) - 1
	l.parcel, w.spare = w.spare[last], w.spare[:last]
	l.adopt(l.port.settings.Load(), w.in)
	w.open = append(w.open, l)
	return l
}

// adopt sets what packets that come in by in meet at out.
func (l *outLane) adopt(out, in *settings) {
	l.out, l.isOpen, l.n = out, true, 0
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
func (l *outLane) add(p *packet, count *outCounters) {
	l.frames[l.n] = p.buf[p.start-l.head : p.end]
	l.counts[l.n] = count
	l.n++
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
		l.parcel, l.isOpen = nil, false
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
	var octets uint64
	for i, frame := range l.frames[:taken] {
		octets += uint64(len(frame))
		l.counts[i].packets.add(1)
	}
	for _, c := range l.counts[taken:l.n] {
		l.refuse(DropDevice, &c.discards)
	}
	l.sent.packets.add(uint64(taken))
	l.sent.octets.add(octets)
	l.n = 0
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
func (w *worker) sendFragments(l *outLane, count *outCounters) {
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
	if whole {
		count.packets.add(1)
	} else {
		count.discards.add(1)
	}
}
