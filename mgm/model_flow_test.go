package mgm

import (
	"maps"
	"slices"
)

// outgoing computes the list of an MFE from the facts.
func (w *model) outgoing(flow string) []Iface {
	e := w.flows[flow]
	if w.holder(e.in) == "" {
		return nil
	}
	_, group, _ := cut(flow)
	list := make(map[Iface]bool)
	for i := range maps.Keys(w.ifaces()) {
		exact := w.has[fact{flow, i, byOwner}] || w.has[fact{flow, i, byMembership}]
		owners := w.has[fact{"*," + group, i, byOwner}] || w.has[fact{"*,*", i, byOwner}]
		hosts := w.has[fact{"*," + group, i, byMembership}] ||
			w.has[fact{"*,*", i, byMembership}]
		visible := (hosts || e.marks[i] == forward) && !w.has[fact{flow, i, excluded}]
		if (exact || owners || visible) && i != e.in && e.marks[i] != vetoed &&
			w.holder(i) != "" {
			list[i] = true
		}
	}
	return slices.SortedFunc(maps.Keys(list), Iface.Compare)
}

// ifaces returns the interfaces that somebody runs on.
func (w *model) ifaces() map[Iface]bool {
	set := maps.Clone(w.igmp)
	for i, c := range w.owner {
		if c != "" {
			set[i] = true
		}
	}
	return set
}

// sortedFlows returns the flows in the order of MFEs.
func (w *model) sortedFlows() []string {
	return slices.SortedFunc(maps.Keys(w.flows), func(a, b string) int {
		return w.l.flow(a).Compare(w.l.flow(b))
	})
}

// lists computes all lists anew after a change on i, and writes the alerts about MFEs.
func (w *model) lists(i Iface) {
	for _, flow := range w.sortedFlows() {
		e := w.flows[flow]
		before := len(e.oifs)
		e.oifs = w.outgoing(flow)
		x := w.holder(e.in)
		switch after := len(e.oifs); {
		case before == after || x == w.holder(i) || x == "I":
		case before == 0:
			w.say("%s.J(%s) f", x, flow)
		case after == 0:
			w.say("%s.P(%s) %s f", x, flow, ifText(e.in))
		}
	}
}

// othersIn reports whether an MFE has an outgoing interface of somebody else than x.
func (w *model) othersIn(e *modelMFE, x string) bool {
	return slices.ContainsFunc(e.oifs, func(i Iface) bool { return w.holder(i) != x })
}

func (w *model) packet(flow string) {
	if w.flows[flow] != nil {
		return
	}
	source, _, _ := cut(flow)
	e := &modelMFE{
		in: w.routes[source], route: w.routes[source], marks: make(map[Iface]markKind),
	}
	w.flows[flow] = e
	x := w.holder(e.in)
	if x == "" {
		return
	}
	if x != "I" {
		w.say("%s.RPF(%s) %s", x, flow, ifText(e.in))
		e.in = w.rpf(x, e.in)
	}
	e.oifs = w.outgoing(flow)
	asked := map[string]bool{"I": true}
	for _, i := range e.oifs {
		c := w.holder(i)
		if asked[c] {
			continue
		}
		asked[c] = true
		var own []OIF
		for _, j := range e.oifs {
			if w.holder(j) == c {
				own = append(own, OIF{Iface: j, Membership: w.igmp[j], Enabled: true})
			}
		}
		w.say("%s.CREATION(%s) %s {%s}", c, flow, ifText(e.in), oifText(own))
		for _, o := range own {
			if w.vetoes[o.Iface] {
				e.marks[o.Iface] = vetoed
			}
		}
	}
	e.oifs = w.outgoing(flow)
	switch {
	case x == "I":
	case len(e.oifs) == 0:
		w.say("%s.P(%s) %s f", x, flow, ifText(e.in))
	case w.othersIn(e, x):
		w.say("%s.J(%s) f", x, flow)
	}
}

func (w *model) route(source string, to Iface) {
	old := w.routes[source]
	w.routes[source] = to
	w.settle(old)
	for _, flow := range w.sortedFlows() {
		if s, _, _ := cut(flow); s == source {
			w.move(flow, to)
		}
	}
}

func (w *model) move(flow string, to Iface) {
	e := w.flows[flow]
	if e.route == to {
		return
	}
	was, x, y := e.in, w.holder(e.in), w.holder(to)
	wanted := w.othersIn(e, x) && x != "" && x != "I"
	if y == "" {
		delete(w.flows, flow)
		if wanted {
			w.say("%s.P(%s) %s f", x, flow, ifText(was))
		}
		return
	}
	if y != "I" {
		w.say("%s.RPF(%s) %s", y, flow, ifText(to))
	}
	e.in, e.route = w.rpf(y, to), to
	e.oifs = w.outgoing(flow)
	if x != y && wanted {
		w.say("%s.P(%s) %s f", x, flow, ifText(was))
	}
	if x != y && y != "I" && w.othersIn(e, y) {
		w.say("%s.J(%s) f", y, flow)
	}
}
