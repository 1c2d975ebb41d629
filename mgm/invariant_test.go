package mgm

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// keptSeeds are histories that found a fault once.
var keptSeeds = []uint64{1, 2, 3, 4968893658470403513}

// TestHistories drives a manager and its model through random histories. After each step
// the callbacks, the MFEs and the invariants are compared.
func TestHistories(t *testing.T) {
	seeds := slices.Clone(keptSeeds)
	histories := 60
	if testing.Short() {
		histories = 10
	}
	for range histories {
		seeds = append(seeds, rand.Uint64())
	}
	for _, seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			h := newHistory(t, seed)
			for step := 0; step < 250 && !t.Failed(); step++ {
				h.step()
				h.check()
			}
			if t.Failed() {
				t.Fatalf("seed %d; the last steps:\n%s", seed, strings.Join(h.log, "\n"))
			}
			h.end()
			if t.Failed() {
				t.Fatalf("seed %d, at the end", seed)
			}
		})
	}
}

// history is a random history under way.
type history struct {
	t       *testing.T
	rand    *rand.Rand
	l       *lab
	w       *model
	clients map[string]*labClient
	log     []string
	heard   *listener
}

var (
	historyIfaces  = []Iface{if1, if2, if3, if4, if5, ifc(6)}
	historySources = []string{"S", "S2", "T"}
	historyEntries = []string{
		"*,*", "*,G", "*,H", "S,G", "S,H", "S2,G", "T,G", "T,H",
	}
)

func newHistory(t *testing.T, seed uint64) *history {
	l := emptyLab(t, Config{IPv6: seed%2 == 0})
	h := &history{
		t: t, rand: rand.New(rand.NewPCG(seed, 0)), l: l, w: newModel(l),
		clients: make(map[string]*labClient), heard: newListener(),
	}
	for i, name := range []string{"A", "B", "C"} {
		c := l.register(name, ProtocolID(i+1), RoleRouting)
		c.rpf = func(q *RPFQuery) { q.Iface = h.w.rpf(name, q.Iface) }
		c.creation = func(a *CreationAlert) {
			for k := range a.OIFs {
				a.OIFs[k].Enabled = !h.w.vetoes[a.OIFs[k].Iface]
			}
		}
		h.clients[name] = c
		h.w.clients = append(h.w.clients, name)
	}
	h.clients["I"] = l.register("I", 10, RoleMembership)
	return h
}

func pick[T any](h *history, list []T) T { return list[h.rand.IntN(len(list))] }

// step does one random thing to both. Its callbacks must agree: in order, but where one
// step moves several entries at once the order among them is open.
func (h *history) step() {
	h.w.trace = nil
	c := pick(h, []string{"A", "B", "C", "I", "I"})
	i, e := pick(h, historyIfaces), pick(h, historyEntries)
	what, ordered := h.act(h.rand.IntN(100), c, i, e)
	h.log = append(h.log, what)
	got, want := h.l.sync(), slices.Clone(h.w.trace)
	h.heard.hear(got)
	if !ordered {
		slices.Sort(got)
		slices.Sort(want)
	}
	if d := cmp.Diff(want, got); d != "" && len(want)+len(got) > 0 {
		h.t.Errorf("%s: callbacks (-want +got):\n%s", what, d)
	}
}

// act does the thing that die selects, for client c, interface i and entry e.
func (h *history) act(die int, c string, i Iface, e string) (what string, ordered bool) {
	flow := pick(h, historySources) + "," + pick(h, []string{"G", "H"})
	switch {
	case die < 30:
		return fmt.Sprintf("%s adds (%s) on %s", c, e, ifText(i)), h.add(c, e, i)
	case die < 52:
		return fmt.Sprintf("%s deletes (%s) on %s", c, e, ifText(i)), h.del(c, e, i)
	case die < 60:
		return fmt.Sprintf("exclude (%s) on %s", flow, ifText(i)), h.exclude(flow, i, true)
	case die < 66:
		return fmt.Sprintf("include (%s) on %s", flow, ifText(i)), h.exclude(flow, i, false)
	case die < 72:
		return fmt.Sprintf("%s marks (%s) on %s", c, flow, ifText(i)), h.mark(c, flow, i)
	case die < 80:
		return fmt.Sprintf("%s takes %s", c, ifText(i)), h.take(c, i)
	case die < 84:
		return fmt.Sprintf("%s releases %s", c, ifText(i)), h.release(c, i)
	case die < 86:
		h.w.redirect[c], h.w.vetoes[i] = !h.w.redirect[c], !h.w.vetoes[i]
		return fmt.Sprintf("%s redirects: %t, veto on %s: %t", c, h.w.redirect[c], ifText(i),
			h.w.vetoes[i]), true
	case die < 96:
		h.l.packet(flow, i)
		h.w.packet(flow)
		return fmt.Sprintf("packet (%s)", flow), true
	}
	source := pick(h, historySources)
	if h.rand.IntN(6) == 0 {
		i = Iface{}
	}
	h.l.route(source, i)
	h.w.route(source, i)
	return fmt.Sprintf("route to %s over %s", source, ifText(i)), false
}

// runsOn reports whether c may speak about i, and checks that it is refused otherwise.
func (h *history) runsOn(c string, i Iface, err error) bool {
	switch {
	case h.w.owner[i] == c, c == "I" && h.w.igmp[i]:
		h.l.wantErr(err, nil)
		return err == nil
	case h.w.holder(i) == "":
		h.l.wantErr(err, ErrInterfaceNotFound)
	default:
		h.l.wantErr(err, ErrNotOwner)
	}
	return false
}

func (h *history) add(c, e string, i Iface) bool {
	if h.runsOn(c, i, h.clients[c].AddMembership(h.l.entry(e), i, JoinState)) {
		h.w.add(c, e, i)
	}
	return true
}

func (h *history) del(c, e string, i Iface) bool {
	by := byOwner
	if c == "I" {
		by = byMembership
	}
	if h.runsOn(c, i, h.clients[c].DeleteMembership(h.l.entry(e), i, JoinState)) {
		h.w.del(fact{e, i, by})
	}
	return true
}

func (h *history) exclude(flow string, i Iface, add bool) bool {
	igmp := h.clients["I"]
	switch {
	case add && h.runsOn("I", i, igmp.AddMembership(h.l.entry(flow), i, ExcludeState)):
		h.w.exclude(flow, i)
	case !add && h.runsOn("I", i, igmp.DeleteMembership(h.l.entry(flow), i, ExcludeState)):
		h.w.del(fact{flow, i, excluded})
	}
	return true
}

func (h *history) mark(c, flow string, i Iface) bool {
	if h.w.holder(i) != c || h.w.flows[flow] == nil {
		return true
	}
	if h.rand.IntN(2) == 0 {
		h.l.ok(h.clients[c].AddMembership(h.l.entry(flow), i, ForwardState))
		h.w.mark(flow, i, forward)
	} else {
		h.l.ok(h.clients[c].DeleteMembership(h.l.entry(flow), i, ForwardState))
		h.w.mark(flow, i, vetoed)
	}
	return true
}

func (h *history) take(c string, i Iface) bool {
	err := h.clients[c].TakeInterface(i)
	switch {
	case c == "I" && h.w.igmp[i], c != "I" && h.w.owner[i] != "":
		h.l.wantErr(err, ErrInterfaceOwned)
	case c == "I":
		h.l.wantErr(err, nil)
		h.w.setIGMP(i, true)
	default:
		h.l.wantErr(err, nil)
		h.w.setOwner(i, c)
	}
	return false
}

func (h *history) release(c string, i Iface) bool {
	err := h.clients[c].ReleaseInterface(i)
	switch {
	case c == "I" && h.w.igmp[i]:
		h.l.wantErr(err, nil)
		h.w.setIGMP(i, false)
	case c != "I" && h.w.owner[i] == c:
		h.l.wantErr(err, nil)
		h.w.setOwner(i, "")
	default:
		h.l.wantErr(err, ErrInvalidParameter)
	}
	return false
}

// check tests the invariants of the tables and of what was heard.
func (h *history) check() {
	h.checkWanted()
	local := make(map[string]bool)
	for f := range h.w.has {
		if c := h.w.owner[f.iface]; c != "" && f.by != byOwner {
			note := ""
			if f.by == excluded {
				note = " exclude"
			}
			local[fmt.Sprintf("%s(%s) %s%s", c, f.entry, ifText(f.iface), note)] = true
		}
	}
	if d := cmp.Diff(local, h.heard.local); d != "" {
		h.t.Errorf("3: local memberships heard (-want +got):\n%s", d)
	}
	if h.heard.fault != "" || slices.Contains(slices.Collect(maps.Values(h.heard.disabled)), true) {
		h.t.Errorf("4: %s, disabled: %v", h.heard.fault, h.heard.disabled)
	}
	for _, i := range historyIfaces {
		id, err := h.l.m.Owner(i)
		name := h.w.holder(i)
		if (err == nil) != (name != "") || err == nil && id != h.clients[name].ID() {
			h.t.Errorf("7: Owner(%s) = %v, %v, want %q", ifText(i), id, err, name)
		}
	}
	h.checkMFEs()
}

// checkWanted tests invariants 1, 2 and 6: a client was last told to fetch an entry exactly
// if somebody else has it; of an (S,G), the holder of the interface towards S.
func (h *history) checkWanted() {
	for _, e := range historyEntries {
		for _, c := range h.w.clients {
			others := h.w.holders(e)
			delete(others, c)
			want := len(others) > 0
			if source, _, _ := cut(e); source != "*" {
				want = want && h.w.holder(h.w.routes[source]) == c
			}
			if got := h.heard.wanted[c+"("+e+")"]; got != want {
				h.t.Errorf("1, 2: %s was told to fetch (%s): %t, want %t", c, e, got, want)
			}
		}
	}
}

// checkMFEs tests invariants 5 and 7 to 9.
func (h *history) checkMFEs() {
	var last Flow
	seen := make(map[string]string)
	for e := range h.l.m.MFEs() {
		if last.Compare(e.Flow) >= 0 {
			h.t.Errorf("8: %v after %v", e.Flow, last)
		}
		last = e.Flow
		text := mfeText(e)
		seen[h.l.text(Entry(e.Flow))] = text
		if told := h.l.forwarder.text(e.Flow); told != text {
			h.t.Errorf("9: forwarder has %s, want %s", told, text)
		}
		if slices.Contains(e.OIFs, e.In) {
			h.t.Errorf("5: %s", text)
		}
		if id, _ := h.l.m.Owner(e.In); id != e.InProtocol {
			h.t.Errorf("7: incoming interface of %s is %v's, not %v's", text, id, e.InProtocol)
		}
	}
	want := make(map[string]string)
	for flow, e := range h.w.flows {
		want["("+flow+")"] = mfeText(MFE{In: e.in, OIFs: e.oifs})
	}
	if d := cmp.Diff(want, seen); d != "" {
		h.t.Errorf("5: MFEs (-want +got):\n%s", d)
	}
	if told := len(h.l.forwarder.entries); told != len(seen) {
		h.t.Errorf("9: forwarder has %d entries, want %d", told, len(seen))
	}
}

// end tests invariant 10, and that nothing is left in the tables.
func (h *history) end() {
	for f := range h.w.has {
		c, flags := h.clients["I"], JoinState
		switch f.by {
		case byOwner:
			c = h.clients[h.w.owner[f.iface]]
		case excluded:
			flags = ExcludeState
		}
		h.l.ok(c.DeleteMembership(h.l.entry(f.entry), f.iface, flags))
	}
	for flow, e := range h.w.flows { // forward state goes too
		for i, what := range e.marks {
			if what == forward {
				c := h.clients[h.w.holder(i)]
				h.l.ok(c.DeleteMembership(h.l.entry(flow), i, ForwardState))
			}
		}
	}
	h.l.sync()
	for e := range h.l.m.MFEs() {
		if len(e.OIFs) > 0 {
			h.t.Errorf("10: %s", mfeText(e))
		}
	}
	for _, c := range h.clients {
		for _, i := range historyIfaces {
			_ = c.ReleaseInterface(i)
		}
		h.l.ok(c.Deregister())
	}
	h.l.sync()
	m := h.l.m
	for e := range m.MFEs() {
		if e.InProtocol != (ClientID{}) {
			h.t.Errorf("10: %+v", e)
		}
		m.mu.Lock()
		m.remove(m.flows.find(&e.Flow).mfe)
		m.mu.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	left := len(m.links) + len(m.records) + len(m.sources) + m.flows.length + len(m.due) +
		len(m.order.chunks) + len(m.sourceOrder.chunks) + len(m.roster.clients) + m.memberships
	if left != 0 {
		h.t.Errorf("10: left: links %d, records %d, sources %d, flows %d, due %d, clients %d",
			len(m.links), len(m.records), len(m.sources), m.flows.length, len(m.due),
			len(m.roster.clients))
	}
}
