package mgm

// link is an interface as the manager sees it. It exists while a client runs on it or a
// route leads to it.
type link struct {
	id     Iface
	owner  *Client  // the routing protocol, nil if there is none
	member *tenancy // IGMP or MLD, nil if it does not run here
	armed  bool     // the holder wants WrongIf alerts

	members  map[*record]*member
	marked   map[*mfe]struct{} // MFEs with a mark for this interface
	incoming []*mfe            // MFEs that come in here
	sources  []*source         // sources that the RIB expects here
	rib      *Route            // the latest route that led here, shared by its sources
	way      *way              // the latest way in, shared by flows
}

// tenancy is the stay of a membership client on an interface.
type tenancy struct {
	client *Client
	// suspended counts the changes of owner whose EnableMembership is still to come.
	suspended int
	ended     bool
}

// holder returns the client that counts for the interface: its owner, or else the
// membership client. It is nil for a link that nobody runs on, and for no link at all.
func (l *link) holder() *Client {
	switch {
	case l == nil:
		return nil
	case l.owner != nil:
		return l.owner
	case l.member != nil:
		return l.member.client
	}
	return nil
}

// by returns who has the entry of r on l.
func (l *link) by(r *record) who {
	if r == nil {
		return 0
	}
	if mem := l.members[r]; mem != nil {
		return mem.by
	}
	return 0
}

func compareLinks(a, b *link) int { return a.id.Compare(b.id) }

// linkOf returns the link of i, made if there is none.
func (m *Manager) linkOf(i Iface) *link {
	l := m.links[i]
	if l == nil {
		l = &link{id: i}
		m.links[i] = l
	}
	return l
}

// forget drops l if nothing refers to it.
func (m *Manager) forget(l *link) {
	if l != nil && l.holder() == nil && len(l.incoming) == 0 && len(l.sources) == 0 &&
		len(l.members) == 0 && len(l.marked) == 0 {
		delete(m.links, l.id)
	}
}

// Owner returns the client that holds an interface: the routing protocol that owns it, or
// IGMP or MLD where there is none (MgmGetProtocolOnInterface). The error is
// ErrInterfaceNotFound if nobody has taken it.
func (m *Manager) Owner(i Iface) (ClientID, error) {
	m.mu.Lock()
	holder := m.links[i].holder()
	m.mu.Unlock()
	if holder == nil {
		return ClientID{}, &refusal{operation: "owner", iface: &i, cause: ErrInterfaceNotFound}
	}
	return holder.id, nil
}

// take makes c the owner of i, or lets it run there if it is a membership client.
func (m *Manager) take(c *Client, i Iface) error {
	if err := m.usable(c); err != nil {
		return err
	}
	l := m.linkOf(i)
	switch {
	case c.role == RoleMembership && l.member != nil, c.role == RoleRouting && l.owner != nil:
		return ErrInterfaceOwned
	case c.role == RoleRouting:
		m.changeOwner(l, c)
	default:
		fresh := l.owner == nil
		if fresh {
			m.dropFlows(l)
		}
		l.member = &tenancy{client: c}
		if fresh {
			m.settleVia(l)
		}
	}
	m.links[i] = l // the flows dropped may have been all that it existed for
	c.links++
	m.changes++
	return nil
}

// release undoes take.
func (m *Manager) release(c *Client, i Iface) error {
	if err := m.usable(c); err != nil {
		return err
	}
	l := m.links[i]
	switch {
	case l != nil && l.owner == c:
		m.changeOwner(l, nil)
	case l != nil && l.member != nil && l.member.client == c:
		m.evict(l)
	case l.holder() == nil:
		return errInterfaceUnknown
	default:
		return ErrNotOwner
	}
	c.links--
	m.changes++
	m.forget(l)
	return nil
}

// changeOwner gives l to another owner, or to none. IGMP or MLD is disabled before and
// enabled after; its memberships go, as it is to add them again (MGM: "Starting Up" and
// "Shutting Down a Multicast Routing Protocol").
func (m *Manager) changeOwner(l *link, to *Client) {
	if l.member != nil {
		l.member.suspended++
		m.push(event{kind: disable, client: l.member.client, link: l})
	}
	m.vacate(l, byMembership, excluded, byOwner)
	l.owner = to
	m.settleVia(l)
	if l.member != nil {
		m.push(event{kind: enable, client: l.member.client, link: l, work: l.member})
	}
}

// evict ends the stay of the membership client on l.
func (m *Manager) evict(l *link) {
	if l.owner == nil {
		m.vacate(l, byMembership, excluded)
	} else {
		m.dropMembers(l, byMembership)
		m.dropMembers(l, excluded)
	}
	l.member.ended = true
	l.member = nil
	m.settleVia(l)
}

// vacate removes what l's holder, who is leaving, has said about it.
func (m *Manager) vacate(l *link, bits ...who) {
	m.dropFlows(l)
	for _, bit := range bits {
		m.dropMembers(l, bit)
	}
	m.dropMarks(l)
	l.armed = false
}

// dropFlows deletes the MFEs whose incoming interface, or whose interface towards the
// source, is getting another holder: the next packet asks the new one. Nobody is told, as
// entries may vanish at any time (RFC 2715, 1).
func (m *Manager) dropFlows(l *link) {
	for len(l.incoming) > 0 {
		m.remove(l.incoming[len(l.incoming)-1])
	}
	var flows []*mfe // remove changes l.sources
	for _, s := range l.sources {
		flows = append(flows, s.flows...)
	}
	for _, f := range flows {
		m.remove(f)
	}
}

// settleVia tells the old and the new holder of l which (S,G) others want from sources
// that are expected there.
func (m *Manager) settleVia(l *link) {
	for _, s := range l.sources {
		for _, r := range s.records {
			m.settle(r, l)
		}
	}
}
