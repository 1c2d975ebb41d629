package main

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"umroute/cmd/umroute/internal/control"
)

// show asks the router for a document.
func show[T any](p *process, document string) T {
	p.t.Helper()
	var value T
	if err := p.control.Show(p.t.Context(), document, &value); err != nil {
		p.t.Fatalf("show %s: %v", document, err)
	}
	return value
}

// group is what "show groups" has of a group on an interface.
func (p *process) group(name string, group netip.Addr) (control.Group, bool) {
	p.t.Helper()
	for _, g := range show[[]control.Group](p, "groups") {
		if g.Interface == name && g.Group == group.String() {
			return g, true
		}
	}
	return control.Group{}, false
}

// awaitJoined waits until the router knows of a listener.
func (p *process) awaitJoined(name string, group netip.Addr) {
	p.t.Helper()
	eventually(p.t, "the join of "+group.String()+" on "+name, func() bool {
		_, joined := p.group(name, group)
		return joined
	})
}

// awaitVersion waits until a group is known by a report of that version.
func (p *process) awaitVersion(name string, group netip.Addr, version int) {
	p.t.Helper()
	what := fmt.Sprintf("%s on %s, version %d", group, name, version)
	eventually(p.t, what, func() bool {
		g, joined := p.group(name, group)
		return joined && g.Version == version
	})
}

// awaitLeft waits until the router knows of no listener any more.
func (p *process) awaitLeft(name string, group netip.Addr) {
	p.t.Helper()
	eventually(p.t, "the leave of "+group.String()+" on "+name, func() bool {
		_, joined := p.group(name, group)
		return !joined
	})
}

// awaitSources waits until a group has these sources, in any order, each
// forwarded or not.
func (p *process) awaitSources(name string, group netip.Addr, want map[netip.Addr]bool) {
	p.t.Helper()
	eventually(p.t, "the sources of "+group.String()+" on "+name, func() bool {
		g, _ := p.group(name, group)
		have := make(map[netip.Addr]bool)
		for _, s := range g.Sources {
			have[netip.MustParseAddr(s.Address)] = s.Forwarding
		}
		return maps.Equal(have, want)
	})
}

// route is the forwarding entry of a flow.
func (p *process) route(source, group netip.Addr) (control.Route, bool) {
	p.t.Helper()
	for _, r := range show[[]control.Route](p, "routes") {
		if r.Source == source.String() && r.Group == group.String() {
			return r, true
		}
	}
	return control.Route{}, false
}

// awaitOutputs waits until a flow has an entry that leads to these interfaces.
func (p *process) awaitOutputs(source, group netip.Addr, want ...string) control.Route {
	p.t.Helper()
	slices.Sort(want)
	var found control.Route
	eventually(p.t, "the route of "+source.String()+" to "+group.String(), func() bool {
		r, ok := p.route(source, group)
		var have []string
		for _, oif := range r.OIFs {
			have = append(have, oif.Interface)
		}
		slices.Sort(have)
		found = r
		return ok && slices.Equal(have, want)
	})
	return found
}

// iface is a row of "show interfaces".
func (p *process) iface(name string) control.Interface {
	p.t.Helper()
	for _, i := range show[[]control.Interface](p, "interfaces") {
		if i.Name == name {
			return i
		}
	}
	p.t.Fatalf("no interface %s", name)
	return control.Interface{}
}

// awaitDrops waits until an interface has counted n drops for a reason.
func (p *process) awaitDrops(name, reason string, n uint64) {
	p.t.Helper()
	eventually(p.t, "drops of "+name+" for "+reason, func() bool {
		return p.iface(name).Drops[reason] >= n
	})
}

// passedOver counts what an interface did not forward: what the stack took,
// and what was dropped for a reason.
func (p *process) passedOver(name, reason string) (punted, dropped uint64) {
	p.t.Helper()
	return show[control.Stats](p, "stats").Punted, p.iface(name).Drops[reason]
}

// checkAlive fails the test if the router has ended or does not answer.
func (p *process) checkAlive(t testing.TB) {
	t.Helper()
	if p.hasEnded() {
		t.Fatalf("the router has ended: %v", p.cmd.ProcessState)
	}
	if pid := show[control.Stats](p, "stats").PID; pid == 0 {
		t.Error("the router has no process ID")
	}
}
