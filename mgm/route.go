package mgm

import "net/netip"

// source is a source of flows or of (S,G) memberships, with the route to it. It exists
// while it has either, or an MFE of it is being created.
type source struct {
	addr    netip.Addr
	rib     *Route // what the RIB said last, nil for no route
	link    *link  // rib's interface, nil for no route
	flows   []*mfe
	records []*record
	pins    int   // creations under way
	slot    int32 // in link.sources
}

// answer is what the RIB said about a source.
type answer struct {
	route Route
	ok    bool
}

func slotOfRouted(s *source) *int32 { return &s.slot }

// lookUp asks the RIB; the mutex is not held. A route over no interface is none.
func (m *Manager) lookUp(addr netip.Addr) answer {
	route, ok := m.rib.Lookup(addr)
	return answer{route: route, ok: ok}
}

// sourceOf returns the source of addr, made if there is none.
func (m *Manager) sourceOf(addr netip.Addr) *source {
	s := m.sources[addr]
	if s == nil {
		s = &source{addr: addr}
		m.sources[addr] = s
		m.sourceOrder.insert(s)
	}
	return s
}

// forgetSource drops s if nothing needs it.
func (m *Manager) forgetSource(s *source) {
	if len(s.flows) > 0 || len(s.records) > 0 || s.pins > 0 || m.sources[s.addr] != s {
		return
	}
	delete(m.sources, s.addr)
	m.sourceOrder.delete(s.addr)
	if s.link != nil {
		s.link.sources = displace(s.link.sources, s.slot, slotOfRouted)
		m.forget(s.link)
	}
}

// setRoute notes the route to s. If it is another than before, the (S,G) that others want
// are taken from the old holder and given to the new one, and the MFEs of s are to be moved
// (RFC 2715, rule 1).
func (m *Manager) setRoute(s *source, to answer) {
	if to.ok == (s.rib != nil) && (!to.ok || *s.rib == to.route) {
		return
	}
	old := s.link
	s.rib, s.link = nil, nil
	if old != nil {
		old.sources = displace(old.sources, s.slot, slotOfRouted)
	}
	if to.ok {
		l := m.linkOf(to.route.Iface)
		if l.rib == nil || *l.rib != to.route {
			l.rib = &to.route
		}
		s.rib, s.link = l.rib, l
		l.sources = place(l.sources, s, &s.slot)
	}
	m.changes++
	for _, r := range s.records {
		lost := old
		if lost == nil {
			lost = s.link
		}
		m.settle(r, lost)
	}
	for _, f := range s.flows {
		m.push(event{kind: routeMoved, mfe: f})
	}
	m.forget(old)
}

// maxSweeps bounds the changes of routes that wait; beyond it everything is looked at.
const maxSweeps = 1024

// sweep is the work for one RouteChanged: ask the RIB again for each source in prefix.
type sweep struct {
	prefix netip.Prefix
	after  netip.Addr // sources up to here are done
}

// RouteChanged says that the routes to the sources in prefix may have changed; the zero
// Prefix stands for all. It only enqueues: the RIB is asked later, by the manager's
// goroutine, and only what differs from before has an effect. The holder of the interface
// that a flow's route now leads to is asked by RPF, the entry moves there, and both the
// old and the new holder are alerted as far as others want the flow. A flow that has lost
// its route, or whose route leads to an interface that nobody holds, is deleted.
func (m *Manager) RouteChanged(prefix netip.Prefix) {
	prefix = prefix.Masked()
	if prefix.IsValid() && !m.owns(prefix.Addr()) {
		return
	}
	m.routeChanges.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed.Load() {
		return
	}
	if len(m.sweeping) >= maxSweeps {
		prefix = netip.Prefix{}
	}
	if _, waits := m.sweeping[prefix]; waits {
		return
	}
	m.sweeping[prefix] = struct{}{}
	m.push(event{kind: routesChanged, work: &sweep{prefix: prefix, after: before(prefix)}})
}

// before returns the address before the first of prefix, zero if there is none.
func before(prefix netip.Prefix) netip.Addr {
	if !prefix.IsValid() {
		return netip.Addr{}
	}
	return prefix.Addr().Prev()
}

// sweepPage looks at some of the sources of w, and comes back for the others after the
// alerts of these.
func (m *Manager) sweepPage(w *sweep) {
	var page []netip.Addr
	m.mu.Lock()
	// From here on a further change needs a further sweep.
	delete(m.sweeping, w.prefix)
	m.sourceOrder.after(w.after, func(s *source) bool {
		if len(page) == pageSize || w.prefix.IsValid() && !w.prefix.Contains(s.addr) {
			return false
		}
		page = append(page, s.addr)
		return true
	})
	m.mu.Unlock()
	for _, addr := range page {
		to := m.lookUp(addr)
		m.mu.Lock()
		if s := m.sources[addr]; s != nil && !m.closed.Load() {
			m.setRoute(s, to)
		}
		m.mu.Unlock()
	}
	if len(page) == pageSize {
		w.after = page[len(page)-1]
		m.mu.Lock()
		m.push(event{kind: routesChanged, work: w})
		m.mu.Unlock()
	}
}

// move gives f the route of its source, if that is another than f has. The new holder is
// asked first; what changes meanwhile makes it start again.
func (m *Manager) move(f *mfe) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		if m.closed.Load() || f != m.live(f.flow, m.now()) || sameRoute(f.rib, f.source.rib) {
			return
		}
		to := f.source.rib
		x := f.source.link.holder()
		if x == nil {
			m.loseRoute(f)
			return
		}
		choice := m.askRPF(x, f.flow, nil, f.source)
		if f == m.live(f.flow, m.now()) && f.source.rib == to && f.source.link.holder() == x {
			m.moveTo(f, choice)
			return
		}
	}
}

func sameRoute(a, b *Route) bool { return a == b || a != nil && b != nil && *a == *b }

// loseRoute deletes f, which cannot come in anywhere, and tells the holder of its old
// incoming interface if others wanted it.
func (m *Manager) loseRoute(f *mfe) {
	x, in := f.in.holder(), f.in
	wanted := f.others(x)
	m.remove(f)
	if x != nil && wanted {
		m.push(event{kind: mfeUnwanted, client: x, mfe: f, link: in})
	}
}

// moveTo changes the incoming interface of f to the one chosen. The old one may become an
// outgoing interface. If another client holds the new one, both are alerted.
func (m *Manager) moveTo(f *mfe, c choice) {
	old, x := f.in, f.in.holder()
	wanted := f.others(x)
	if old != nil {
		old.incoming = displace(old.incoming, f.slotIn, slotIn)
	}
	f.way = wayOf(c.in, c.route, c.upstream)
	c.in.incoming = place(c.in.incoming, f, &f.slotIn)
	f.rib = f.source.rib
	f.setOIFs(m.outgoing(f))
	m.markDirty(f)
	y := f.in.holder()
	if x != y && x != nil && wanted {
		m.push(event{kind: mfeUnwanted, client: x, mfe: f, link: old})
	}
	if x != y && f.others(y) {
		m.push(event{kind: mfeWanted, client: y, mfe: f})
	}
	m.forget(old)
}
