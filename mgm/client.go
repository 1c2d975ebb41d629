package mgm

import (
	"fmt"
	"iter"
	"net/netip"
	"sync/atomic"
)

// Client is a registration: the handle that MGM's functions take. Its methods may be
// called from any goroutine.
type Client struct {
	manager *Manager
	id      ClientID
	role    Role
	calls   Callbacks
	links   int         // interfaces taken; under the manager's mutex
	dead    atomic.Bool // deregistered; set under the manager's mutex
}

// Register adds a client with its callbacks (MgmRegisterMProtocol). It is told of what
// happens from now on, so it lists the memberships that exist already by
// Client.Memberships. The errors are ErrClientExists, ErrInvalidParameter for an unknown
// role, and ErrClosed.
func (m *Manager) Register(id ClientID, role Role, calls Callbacks) (*Client, error) {
	c := &Client{manager: m, id: id, role: role, calls: calls}
	m.mu.Lock()
	err := m.register(c)
	m.mu.Unlock()
	if err != nil {
		return nil, m.refuse(&refusal{operation: "register", client: &id, cause: err})
	}
	return c, nil
}

func (m *Manager) register(c *Client) error {
	if m.closed.Load() {
		return ErrClosed
	}
	if c.role > RoleMembership {
		return fmt.Errorf("%w: unknown role %d", ErrInvalidParameter, c.role)
	}
	for _, other := range m.roster.clients {
		if other.id == c.id {
			return ErrClientExists
		}
	}
	n := len(m.roster.clients)
	m.roster = &roster{clients: append(m.roster.clients[:n:n], c)}
	return nil
}

// ID returns the name under which the client registered.
func (c *Client) ID() ClientID { return c.id }

// Deregister ends the registration (MgmDeRegisterMProtocol). A callback that is running
// may still finish; none starts after Deregister has returned. The errors are
// ErrInterfacesHeld while the client has not released its interfaces, ErrDeregistered and
// ErrClosed.
func (c *Client) Deregister() error {
	c.manager.mu.Lock()
	err := c.manager.deregister(c)
	c.manager.mu.Unlock()
	if err != nil {
		return c.refuse("deregister", err)
	}
	return nil
}

func (m *Manager) deregister(c *Client) error {
	if err := m.usable(c); err != nil {
		return err
	}
	if c.links > 0 {
		return ErrInterfacesHeld
	}
	c.dead.Store(true)
	rest := make([]*Client, 0, len(m.roster.clients))
	for _, other := range m.roster.clients {
		if other != c {
			rest = append(rest, other)
		}
	}
	m.roster = &roster{clients: rest}
	return nil
}

// usable reports why c can change nothing, if so.
func (m *Manager) usable(c *Client) error {
	switch {
	case m.closed.Load():
		return ErrClosed
	case c.dead.Load():
		return ErrDeregistered
	}
	return nil
}

// TakeInterface makes a routing protocol the owner of an interface, or says that IGMP or
// MLD runs there (MgmTakeInterfaceOwnership). If IGMP or MLD is on an interface that gets
// an owner, its memberships there are removed, and it hears DisableMembership and then
// EnableMembership, after which it adds them again. Forwarding entries that come in on an
// interface that gets another holder are deleted. The errors are ErrInterfaceOwned, the
// caller's own included, ErrInvalidParameter for a next hop of the other family,
// ErrDeregistered and ErrClosed.
func (c *Client) TakeInterface(i Iface) error {
	m := c.manager
	m.mu.Lock()
	err := m.checkIface(i)
	if err == nil {
		err = m.take(c, i)
	}
	l := m.links[i]
	mine := l != nil && (l.owner == c || l.member != nil && l.member.client == c)
	m.mu.Unlock()
	if err != nil {
		r := &refusal{operation: "take interface", client: &c.id, iface: &i, cause: err}
		return m.refuseTaking(r, mine)
	}
	return nil
}

// ReleaseInterface ends the ownership of an interface, or says that IGMP or MLD no longer
// runs there (MgmReleaseInterfaceOwnership). The client's memberships on it vanish as if
// deleted one by one, and the forwarding entries that come in there are deleted. IGMP or
// MLD on an interface that loses its owner hears DisableMembership and EnableMembership as
// in TakeInterface, and is then the holder. The errors are ErrNotOwner, for an interface
// that is unknown or another client's, ErrDeregistered and ErrClosed.
func (c *Client) ReleaseInterface(i Iface) error {
	m := c.manager
	m.mu.Lock()
	err := m.release(c, i)
	m.mu.Unlock()
	if err != nil {
		return c.refuseIface("release interface", i, err)
	}
	return nil
}

// SetUpstream changes the upstream neighbour of a flow's forwarding entry, for information
// (MgmSetMfe). Only the holder of its incoming interface may. The errors are
// ErrMFENotFound, ErrNotOwner, ErrInvalidParameter for an address of the other family,
// ErrDeregistered and ErrClosed.
func (c *Client) SetUpstream(f Flow, upstream netip.Addr) error {
	m := c.manager
	m.mu.Lock()
	err := m.setUpstream(c, f, upstream)
	m.mu.Unlock()
	if err != nil {
		e := Entry(f)
		return m.refuse(&refusal{
			operation: "set upstream", client: &c.id, entry: &e, cause: err,
		})
	}
	return nil
}

func (m *Manager) setUpstream(c *Client, f Flow, upstream netip.Addr) error {
	if err := m.usable(c); err != nil {
		return err
	}
	if !m.nextHop(upstream) {
		return fmt.Errorf("%w: upstream neighbour %s", ErrInvalidParameter, upstream)
	}
	entry := m.live(f, m.now())
	switch {
	case entry == nil:
		return ErrMFENotFound
	case entry.in.holder() != c:
		return ErrNotOwner
	case entry.upstream != upstream:
		entry.way = wayOf(entry.in, entry.route, upstream)
		m.markDirty(entry)
	}
	return nil
}

// SetWrongIfAlerts arms or disarms the WrongIf callback for an interface that the client
// holds (RFC 2715, rule 2; MGM has the callback, but no way to arm it). It is disarmed
// until then, and again when the interface gets another holder. The errors are
// ErrNotOwner, ErrInterfaceNotFound, ErrDeregistered and ErrClosed.
func (c *Client) SetWrongIfAlerts(i Iface, armed bool) error {
	m := c.manager
	m.mu.Lock()
	err := m.setWrongIfAlerts(c, i, armed)
	m.mu.Unlock()
	if err != nil {
		return c.refuseIface("set wrong-interface alerts", i, err)
	}
	return nil
}

func (m *Manager) setWrongIfAlerts(c *Client, i Iface, armed bool) error {
	if err := m.usable(c); err != nil {
		return err
	}
	l := m.links[i]
	switch l.holder() {
	case nil:
		return ErrInterfaceNotFound
	case c:
		l.armed = armed
		return nil
	}
	return ErrNotOwner
}

// Memberships lists the entries that exist on any interface, of any client
// (MgmGroupEnumerationStart, GetNext and End). It is a snapshot of the time of the call,
// each entry once. A protocol that starts late treats what it finds as if it had been
// alerted; it may meet the same entry in an alert too. For a client that has deregistered
// there is nothing.
func (c *Client) Memberships(filter MembershipFilter) iter.Seq[Entry] {
	var entries []Entry
	if !c.dead.Load() && filter <= AnySource {
		entries = c.manager.list(filter)
	}
	return func(yield func(Entry) bool) {
		for _, e := range entries {
			if c.dead.Load() || !yield(e) {
				return
			}
		}
	}
}
