package routing

// inCounters counts what came in at a port. The padding keeps it off the cache
// lines of its neighbours.
type inCounters struct {
	packets, octets, punted, misses counter
	drops                           [drops]counter
	_                               [64]byte
}

// InterfaceStats counts what an interface has carried since it was added:
// datagrams, however many of them were read or written as one.
type InterfaceStats struct {
	Index              uint32
	Name               string
	RxPackets, RxBytes uint64            // as read from the device
	TxPackets, TxBytes uint64            // as written to it by the forwarder
	Punted             uint64            // of the packets read, those left to the host stack
	Misses             uint64            // of the packets read, those of unknown flows
	Resent             uint64            // joined packets that the device refused, then sent singly
	Drops              map[string]uint64 // by the name of the Drop; without zeros
}

// Stats counts what a forwarder has done since it was made.
type Stats struct {
	Flows    int               // entries in the tables now
	Waiting  int               // flows that wait for an entry now
	Misses   uint64            // packets of unknown flows
	Negative uint64            // packets that met an entry without outputs
	Punted   uint64            // packets left to the host stack
	Dropped  map[string]uint64 // by the name of the Drop; without zeros
}

// portTotals is a sum of everything counted at a port.
type portTotals struct {
	rxPackets, rxBytes, txPackets, txBytes, punted, misses, resent uint64
	drops                                                          [drops]uint64
}

// addLane has what l sends counted for its port.
func (p *port) addLane(l *outLane) {
	p.mu.Lock()
	p.sent = append(p.sent, l)
	p.mu.Unlock()
}

// totals adds up the counters of all workers.
func (p *port) totals() portTotals {
	var t portTotals
	for _, c := range []*inCounters{p.counts, p.late[0], p.late[1]} {
		t.rxPackets += c.packets.load()
		t.rxBytes += c.octets.load()
		t.punted += c.punted.load()
		t.misses += c.misses.load()
		for i := range c.drops {
			t.drops[i] += c.drops[i].load()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.sent {
		t.txPackets += l.sent.packets.load()
		t.txBytes += l.sent.octets.load()
		t.resent += l.sent.resent.load()
		for i := range l.sent.drops {
			t.drops[i] += l.sent.drops[i].load()
		}
	}
	return t
}

// reasons names the drops that there were.
func reasons(counts *[drops]uint64) map[string]uint64 {
	m := make(map[string]uint64)
	for i, n := range counts {
		if n != 0 {
			m[Drop(i).String()] = n
		}
	}
	return m
}

// InterfaceStats gives the counters of the interface with this index, if there
// is one. Counters that move meanwhile may be of slightly different times.
func (f *Forwarder) InterfaceStats(index uint32) (InterfaceStats, bool) {
	f.mu.Lock()
	p := f.byIndex[index]
	f.mu.Unlock()
	if p == nil {
		return InterfaceStats{}, false
	}
	s, base := p.settings.Load(), p.base.Load()
	if s == nil {
		return InterfaceStats{}, false
	}
	t := p.totals()
	for i := range t.drops {
		t.drops[i] -= base.drops[i]
	}
	return InterfaceStats{
		Index:     index,
		Name:      s.name,
		RxPackets: t.rxPackets - base.rxPackets,
		RxBytes:   t.rxBytes - base.rxBytes,
		TxPackets: t.txPackets - base.txPackets,
		TxBytes:   t.txBytes - base.txBytes,
		Punted:    t.punted - base.punted,
		Misses:    t.misses - base.misses,
		Resent:    t.resent - base.resent,
		Drops:     reasons(&t.drops),
	}, true
}

// Stats gives the counters of the whole forwarder.
func (f *Forwarder) Stats() Stats {
	var s Stats
	for _, p := range f.planes {
		flows, waiting := p.size()
		s.Flows += flows
		s.Waiting += waiting
	}
	var dropped [drops]uint64
	for _, p := range *f.ports.Load() {
		t := p.totals()
		s.Misses += t.misses
		s.Punted += t.punted
		for i, n := range t.drops {
			dropped[i] += n
		}
	}
	s.Negative = dropped[DropNegative]
	s.Dropped = reasons(&dropped)
	return s
}
