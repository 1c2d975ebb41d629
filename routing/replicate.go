package routing

// replicate puts p, a packet or a run that came in as its entry says and is
// counted, into the lanes of the outputs, or one datagram into the bundle for
// them.
func (w *worker) replicate(p *packet) {
	e := p.entry
	if p.ttl <= 1 || len(e.slots) == 0 {
		w.end(p)
		return
	}
	if p.next == nil && p.segment == 0 {
		p.decrement()
		w.collect(p)
		return
	}
	w.deal()
	for d := p; d != nil; d = d.next {
		d.decrement()
	}
	tooBig := false
	for i, slot := range e.slots {
		l := w.lane(slot)
		if int(p.size) <= l.mtu && p.ttl > max(l.threshold, thresholdOf(slot)) {
			w.put(l, p, e.places[i])
			continue
		}
		tooBig = w.scrutinise(l, p, i) || tooBig
	}
	if tooBig && p.v6 {
		w.report(p)
	}
}

// end counts p, which has outlived its TTL or is wanted nowhere.
func (w *worker) end(p *packet) {
	n := p.datagrams()
	if p.ttl <= 1 {
		p.entry.tally.headerErrors.add(uint64(n))
		w.drop(DropTTL, n)
		return
	}
	p.entry.tally.negative.add(uint64(n))
	w.drop(DropNegative, n)
}

// put puts p, which nothing keeps from lane l, into it: as one where the device
// takes that, and else one by one.
func (w *worker) put(l *outLane, p *packet, place uint32) {
	if l.out.joins && (p.next != nil || p.segment != 0) {
		if all := w.whole(p); all != nil {
			w.add(l, all, place)
			return
		}
	}
	for d := w.singles(p); d != nil; d = d.next {
		if l.finish {
			d.finish()
		}
		w.add(l, d, place)
	}
}

// scrutinise puts p into lane l, that of output i, if that may be, and else
// counts why not. It says whether something of it is too long for the link and
// cannot be fragmented.
func (w *worker) scrutinise(l *outLane, p *packet, i int) (tooBig bool) {
	place, threshold := p.entry.places[i], thresholdOf(p.entry.slots[i])
	out, unsent, n := l.out, &p.entry.tally.unsent[place], uint64(p.datagrams())
	switch {
	case out == nil:
		l.refuse(DropNoInterface, &unsent.discards, n)
	case out.domain != w.in.domain &&
		!w.forwarder.crosses(w.in.domain, out.domain, p.family(), &p.key.group):
		l.refuse(DropDomain, &unsent.discards, n)
	case inside(out.boundary[p.family()], &p.key.group):
		l.refuse(DropBoundary, &unsent.discards, n)
	case p.ttl <= max(out.threshold, threshold):
		// RFC 1812 section 5.2.1.3 forwards where the TTL is above the threshold.
		l.refuse(DropThreshold, &unsent.ttlTooLow, n)
	case int(p.size) <= out.mtu:
		w.put(l, p, place)
	default:
		for d := w.singles(p); d != nil; d = d.next {
			tooBig = w.fit(l, d, place) || tooBig
		}
	}
	return tooBig
}

// fit is scrutinise for one datagram that only its length may keep from lane l.
func (w *worker) fit(l *outLane, d *packet, place uint32) (tooBig bool) {
	d.finish() // fragments have no checksum of their own
	switch mtu := l.out.mtu; {
	case int(d.size) <= mtu:
		w.add(l, d, place)
	case !d.v6 && w.fragments.start(d.ip(), mtu):
		w.sendFragments(l, d, place)
	default:
		l.refuse(DropFragNeeded, &d.entry.tally.unsent[place].fragNeeded, 1)
		if d.mtu == 0 || mtu < int(d.mtu) {
			d.mtu = int32(mtu)
		}
		return true
	}
	return false
}

// report tells of the datagrams of p that are too long.
func (w *worker) report(p *packet) {
	for d := w.singles(p); d != nil; d = d.next {
		if d.mtu != 0 {
			w.tooBig(d, int(d.mtu))
		}
	}
}
