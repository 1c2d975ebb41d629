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
