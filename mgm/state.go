package mgm

import (
	"fmt"
	"net/netip"
)

// AddMembership says that receivers for an entry exist on an interface, so that its data
// goes out there (MgmAddGroupMembershipEntry). The interface must be the caller's, or one
// that IGMP or MLD, the caller, runs on.
//
// With JoinState it adds the membership and updates every MFE that it matches; a veto that
// the interface's holder has put on such an MFE is lifted. Others are alerted as the
// package comment says, and the owner of the interface hears LocalJoin if the caller is
// IGMP or MLD. With ForwardState it adds the interface to the outgoing list of the MFE of
// that (S,G) alone; no membership arises, and nothing is remembered beyond the MFE. With
// both, the membership comes first, and stays if there is no MFE. ExcludeState records
// that IGMPv3 or MLDv2 listeners want all sources of the group but S: the interface is
// then no outgoing interface of (S,G), unless the (S,G) itself, or the owner by a
// wildcard, is there. Adding what is there already succeeds and alerts nobody.
//
// The errors are ErrInvalidParameter for an entry or flags that cannot be, ErrNotOwner,
// ErrInterfaceNotFound, ErrSuspended, ErrMFENotFound (ForwardState), ErrDeregistered and
// ErrClosed. For an (S,G) with JoinState the RIB is asked, on the caller's goroutine.
func (c *Client) AddMembership(e Entry, i Iface, flags StateFlags) error {
	err := c.manager.checkState(c, e, flags)
	if err == nil {
		err = c.manager.add(c, e, i, flags)
	}
	if err != nil {
		return c.refuseEntry("add membership", e, i, err)
	}
	return nil
}

// DeleteMembership says that no receivers for an entry remain on an interface
// (MgmDeleteGroupMembershipEntry). The interface stays in an outgoing list while another
// membership there still matches.
//
// With JoinState it removes the membership and updates every MFE that it matched; others
// are alerted, and the owner of the interface hears LocalLeave if the caller is IGMP or
// MLD. With ForwardState it removes the interface from the outgoing list of that (S,G)'s
// MFE alone; the membership stays, and the flow's next MFE lists the interface again.
// ExcludeState removes an exclude record. Deleting a membership that is not there succeeds
// and alerts nobody. The errors are those of AddMembership.
func (c *Client) DeleteMembership(e Entry, i Iface, flags StateFlags) error {
	err := c.manager.checkState(c, e, flags)
	if err == nil {
		err = c.manager.del(c, e, i, flags)
	}
	if err != nil {
		return c.refuseEntry("delete membership", e, i, err)
	}
	return nil
}

// checkState reports what is wrong with the arguments of AddMembership.
func (m *Manager) checkState(c *Client, e Entry, flags StateFlags) error {
	if err := m.usable(c); err != nil {
		return err
	}
	specific := m.source(e.Source) && m.group(e.Group)
	switch {
	case flags == 0 || flags&^(JoinState|ForwardState|ExcludeState) != 0:
		return fmt.Errorf("%w: state flags %#x", ErrInvalidParameter, uint8(flags))
	case e.Group.IsValid() && !m.group(e.Group):
		return fmt.Errorf("%w: group", ErrInvalidParameter)
	case e.Source.IsValid() && !m.source(e.Source):
		return fmt.Errorf("%w: source", ErrInvalidParameter)
	case e.Source.IsValid() && !e.Group.IsValid():
		return fmt.Errorf("%w: source without group", ErrInvalidParameter)
	case flags&ForwardState != 0 && !specific:
		return fmt.Errorf("%w: forward state of a wildcard", ErrInvalidParameter)
	case flags&ExcludeState != 0 && (flags != ExcludeState || !specific ||
		c.role != RoleMembership):
		return fmt.Errorf("%w: exclude state", ErrInvalidParameter)
	}
	return nil
}

// stateLink returns the link of i and what c may change on it under flags.
func (m *Manager) stateLink(c *Client, i Iface, flags StateFlags) (*link, who, error) {
	if err := m.usable(c); err != nil {
		return nil, 0, err
	}
	l := m.links[i]
	switch {
	case l.holder() == nil:
		return nil, 0, ErrInterfaceNotFound
	case l.owner == c:
		return l, byOwner, nil
	case l.member == nil || l.member.client != c:
		return nil, 0, ErrNotOwner
	case l.member.suspended > 0:
		return nil, 0, ErrSuspended
	case flags&ForwardState != 0 && l.owner != nil:
		// What the forwarding cache says about an interface is the owner's affair (RFC 2715,
		// 1). IGMP and MLD speak of receivers only.
		return nil, 0, ErrNotOwner
	}
	return l, byMembership, nil
}

func (m *Manager) add(c *Client, e Entry, i Iface, flags StateFlags) error {
	var to answer
	if flags&JoinState != 0 && e.Source.IsValid() {
		to = m.lockWithRoute(e.Source)
	} else {
		m.mu.Lock()
	}
	defer m.mu.Unlock()
	l, bit, err := m.stateLink(c, i, flags)
	if err != nil {
		return err
	}
	if flags&ExcludeState != 0 {
		m.exclude(l, e)
	}
	if flags&JoinState != 0 {
		m.join(c, l, e, bit, to)
	}
	if flags&ForwardState == 0 {
		return nil
	}
	f := m.live(Flow(e), m.now())
	if f == nil {
		return ErrMFENotFound
	}
	m.setMark(f, l, forward)
	m.refresh(f, l)
	return nil
}

func (m *Manager) del(c *Client, e Entry, i Iface, flags StateFlags) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, bit, err := m.stateLink(c, i, flags)
	if err != nil {
		return err
	}
	if flags&ExcludeState != 0 {
		bit = excluded
	}
	if r := m.records[e]; flags != ForwardState && l.by(r)&bit != 0 {
		m.leave(l.members[r], bit)
		m.refreshMatching(e, l)
	}
	if flags&ForwardState == 0 {
		return nil
	}
	f := m.live(Flow(e), m.now())
	if f == nil {
		return ErrMFENotFound
	}
	m.setMark(f, l, vetoed)
	m.refresh(f, l)
	return nil
}

// lockWithRoute locks the manager and returns the route to source. The RIB is asked
// before, with no lock held; a change of routes in between makes it ask again, so that an
// old answer never replaces a newer one.
func (m *Manager) lockWithRoute(source netip.Addr) answer {
	for {
		changes := m.routeChanges.Load()
		to := m.lookUp(source)
		m.mu.Lock()
		if m.routeChanges.Load() == changes {
			return to
		}
		m.mu.Unlock()
	}
}
