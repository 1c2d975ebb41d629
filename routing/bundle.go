package routing

import "slices"

// bundle is single datagrams of a batch that, one after the other, go to the
// same outputs. What depends on the output alone is then done once for all.
type bundle struct {
	packets    []*packet
	slots      []uint32 // of the outputs
	octets     uint64   // the bytes of all packets
	size       int32    // of the longest
	ttl        uint8    // the lowest
	unfinished bool     // the checksum of some

	frames [][]byte // the packets with head bytes in front, once made
	head   int
	lanes  []*outLane // of the outputs
}

// collect puts p, one datagram for at least one output, into the bundle.
func (w *worker) collect(p *packet) {
	b := &w.bundle
	if len(b.packets) > 0 && !slices.Equal(b.slots, p.entry.slots) {
		w.deal()
	}
	if len(b.packets) == 0 {
		b.slots, b.octets, b.size, b.ttl, b.unfinished = p.entry.slots, 0, 0, p.ttl, false
	}
	b.packets = append(b.packets, p)
	b.octets += uint64(p.size)
	b.size, b.ttl = max(b.size, p.size), min(b.ttl, p.ttl)
	b.unfinished = b.unfinished || p.checksum == checksumUnfinished
}

// deal puts the packets of the bundle into the lanes of their outputs.
func (w *worker) deal() {
	b := &w.bundle
	if len(b.packets) == 0 {
		return
	}
	b.frames, b.lanes = b.frames[:0], b.lanes[:0]
	tooBig, all := false, true
	for i, slot := range b.slots {
		l := w.lane(slot)
		if l.takes(b) && b.ttl > thresholdOf(slot) {
			w.load(l)
			b.lanes = append(b.lanes, l)
			continue
		}
		all = false
		b.lanes = append(b.lanes, nil)
		for _, p := range b.packets {
			tooBig = w.scrutinise(l, p, i) || tooBig
		}
	}
	for _, p := range b.packets {
		handed, places := p.entry.tally.handed, p.entry.places
		for i, place := range places {
			if all || b.lanes[i] != nil {
				handed[place].add(1)
			}
		}
		if tooBig && p.v6 {
			w.report(p)
		}
	}
	b.packets = b.packets[:0]
}

// takes says whether nothing keeps a packet of b from the lane.
func (l *outLane) takes(b *bundle) bool {
	return int(b.size) <= l.mtu && b.ttl > l.threshold && !(l.finish && b.unfinished)
}

// load puts the bundle into a lane that takes it.
func (w *worker) load(l *outLane) {
	b := &w.bundle
	if len(b.frames) == 0 || b.head != l.head {
		b.frames, b.head = b.frames[:0], l.head
		for _, p := range b.packets {
			b.frames = append(b.frames, p.buf[p.start-l.head:p.end])
		}
	}
	if l.n+len(b.packets) > len(l.frames) {
		w.flushLane(l)
	}
	copy(l.frames[l.n:], b.frames)
	copy(l.packets[l.n:], b.packets)
	l.n += len(b.packets)
	l.count += uint64(len(b.packets))
	l.octets += b.octets + uint64(len(b.packets)*l.out.ethernet)
}
