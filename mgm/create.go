package mgm

import (
	"net/netip"
	"slices"
)

const (
	// maxMisses bounds the flows that wait for their MFEs. The forwarder reports a flow that
	// is refused again.
	maxMisses = 4096
	// maxHeader bounds what is kept of a packet, in octets.
	maxHeader = 2048
)

// report is what the forwarder said about a packet.
type report struct {
	flow   Flow
	iface  Iface
	header []byte
}

// excerpt copies the start of a packet, as its buffer is the forwarder's.
func excerpt(header []byte) []byte {
	if header == nil {
		return nil
	}
	return append([]byte{}, header[:min(len(header), maxHeader)]...)
}

// HandleMiss says that the forwarder has a packet of a flow for which it has no entry. It
// only enqueues, and copies the header: the start of the packet, which may be nil. The
// manager's goroutine then asks the clients and installs an entry, negative perhaps, in
// the forwarder. A flow that waits already is not queued again; what the queue cannot hold
// is dropped, and a flow that never has an entry (RFC 2715, rule 3) is ignored. If there
// is an entry the forwarder is told it again, without asking anybody. Where the packet
// arrived does not matter: the route to the source decides.
func (m *Manager) HandleMiss(f Flow, arrival Iface, header []byte) {
	if !m.forwarded(f) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed.Load() {
		return
	}
	if _, waits := m.missed[f]; waits || m.pending != nil && m.pending.flow == f {
		return
	}
	if entry := m.live(f, m.now()); entry != nil {
		m.markDirty(entry)
		return
	}
	if len(m.missed) >= maxMisses {
		m.overflow++
		return
	}
	m.missed[f] = struct{}{}
	r := &report{flow: f, iface: arrival, header: excerpt(header)}
	m.push(event{kind: flowMissed, work: r})
}

// miss makes an entry for the flow of r, unless it has one by now.
func (m *Manager) miss(r *report) {
	m.mu.Lock()
	delete(m.missed, r.flow)
	f := m.live(r.flow, m.now())
	if f != nil {
		m.markDirty(f)
	}
	m.mu.Unlock()
	if f == nil {
		m.create(r.flow, r.header)
	}
}

// create makes and installs an MFE. It runs on the delivery goroutine, without the mutex,
// and reports whether the flow has an entry in the end.
func (m *Manager) create(flow Flow, header []byte) bool {
	const attempts = 8 // each ends in a change of holder or route by somebody else
	for range attempts {
		to := m.lookUp(flow.Source)
		m.mu.Lock()
		done := m.tryCreate(flow, header, to)
		m.pending = nil
		m.mu.Unlock()
		if done {
			return true
		}
		if m.closed.Load() {
			return false
		}
	}
	m.log.Warn("flow given up, its incoming interface keeps changing",
		"source", flow.Source, "group", flow.Group)
	return false
}

// tryCreate makes an MFE and installs it, with the mutex held except during callbacks. It
// fails if the holder of the interface towards the source changes meanwhile.
func (m *Manager) tryCreate(flow Flow, header []byte, to answer) bool {
	if b := m.flows.find(&flow); b != nil {
		m.remove(b.mfe) // its time is over
	}
	s := m.sourceOf(flow.Source)
	m.setRoute(s, to)
	s.pins++
	defer func() {
		s.pins--
		m.forgetSource(s)
	}()
	f := &mfe{flow: flow, source: s, rib: s.rib, way: &way{in: s.link, route: s.rib}}
	m.pending = f
	rib, x := s.rib, s.link.holder()
	valid := func() bool {
		return !m.closed.Load() && s.rib == rib && s.link.holder() == x && f.in.holder() == x
	}
	if x != nil {
		choice := m.askRPF(x, flow, header, s)
		f.way = wayOf(choice.in, choice.route, choice.upstream)
		if !valid() || !m.askAll(f, valid) {
			m.dropMarksOf(f)
			return false
		}
	}
	f.born, f.timeout = m.now(), m.timeout
	m.install(f)
	switch {
	case x == nil:
	case len(f.oifs) == 0: // RFC 2715, rule 4
		m.push(event{kind: mfeUnwanted, client: x, mfe: f, link: f.in})
	case f.others(x): // RFC 2715, rule 5 and 2.1
		m.push(event{kind: mfeWanted, client: x, mfe: f})
	}
	return true
}

// choice is where a flow comes in.
type choice struct {
	in       *link
	route    *Route
	upstream netip.Addr
}

// askRPF asks x, the holder of the interface towards s, where flow is to come in. The
// mutex is held, except during the callback. An interface that x does not hold then is no
// answer, and what the RIB says stands (RFC 2715, rule 1).
func (m *Manager) askRPF(x *Client, flow Flow, header []byte, s *source) choice {
	rib, in := s.rib, s.link
	if x.calls.RPF != nil && !x.dead.Load() {
		q := RPFQuery{
			Flow: flow, Header: header,
			Iface: rib.Iface, Upstream: rib.NextHop, Route: *rib,
		}
		m.mu.Unlock()
		x.calls.RPF(&q)
		m.mu.Lock()
		if l := m.links[q.Iface]; l != nil && l.holder() == x {
			c := choice{in: l, route: rib, upstream: q.Upstream}
			if q.Route != *rib {
				route := q.Route
				c.route = &route
			}
			return c
		}
	}
	return choice{in: in, route: rib, upstream: rib.NextHop}
}

// askAll asks each client with interfaces in the outgoing list of f which of them it
// enables, in the order of their first interfaces, and leaves the final list in f.oifs. The
// mutex is held, except during callbacks. It fails as soon as valid does.
func (m *Manager) askAll(f *mfe, valid func() bool) bool {
	var asked []*Client
	for seen := m.changes - 1; ; {
		if seen != m.changes {
			f.setOIFs(m.outgoing(f))
			seen = m.changes
		}
		next := slices.IndexFunc(f.oifs, func(l *link) bool {
			return !slices.Contains(asked, l.holder())
		})
		if next < 0 {
			return true
		}
		x := f.oifs[next].holder()
		asked = append(asked, x)
		if x.calls.CreationAlert == nil || x.dead.Load() {
			continue
		}
		m.ask(f, x)
		if !valid() {
			return false
		}
	}
}

// ask sends x the creation alert of f, and marks what it vetoes.
func (m *Manager) ask(f *mfe, x *Client) {
	alert := CreationAlert{Flow: f.flow, In: f.in.id}
	for _, l := range f.oifs {
		if l.holder() == x {
			o := OIF{Iface: l.id, Membership: l.member != nil, Enabled: true}
			alert.OIFs = append(alert.OIFs, o)
		}
	}
	own := slices.Clone(alert.OIFs)
	m.mu.Unlock()
	x.calls.CreationAlert(&alert)
	m.mu.Lock()
	for _, o := range alert.OIFs {
		asked := slices.ContainsFunc(own, func(p OIF) bool { return p.Iface == o.Iface })
		if l := m.links[o.Iface]; asked && !o.Enabled && l.holder() == x {
			m.setMark(f, l, vetoed)
		}
	}
}
