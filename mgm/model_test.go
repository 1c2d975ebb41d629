package mgm

import (
	"fmt"
	"maps"
	"slices"
)

// model is the manager's slow twin: it keeps bare facts, computes everything else anew from
// the rules each time, and writes the trace that a lab's clients should see.
type model struct {
	l       *lab
	clients []string // routing protocols, in the order of registration
	owner   map[Iface]string
	igmp    map[Iface]bool
	has     map[fact]bool // memberships and exclude records
	routes  map[string]Iface
	flows   map[string]*modelMFE // by "S,G"
	told    map[string]string    // of an (S,G): the holder that was alerted
	trace   []string

	redirect map[string]bool // who answers RPF with its first interface
	vetoes   map[Iface]bool  // interfaces that their owners keep out of new flows
}

// fact is what somebody has said about an entry on an interface.
type fact struct {
	entry string
	iface Iface
	by    who
}

type modelMFE struct {
	in    Iface
	route Iface
	oifs  []Iface
	marks map[Iface]markKind
}

func newModel(l *lab) *model {
	w := &model{
		l: l, owner: make(map[Iface]string), igmp: make(map[Iface]bool),
		has: make(map[fact]bool), routes: make(map[string]Iface),
		flows: make(map[string]*modelMFE), told: make(map[string]string),
		redirect: make(map[string]bool), vetoes: make(map[Iface]bool),
	}
	return w
}

// rpf returns where x wants a flow that the RIB expects on i.
func (w *model) rpf(x string, i Iface) Iface {
	if !w.redirect[x] {
		return i
	}
	for _, j := range historyIfaces {
		if w.owner[j] == x {
			return j
		}
	}
	return i
}

func (w *model) say(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

func (w *model) holder(i Iface) string {
	switch {
	case w.owner[i] != "":
		return w.owner[i]
	case w.igmp[i]:
		return "I"
	}
	return ""
}

// holders returns who has an entry somewhere.
func (w *model) holders(entry string) map[string]bool {
	set := make(map[string]bool)
	for f := range w.has {
		if f.entry == entry && f.by != excluded {
			set[w.holder(f.iface)] = true
		}
	}
	return set
}

func wildcard(entry string) bool { return entry[0] == '*' }

// alertAll tells every routing protocol but one.
func (w *model) alertAll(but, format string, args ...any) {
	for _, c := range w.clients {
		if c != but {
			w.say(c+"."+format, args...)
		}
	}
}

// change does what changes memberships on i, and writes the alerts that follow.
func (w *model) change(entry string, i Iface, do func()) {
	before := w.holders(entry)
	do()
	after := w.holders(entry)
	x := w.holder(i)
	only := func(set map[string]bool) string {
		for c := range set {
			if c != x {
				return c
			}
		}
		return ""
	}
	tell := func(c, format string, args ...any) {
		if c != "I" { // IGMP has no callbacks for alerts
			w.say(c+"."+format, args...)
		}
	}
	switch b, a := len(before), len(after); {
	case !wildcard(entry) || b == a:
	case b == 0:
		w.alertAll(x, "J(%s) t", entry)
	case b == 1 && a == 2:
		tell(only(before), "J(%s) t", entry)
	case b == 2 && a == 1:
		tell(only(after), "P(%s) %s t", entry, ifText(i))
	case a == 0:
		w.alertAll(x, "P(%s) %s t", entry, ifText(i))
	}
	w.settle(i)
	w.lists(i)
}

// settle alerts the holders of the interfaces towards the sources of all (S,G).
func (w *model) settle(lost Iface) {
	entries := make(map[string]bool)
	for f := range w.has {
		if !wildcard(f.entry) {
			entries[f.entry] = true
		}
	}
	for e := range w.told {
		entries[e] = true
	}
	for _, e := range slices.Sorted(maps.Keys(entries)) {
		source, _, _ := cut(e)
		x := w.holder(w.routes[source])
		others := w.holders(e)
		delete(others, x)
		want := x
		if len(others) == 0 {
			want = ""
		}
		if was := w.told[e]; was != want {
			if was != "" && was != "I" {
				w.say("%s.P(%s) %s t", was, e, ifText(lost))
			}
			if want != "" && want != "I" {
				w.say("%s.J(%s) t", want, e)
			}
		}
		w.told[e] = want
	}
}

func cut(entry string) (source, group string, ok bool) {
	for k := range entry {
		if entry[k] == ',' {
			return entry[:k], entry[k+1:], true
		}
	}
	return "", "", false
}

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

func (w *model) add(c, entry string, i Iface) {
	by := byOwner
	if c == "I" {
		by = byMembership
	}
	f := fact{entry, i, by}
	if fresh := !w.has[f]; fresh && c == "I" && w.owner[i] != "" {
		w.say("%s.LOCAL_JOIN(%s) %s", w.owner[i], entry, ifText(i))
	}
	for flow, e := range w.flows {
		if e.marks[i] == vetoed && c == w.holder(i) &&
			w.l.entry(entry).matches(w.l.flow(flow)) {
			delete(e.marks, i)
		}
	}
	w.change(entry, i, func() { w.has[f] = true })
}

func (w *model) del(f fact) {
	if !w.has[f] {
		return
	}
	if c := w.owner[f.iface]; c != "" && f.by != byOwner {
		note := ""
		if f.by == excluded {
			note = " exclude"
		}
		w.say("%s.LOCAL_LEAVE(%s) %s%s", c, f.entry, ifText(f.iface), note)
	}
	w.change(f.entry, f.iface, func() { delete(w.has, f) })
}

func (w *model) exclude(entry string, i Iface) {
	f := fact{entry, i, excluded}
	if !w.has[f] && w.owner[i] != "" {
		w.say("%s.LOCAL_JOIN(%s) %s exclude", w.owner[i], entry, ifText(i))
	}
	w.change(entry, i, func() { w.has[f] = true })
}

func (w *model) mark(flow string, i Iface, what markKind) {
	if e := w.flows[flow]; e != nil {
		e.marks[i] = what
		w.lists(i)
	}
}

// drop removes what was said about i, and the MFEs that come in there.
func (w *model) drop(i Iface, kinds ...who) {
	for _, by := range kinds {
		for _, f := range w.factsOn(i, by) {
			w.del(f)
		}
	}
}

func (w *model) factsOn(i Iface, by who) []fact {
	var list []fact
	for f := range w.has {
		if f.iface == i && f.by == by {
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(a, b fact) int {
		return compareEntries(w.l.entry(a.entry), w.l.entry(b.entry))
	})
	return list
}

// unholdFlows deletes the flows that come in on i, or should.
func (w *model) unholdFlows(i Iface) {
	maps.DeleteFunc(w.flows, func(_ string, e *modelMFE) bool {
		return e.in == i || e.route == i
	})
}

// setOwner gives i to c, or to nobody.
func (w *model) setOwner(i Iface, c string) {
	if w.igmp[i] {
		w.say("I.DISABLE %s", ifText(i))
	}
	w.unholdFlows(i)
	w.drop(i, byMembership, excluded, byOwner)
	w.dropMarks(i)
	w.owner[i] = c
	w.settle(i)
	if w.igmp[i] {
		w.say("I.ENABLE %s", ifText(i))
	}
}

func (w *model) dropMarks(i Iface) {
	for _, e := range w.flows {
		delete(e.marks, i)
	}
	w.lists(i)
}

func (w *model) setIGMP(i Iface, on bool) {
	alone := w.owner[i] == ""
	if alone {
		w.unholdFlows(i)
	}
	if !on {
		w.drop(i, byMembership, excluded)
		if alone {
			w.dropMarks(i)
		}
	}
	w.igmp[i] = on
	if !on {
		delete(w.igmp, i)
	}
	w.settle(i)
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
