package mgm

import (
	"cmp"
	"iter"
	"slices"
)

// Member is one row of the membership table: an entry, where it is, and the client that
// added it there. The MGM API of Windows has no such view; it is for administrative programs.
type Member struct {
	Entry  Entry
	Iface  Iface
	Client ClientID
}

// Memberships lists the membership table, ascending by group, source and interface. An entry
// that both an owner and IGMP or MLD have on an interface gives two rows. Exclude records are
// left out, as they are no memberships. It is a snapshot of the time of the call.
func (m *Manager) Memberships() iter.Seq[Member] {
	m.mu.Lock()
	rows := make([]Member, 0, m.memberships)
	for e, r := range m.records {
		for _, mem := range r.members {
			if mem.by&byOwner != 0 {
				rows = append(rows, Member{e, mem.link.id, mem.link.owner.id})
			}
			if mem.by&byMembership != 0 {
				rows = append(rows, Member{e, mem.link.id, mem.link.member.client.id})
			}
		}
	}
	m.mu.Unlock()
	slices.SortFunc(rows, func(a, b Member) int {
		return cmp.Or(compareEntries(a.Entry, b.Entry), a.Iface.Compare(b.Iface),
			cmp.Compare(a.Client.Protocol, b.Client.Protocol))
	})
	return slices.Values(rows)
}
