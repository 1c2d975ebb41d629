package mgm

import (
	"runtime"
	"slices"
	"time"
)

// mfe is a forwarding entry. Its states follow from its fields:
//
//	pending   being created: the creation callbacks run, nobody else knows it
//	positive  installed, with outgoing interfaces
//	negative  installed, without
//	dead      installed, but its time is over: treated as if it were not there
//	gone      no longer installed
type mfe struct {
	*way
	flow          Flow
	born, timeout time.Duration // since the manager's start, and from birth
	brief         *brief        // while it is installed; show brings it up to date

	oifs    []*link  // ascending; setOIFs changes it
	few     [4]*link // where oifs starts out
	source  *source
	rib     *Route // what the RIB said, nil for no route
	marks   []mark
	due     time.Duration // when the delivery goroutine looks at it next
	sample  uint64        // the forwarder's packet count when last looked at
	sampled bool

	installed bool
	dirty     bool // the forwarder is to be told
	told      bool // the forwarder has it

	slotHeap, slotIn, slotSource int32
}

// mark is what an interface's holder has said about one MFE, apart from memberships. It
// ends with the MFE, or with the holder's stay on the interface.
type mark struct {
	link *link
	what markKind
}

type markKind uint8

const (
	forward markKind = iota + 1 // added with ForwardState
	vetoed                      // vetoed in a CreationAlert, or deleted with ForwardState
)

func slotIn(f *mfe) *int32     { return &f.slotIn }
func slotSource(f *mfe) *int32 { return &f.slotSource }

// expires is the end of the lifetime.
func (f *mfe) expires() time.Duration { return f.born + f.timeout }

// marked returns what is said about l, 0 for nothing.
func (f *mfe) marked(l *link) markKind {
	for _, k := range f.marks {
		if k.link == l {
			return k.what
		}
	}
	return 0
}

// others reports whether an outgoing interface belongs to somebody else than x.
func (f *mfe) others(x *Client) bool {
	return slices.ContainsFunc(f.oifs, func(l *link) bool { return l.holder() != x })
}

// live returns the entry of flow, nil if there is none or its time is over.
func (m *Manager) live(flow Flow, now time.Duration) *mfe {
	if b := m.flows.find(&flow); b != nil && now < b.expires() {
		return b.mfe
	}
	return nil
}

// setMark replaces what is said about l; 0 removes it.
func (m *Manager) setMark(f *mfe, l *link, what markKind) {
	m.changes++
	f.marks = slices.DeleteFunc(f.marks, func(k mark) bool { return k.link == l })
	delete(l.marked, f)
	if what == 0 {
		return
	}
	f.marks = append(f.marks, mark{link: l, what: what})
	if l.marked == nil {
		l.marked = make(map[*mfe]struct{})
	}
	l.marked[f] = struct{}{}
}

// markedOn returns the entries with a mark for l, ascending.
func markedOn(l *link) []*mfe {
	var list []*mfe
	for f := range l.marked {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b *mfe) int { return a.flow.Compare(b.flow) })
	return list
}

// lift ends the vetoes on l in the entries that e matches, as the holder has added it
// again. It returns these entries.
func (m *Manager) lift(e Entry, l *link) []*mfe {
	var lifted []*mfe
	for _, f := range markedOn(l) {
		if e.matches(f.flow) && f.marked(l) == vetoed {
			m.setMark(f, l, 0)
			lifted = append(lifted, f)
		}
	}
	return lifted
}

// dropMarks removes what l's holder has said about single entries.
func (m *Manager) dropMarks(l *link) {
	for _, f := range markedOn(l) {
		m.setMark(f, l, 0)
		m.refresh(f, l)
	}
}

// matching are the records that cover a flow, each perhaps nil.
type matching struct{ sg, group, all *record }

func (m *Manager) matching(flow Flow) matching {
	return matching{
		sg:    m.records[Entry(flow)],
		group: m.records[Entry{Group: flow.Group}],
		all:   m.records[Entry{}],
	}
}

// wanted reports whether l is an outgoing interface of f: a membership on it matches, or
// it was added with ForwardState; it is not vetoed, not the incoming interface and not
// behind a boundary (RFC 2715, rule 2). Where nobody holds the incoming interface nothing
// is forwarded. An exclude record hides the wildcards of IGMP or MLD, and forward state,
// but neither the (S,G) itself nor a wildcard of the owner.
func (m *Manager) wanted(f *mfe, l *link, by matching) bool {
	if l == f.in || f.in.holder() == nil || l.holder() == nil || f.marked(l) == vetoed {
		return false
	}
	if m.boundary != nil && m.boundary(l.id, f.flow.Group) {
		return false
	}
	exact := l.by(by.sg)
	wild := l.by(by.group) | l.by(by.all)
	if exact&excluded != 0 {
		return exact&joined != 0 || wild&byOwner != 0
	}
	return (exact|wild)&joined != 0 || f.marked(l) == forward
}

// outgoing returns the outgoing interfaces that f ought to have, ascending.
func (m *Manager) outgoing(f *mfe) []*link {
	by := m.matching(f.flow)
	list := f.few[:0]
	for _, r := range []*record{by.sg, by.group, by.all} {
		if r == nil {
			continue
		}
		for _, mem := range r.members {
			list = append(list, mem.link)
		}
	}
	for _, k := range f.marks {
		list = append(list, k.link)
	}
	slices.SortFunc(list, compareLinks)
	list = slices.Compact(list)
	return slices.DeleteFunc(list, func(l *link) bool { return !m.wanted(f, l, by) })
}

// refresh puts l into the outgoing list of f or takes it out, as it ought to be, and
// alerts the holder of the incoming interface if another's interface is the first to come
// or the last to go (RFC 2715, rules 4 and 5).
func (m *Manager) refresh(f *mfe, l *link) {
	if !f.installed {
		return
	}
	at, in := slices.BinarySearchFunc(f.oifs, l, compareLinks)
	if m.wanted(f, l, m.matching(f.flow)) == in {
		return
	}
	before := len(f.oifs)
	if in {
		f.setOIFs(slices.Delete(f.oifs, at, at+1))
	} else {
		f.setOIFs(slices.Insert(f.oifs, at, l))
	}
	m.markDirty(f)
	x := f.in.holder()
	switch {
	case x == l.holder():
	case before == 0:
		m.push(event{kind: mfeWanted, client: x, mfe: f})
	case len(f.oifs) == 0:
		m.push(event{kind: mfeUnwanted, client: x, mfe: f, link: f.in})
	}
}

// pageSize is how many entries are looked at while the mutex is held once.
const pageSize = 256

// refreshPage does refresh(f, l) for up to pageSize entries that e matches, those after
// the flow given. It returns the last, and whether there may be more.
func (m *Manager) refreshPage(e Entry, l *link, after Flow) (Flow, bool) {
	now, seen := m.now(), 0
	if e.Source.IsValid() {
		if f := m.live(Flow(e), now); f != nil {
			m.refresh(f, l)
		}
		return after, false
	}
	m.order.after(after, func(f *mfe) bool {
		if seen == pageSize || !e.matches(f.flow) {
			return false
		}
		seen++
		after = f.flow
		if now < f.expires() { // nobody is alerted about a dead entry
			m.refresh(f, l)
		}
		return true
	})
	return after, seen == pageSize
}

// refreshAll does refresh(f, l) for all entries that e matches.
func (m *Manager) refreshAll(e Entry, l *link) {
	after, more := m.refreshPage(e, l, Flow{Group: e.Group})
	for more {
		after, more = m.refreshPage(e, l, after)
	}
}

// refreshMatching is refreshAll for the end of a call: between pages it lets go of the
// mutex. Each refresh looks at what is true then, so changes in between do no harm.
func (m *Manager) refreshMatching(e Entry, l *link) {
	after, more := m.refreshPage(e, l, Flow{Group: e.Group})
	for more {
		m.mu.Unlock()
		runtime.Gosched() // as in MFEsAfter
		m.mu.Lock()
		after, more = m.refreshPage(e, l, after)
	}
}

// install adds f, whose fields are set, to the tables.
func (m *Manager) install(f *mfe) {
	f.installed = true
	f.brief = m.flows.insert(f)
	m.order.insert(f)
	f.source.flows = place(f.source.flows, f, &f.slotSource)
	if f.in != nil {
		f.in.incoming = place(f.in.incoming, f, &f.slotIn)
	}
	m.watch(f)
	m.markDirty(f)
}

// remove takes f out of the tables. The forwarder is told, if it has f.
func (m *Manager) remove(f *mfe) {
	if !f.installed {
		return
	}
	f.installed = false
	m.flows.delete(f)
	f.brief = nil
	m.order.delete(f.flow)
	m.unwatch(f)
	m.dropMarksOf(f)
	f.source.flows = displace(f.source.flows, f.slotSource, slotSource)
	if f.in != nil {
		f.in.incoming = displace(f.in.incoming, f.slotIn, slotIn)
		m.forget(f.in)
	}
	m.forgetSource(f.source)
	m.markDirty(f)
}

// dropMarksOf removes the marks of f from the links.
func (m *Manager) dropMarksOf(f *mfe) {
	for _, k := range f.marks {
		delete(k.link.marked, f)
		m.forget(k.link)
	}
	f.marks = nil
}

// markDirty notes that f has changed, and that the forwarder is to be told.
func (m *Manager) markDirty(f *mfe) {
	f.show()
	if !f.dirty && (f.installed || f.told) {
		f.dirty = true
		m.dirty = append(m.dirty, f)
		m.wake()
	}
}

// describe fills in what the outside sees of an entry, but for the flow.
func (b *brief) describe(e *MFE, now time.Duration) {
	way := b.way
	e.Upstream, e.Timeout = way.upstream, b.timeout
	e.Up = min(max(now-b.born, 0), b.timeout)
	e.Expiry = b.timeout - e.Up
	if way.in != nil {
		e.In = way.in.id
	}
	if x := way.in.holder(); x != nil {
		e.InProtocol = x.id
	}
	if way.route != nil {
		e.Route = *way.route
	}
	if b.view == nil && len(b.mfe.oifs) > 0 {
		b.view = make([]Iface, len(b.mfe.oifs))
		for i, l := range b.mfe.oifs {
			b.view[i] = l.id
		}
	}
	e.OIFs = b.view
}

// setOIFs replaces the outgoing list. What callers have of the old one stays as it was.
func (f *mfe) setOIFs(oifs []*link) {
	f.oifs = oifs
	if f.brief != nil {
		f.brief.view = nil
	}
}
