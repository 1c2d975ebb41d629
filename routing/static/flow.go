package static

import (
	"net/netip"
	"slices"
	"time"

	"umroute/mgm"
)

// answerRPF says where a flow comes in, and adds the memberships by which it
// leaves, before the manager makes the outgoing list (RFC 2715, rule 1; MGM:
// PMGM_RPF_CALLBACK). It runs on the manager's goroutine.
func (m *Machine) answerRPF(q *mgm.RPFQuery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.table.match(q.Flow, q.Iface.Index)
	if h == nil {
		m.setFlow(q.Flow, nil)
		return
	}
	if h.in != q.Iface.Index {
		q.Iface, q.Upstream = mgm.Iface{Index: h.in}, netip.Addr{}
	}
	m.setFlow(q.Flow, h)
	m.flows[q.Flow].fresh = true
}

// setFlow makes the memberships of a flow those of a route; nil takes them away.
func (m *Machine) setFlow(f mgm.Flow, h *hop) {
	old := m.flows[f]
	var before, after []uint32
	if old != nil {
		before = old.outs
	}
	if h != nil {
		after = h.outs
		if old == nil {
			old = new(flow)
			m.flows[f] = old
		}
		old.key, old.limit = h.key, limit{after, h.threshold}
	} else {
		delete(m.flows, f)
	}
	if h != nil && h.threshold > 1 {
		m.limits.Store(f, old.limit)
	} else {
		m.limits.Delete(f)
	}
	for _, out := range after {
		if !slices.Contains(before, out) {
			m.hold(place{mgm.Entry(f), out})
		}
	}
	for _, out := range before {
		if !slices.Contains(after, out) {
			m.unhold(place{mgm.Entry(f), out})
		}
	}
}

// reconsider applies changed routes to the flows that they cover.
func (m *Machine) reconsider(changed []Key) {
	if len(changed) == 0 {
		return
	}
	covered := newCover(changed)
	for entry := range m.config.Manager.MFEs() {
		if covered.has(entry.Flow) {
			m.revise(entry)
		}
	}
	// A flow that has no entry, as its interface has changed hands, ends here: its
	// next packet asks for the route.
	for f := range m.flows {
		if !covered.has(f) {
			continue
		}
		if _, err := m.config.Manager.MFE(f); err != nil {
			m.setFlow(f, nil)
		}
	}
}

// revise makes the forwarding entry of a flow that of its route. Where only the
// outputs change the flow goes on. Where the incoming interface or the threshold
// does, the entry is given up, and the next packet makes another.
func (m *Machine) revise(entry mgm.MFE) {
	if !m.owned[entry.In.Index] {
		m.setFlow(entry.Flow, nil)
		return
	}
	expected := entry.Route.Iface.Index
	h := m.table.match(entry.Flow, expected)
	in := expected
	if h != nil {
		in = h.in
	}
	state := m.flows[entry.Flow]
	other := h != nil && state != nil && state.threshold != h.threshold
	if in != entry.In.Index || other {
		m.drop(entry.Flow)
		return
	}
	m.setFlow(entry.Flow, h)
}

// drop gives up the entry of a flow.
func (m *Machine) drop(f mgm.Flow) {
	m.setFlow(f, nil)
	if err := m.client.Forget(f); err != nil {
		m.config.Logger.Debug("forwarding entry is gone already", "source", f.Source,
			"group", f.Group, "err", err)
	}
}

// Deadline says when Advance is due next, and whether it ever is.
func (m *Machine) Deadline() (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sweep, len(m.flows) > 0
}

// Advance takes away the memberships of flows that have ended.
func (m *Machine) Advance(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Before(m.sweep) {
		return
	}
	m.sweep = now.Add(sweepInterval)
	for f, state := range m.flows {
		_, err := m.config.Manager.MFE(f)
		if err != nil && !state.fresh {
			m.setFlow(f, nil)
		}
		state.fresh = false
	}
}

// cover finds out quickly whether some of many keys cover a flow.
type cover struct {
	exact map[netip.Addr]bool // groups of the keys with a single one
	wide  []Key
}

func newCover(keys []Key) *cover {
	c := &cover{exact: make(map[netip.Addr]bool)}
	for _, k := range keys {
		if k.Group.IsSingleIP() {
			c.exact[k.Group.Addr()] = true
		} else {
			c.wide = append(c.wide, k)
		}
	}
	return c
}

// has says whether some key may cover the flow: with a single group the source
// is not looked at, as to revise a flow for nothing does no harm.
func (c *cover) has(f mgm.Flow) bool {
	return c.exact[f.Group] || slices.ContainsFunc(c.wide, func(k Key) bool {
		return k.Covers(f.Source, f.Group)
	})
}
