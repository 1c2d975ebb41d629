package static

import (
	"cmp"
	"net/netip"
	"slices"

	"umroute/mgm"
)

// apply makes the manager agree with the routes, of which some have changed.
// Interfaces are taken before anything stands on them, and released last.
func (m *Machine) apply(changed []Key) {
	m.takeAll()
	hops := m.hops()
	m.table = newTable(hops)
	m.tellPaths(hops)
	for _, key := range changed {
		if r := m.routes[key]; r != nil {
			m.restand(r)
		}
	}
	m.reconsider(changed)
	m.releaseIdle()
}

// wanted are the interfaces of routes that work.
func (m *Machine) wanted() map[uint32]bool {
	wanted := make(map[uint32]bool)
	for _, r := range m.routes {
		in, there := m.links[r.In]
		if r.In != "" && !there {
			continue
		}
		if there {
			wanted[in] = true
		}
		for _, name := range r.Out {
			if out, there := m.links[name]; there {
				wanted[out] = true
			}
		}
	}
	return wanted
}

// takeAll takes the interfaces that routes want. One that another protocol owns
// is asked for again whenever something changes.
func (m *Machine) takeAll() {
	for index := range m.wanted() {
		if m.owned[index] {
			continue
		}
		err := m.client.TakeInterface(mgm.Iface{Index: index})
		if err == nil {
			m.owned[index] = true
			delete(m.refused, index)
			continue
		}
		if m.refused[index] == nil {
			m.config.Logger.Warn("static routes wait for an interface", "if", m.name(index),
				"err", err)
		}
		m.refused[index] = err
	}
}

// releaseIdle releases the interfaces that no route wants any more.
func (m *Machine) releaseIdle() {
	wanted := m.wanted()
	for index := range m.refused {
		if !wanted[index] {
			delete(m.refused, index)
		}
	}
	for index := range m.owned {
		if wanted[index] {
			continue
		}
		delete(m.owned, index)
		if err := m.client.ReleaseInterface(mgm.Iface{Index: index}); err != nil {
			m.config.Logger.Error("interface not released", "if", m.name(index), "err", err)
		}
	}
}

func (m *Machine) name(index uint32) string {
	for name, i := range m.links {
		if i == index {
			return name
		}
	}
	return ""
}

// hops are the routes with an incoming interface that is there.
func (m *Machine) hops() []*hop {
	var hops []*hop
	for _, r := range m.routes {
		if r.In == "" || !m.usable(r.In) {
			continue
		}
		hops = append(hops, &hop{key: r.Key, in: m.links[r.In], outs: m.outs(r),
			threshold: r.Threshold})
	}
	return hops
}

// outs are the outgoing interfaces of a route that are there, ascending.
func (m *Machine) outs(r *route) []uint32 {
	var outs []uint32
	for _, name := range r.Out {
		if m.usable(name) {
			outs = append(outs, m.links[name])
		}
	}
	slices.Sort(outs)
	return outs
}

// tellPaths tells where the routes expect their sources, if that has changed.
func (m *Machine) tellPaths(hops []*hop) {
	paths := make([]Path, 0, len(hops))
	for _, h := range hops {
		source := h.key.Source
		if !source.IsValid() {
			source = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
			if m.config.V6 {
				source = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
			}
		}
		paths = append(paths, Path{Source: source, Index: h.in})
	}
	slices.SortFunc(paths, func(a, b Path) int {
		return cmp.Or(a.Source.Compare(b.Source), cmp.Compare(a.Index, b.Index))
	})
	paths = slices.Compact(paths)
	if !slices.Equal(paths, m.paths) {
		m.paths = paths
		m.config.Paths(slices.Clone(paths))
	}
}

// stand adds the memberships of a route without incoming interface.
func (m *Machine) stand(r *route) {
	if r.In != "" {
		return
	}
	entry := mgm.Entry{Group: r.Group.Addr()}
	if r.Source.IsValid() {
		entry.Source = r.Source.Addr()
	}
	for _, out := range m.outs(r) {
		p := place{entry, out}
		m.hold(p)
		r.standing = append(r.standing, p)
	}
}

// restand makes the memberships of a route those of now. New ones come first, so
// that nobody hears of a gap.
func (m *Machine) restand(r *route) {
	old := r.standing
	r.standing = nil
	m.stand(r)
	for _, p := range old {
		m.unhold(p)
	}
}

// unstand deletes them.
func (m *Machine) unstand(r *route) {
	for _, p := range r.standing {
		m.unhold(p)
	}
	r.standing = nil
}

// hold adds a membership, unless it is there for another reason already.
func (m *Machine) hold(p place) {
	m.holds[p]++
	if m.holds[p] > 1 {
		return
	}
	if err := m.client.AddMembership(p.entry, mgm.Iface{Index: p.index}, mgm.JoinState); err != nil {
		m.config.Logger.Error("membership not added", "group", p.entry.Group,
			"source", p.entry.Source, "if", m.name(p.index), "err", err)
	}
}

// unhold deletes a membership when the last reason for it has gone.
func (m *Machine) unhold(p place) {
	m.holds[p]--
	if m.holds[p] > 0 {
		return
	}
	delete(m.holds, p)
	err := m.client.DeleteMembership(p.entry, mgm.Iface{Index: p.index}, mgm.JoinState)
	if err != nil {
		m.config.Logger.Error("membership not deleted", "group", p.entry.Group,
			"source", p.entry.Source, "if", m.name(p.index), "err", err)
	}
}
