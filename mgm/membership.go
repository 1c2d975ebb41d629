package mgm

import (
	"cmp"
	"net/netip"
	"slices"
)

// who says by whom an entry is on an interface.
type who uint8

const (
	byOwner      who = 1 << iota // the owner's membership
	byMembership                 // the membership of IGMP or MLD
	excluded                     // an exclude record of IGMP or MLD, which is no membership

	joined = byOwner | byMembership
)

// record is an entry that somebody has on an interface.
type record struct {
	entry   Entry
	members []*member
	holders []holding // in the order in which they came
	source  *source   // of an (S,G) that has holders
	slot    int32     // in source.records
	told    *Client   // of an (S,G): who was alerted, and not yet told that it is over
}

// holding says on how many interfaces a client has an entry.
type holding struct {
	client *Client
	links  int
}

// member is a record on one interface.
type member struct {
	record *record
	link   *link
	slot   int32 // in record.members
	by     who
}

func slotOfMember(mem *member) *int32 { return &mem.slot }
func slotOfRecord(r *record) *int32   { return &r.slot }

// held reports whether client x has the entry somewhere.
func (r *record) held(x *Client) bool {
	return slices.ContainsFunc(r.holders, func(h holding) bool { return h.client == x })
}

// matches reports whether the entry covers flow.
func (e Entry) matches(flow Flow) bool {
	return (!e.Group.IsValid() || e.Group == flow.Group) &&
		(!e.Source.IsValid() || e.Source == flow.Source)
}

func compareEntries(a, b Entry) int { return Flow(a).Compare(Flow(b)) }

// memberOf returns the place of e on l, made if there is none.
func (m *Manager) memberOf(e Entry, l *link) *member {
	r := m.records[e]
	if r == nil {
		r = &record{entry: e}
		m.records[e] = r
	}
	mem := l.members[r]
	if mem == nil {
		mem = &member{record: r, link: l}
		r.members = place(r.members, mem, &mem.slot)
		if l.members == nil {
			l.members = make(map[*record]*member)
		}
		l.members[r] = mem
	}
	return mem
}

// join adds the membership of e on l for c, which runs there. Of an (S,G), to is what the
// RIB says of the source.
func (m *Manager) join(c *Client, l *link, e Entry, bit who, to answer) {
	mem := m.memberOf(e, l)
	fresh := mem.by&bit == 0
	if fresh {
		counted := mem.by&joined != 0
		mem.by |= bit
		m.changes++
		if bit == byMembership && l.owner != nil {
			m.push(event{kind: localJoin, client: l.owner, record: mem.record, link: l})
		}
		if !counted {
			m.memberships++
			m.hold(mem.record, l, to)
		}
	}
	var lifted []*mfe
	if c == l.holder() {
		lifted = m.lift(e, l)
	}
	if fresh {
		m.refreshMatching(e, l)
		return
	}
	for _, f := range lifted {
		m.refresh(f, l)
	}
}

// exclude adds an exclude record for (S,G) on l.
func (m *Manager) exclude(l *link, e Entry) {
	mem := m.memberOf(e, l)
	if mem.by&excluded != 0 {
		return
	}
	mem.by |= excluded
	m.changes++
	if l.owner != nil {
		m.push(event{kind: excludeJoin, client: l.owner, record: mem.record, link: l})
	}
	m.refreshMatching(e, l)
}

// leave takes bit away from mem. The alerts go out before the MFEs change, so those that
// an MFE causes come last.
func (m *Manager) leave(mem *member, bit who) {
	l, r := mem.link, mem.record
	mem.by &^= bit
	m.changes++
	if l.owner != nil && bit == byMembership {
		m.push(event{kind: localLeave, client: l.owner, record: r, link: l})
	}
	if l.owner != nil && bit == excluded {
		m.push(event{kind: excludeLeave, client: l.owner, record: r, link: l})
	}
	if bit != excluded && mem.by&joined == 0 {
		m.memberships--
		m.unhold(r, l)
	}
	if mem.by == 0 {
		delete(l.members, r)
		r.members = displace(r.members, mem.slot, slotOfMember)
	}
	if len(r.members) == 0 {
		delete(m.records, r.entry)
	}
}

// dropMembers ends everything that was added on l under bit, entry by entry.
func (m *Manager) dropMembers(l *link, bit who) {
	var going []*member
	for _, mem := range l.members {
		if mem.by&bit != 0 {
			going = append(going, mem)
		}
	}
	slices.SortFunc(going, func(a, b *member) int {
		return compareEntries(a.record.entry, b.record.entry)
	})
	for _, mem := range going {
		m.leave(mem, bit)
		m.refreshAll(mem.record.entry, l)
	}
}

// hold counts one more interface with r, l, for its holder, and alerts those who have to
// fetch (RFC 2715, 3.1.1).
func (m *Manager) hold(r *record, l *link, to answer) {
	if r.source == nil && r.entry.Source.IsValid() {
		r.source = m.sourceOf(r.entry.Source)
		r.source.records = place(r.source.records, r, &r.slot)
	}
	if r.source != nil {
		m.setRoute(r.source, to)
	}
	x := l.holder()
	at := slices.IndexFunc(r.holders, func(h holding) bool { return h.client == x })
	if at >= 0 {
		r.holders[at].links++
		return
	}
	r.holders = append(r.holders, holding{client: x, links: 1})
	switch {
	case r.source != nil:
		m.settle(r, l)
	case len(r.holders) == 1: // everybody else fetches for the first
		m.push(event{kind: memberJoined, client: x, audience: m.roster, record: r})
	case len(r.holders) == 2: // the first begins to fetch for the second
		m.push(event{kind: memberJoined, client: r.holders[0].client, record: r})
	}
}

// unhold counts one interface with r less, l, and alerts those who have to stop.
func (m *Manager) unhold(r *record, l *link) {
	x := l.holder()
	at := slices.IndexFunc(r.holders, func(h holding) bool { return h.client == x })
	if r.holders[at].links--; r.holders[at].links > 0 {
		return
	}
	r.holders = slices.Delete(r.holders, at, at+1)
	switch {
	case r.source != nil:
		m.settle(r, l)
	case len(r.holders) == 1:
		m.push(event{kind: memberLeft, client: r.holders[0].client, record: r, link: l})
	case len(r.holders) == 0:
		m.push(event{kind: memberLeft, client: x, audience: m.roster, record: r, link: l})
	}
	if s := r.source; s != nil && len(r.holders) == 0 {
		s.records = displace(s.records, r.slot, slotOfRecord)
		r.source = nil
		m.forgetSource(s)
	}
}

// settle alerts the holder of the interface towards S of an (S,G), if that is what has
// changed: it is to fetch exactly while somebody else has the entry. It is not counted
// itself, or it would not hear of those who join after it and stay when it leaves. On l
// something was lost.
func (m *Manager) settle(r *record, l *link) {
	var want *Client
	if x := r.source.link.holder(); x != nil && len(r.holders) > 0 &&
		(len(r.holders) > 1 || !r.held(x)) {
		want = x
	}
	if want == r.told {
		return
	}
	if r.told != nil {
		m.push(event{kind: memberLeft, client: r.told, record: r, link: l})
	}
	if want != nil {
		m.push(event{kind: memberJoined, client: want, record: r})
	}
	r.told = want
}

// MembershipFilter says which memberships are listed (MGM: MGM_ENUM_TYPES).
type MembershipFilter uint8

const (
	// AllSources lists every entry, (S,G), (*,G) and (*,*), once each (ALL_SOURCES).
	AllSources MembershipFilter = iota
	// AnySource lists one (*,G) for each group that has an entry (ANY_SOURCE).
	AnySource
)

// list returns the entries that filter asks for, ascending by group, then source.
func (m *Manager) list(filter MembershipFilter) []Entry {
	m.mu.Lock()
	entries := make([]Entry, 0, len(m.records))
	for e, r := range m.records {
		if len(r.holders) > 0 {
			entries = append(entries, e)
		}
	}
	m.mu.Unlock()
	if filter == AnySource {
		for i := range entries {
			entries[i].Source = netip.Addr{}
		}
		entries = slices.DeleteFunc(entries, func(e Entry) bool { return e == Entry{} })
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(a.Group.Compare(b.Group), a.Source.Compare(b.Source))
	})
	return slices.Compact(entries)
}
