package routing

// replicate puts p, a packet or a run that came in as its entry says and is
// counted, into the lanes of the outputs.
func (w *worker) replicate(p *packet) {
	e := p.entry
	if p.ttl <= 1 || len(e.outs) == 0 {
		w.end(p)
		return
	}
	for d := p; d != nil; d = d.next {
		d.decrement()
	}
	// What is not one datagram with a complete checksum takes the longer way.
	size := int(p.size)
	if p.next != nil || p.segment != 0 || p.checksum == checksumUnfinished {
		size = maxMTU + 1
	}
	tooBig := false
	for i := range e.outs {
		o := &e.outs[i]
		if int(o.slot) < len(w.lanes) {
			l := w.lanes[o.slot]
			if n := l.n; size <= l.mtu && p.ttl > l.threshold && n < len(l.labels) {
				l.labels[n] = label{p, o.place}
				l.n = n + 1
				continue
			}
		}
		tooBig = w.scrutinise(o, p) || tooBig
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

// scrutinise puts p into the lane of o if that may be, and else counts why not.
// It says whether something of it is too long for the link and cannot be
// fragmented.
func (w *worker) scrutinise(o *output, p *packet) (tooBig bool) {
	l, place := w.openLane(o.portSlot()), o.place
	out, unsent, n := l.out, &p.entry.tally.unsent[place], uint64(p.datagrams())
	switch {
	case out == nil:
		l.refuse(DropNoInterface, &unsent.discards, n)
	case out.domain != w.in.domain:
		l.refuse(DropDomain, &unsent.discards, n)
	case inside(out.boundary[p.family()], &p.key.group):
		l.refuse(DropBoundary, &unsent.discards, n)
	case p.ttl <= max(out.threshold, o.threshold()):
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
