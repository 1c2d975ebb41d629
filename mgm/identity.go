package mgm

import (
	"cmp"
	"net/netip"
)

// ProtocolID says which protocol a client speaks (MGM: dwProtocolId). The numbers are the
// callers' business; IANA's list of multicast routing protocols is a good choice.
type ProtocolID uint32

// ComponentID tells several instances of one protocol apart (MGM: dwComponentId).
type ComponentID uint32

// ClientID names a client. No two registered clients of a manager share one
// (MgmRegisterMProtocol).
type ClientID struct {
	Protocol  ProtocolID
	Component ComponentID
}

// Iface is the extended interface ID (MGM: dwIfIndex with dwIfNextHopAddr). NextHop names
// one link of a point-to-multipoint interface; it is the zero Addr on broadcast and
// point-to-point interfaces. Each pair is an interface of its own to the manager.
type Iface struct {
	Index   uint32
	NextHop netip.Addr
}

// Compare orders interfaces by index, then by next hop.
func (i Iface) Compare(o Iface) int {
	if c := cmp.Compare(i.Index, o.Index); c != 0 {
		return c
	}
	return i.NextHop.Compare(o.NextHop)
}

// Entry names a membership (MGM: SOURCE_GROUP_ENTRY). A zero Addr is a wildcard, so
// Entry{Group: g} is (*,G) and the zero Entry is (*,*). (S,*) is invalid.
type Entry struct{ Source, Group netip.Addr }

// Flow names a forwarding entry, (S,G). Both fields are always specific.
type Flow struct{ Source, Group netip.Addr }

// Compare orders flows by group, then by source: the order of MgmGetFirstMfe.
func (f Flow) Compare(o Flow) int {
	if c := f.Group.Compare(o.Group); c != 0 {
		return c
	}
	return f.Source.Compare(o.Source)
}

// Role says how a client uses interfaces.
type Role uint8

const (
	// RoleRouting is a multicast routing protocol: PIM, DVMRP, an IGMP proxy, static routes.
	// It owns its interfaces alone among its kind.
	RoleRouting Role = iota
	// RoleMembership is the router side of IGMP or MLD. It may share an interface with an
	// owner, and is the holder where there is none.
	RoleMembership
)

// StateFlags say what AddMembership and DeleteMembership change. JoinState and ForwardState
// may be combined.
type StateFlags uint8

const (
	// JoinState changes the membership and every MFE it matches (MGM_JOIN_STATE_FLAG, 1).
	JoinState StateFlags = 1 << iota
	// ForwardState changes the outgoing list of the one MFE of the (S,G) given
	// (MGM_FORWARD_STATE_FLAG, 2).
	ForwardState
	// ExcludeState, alone, changes an exclude record of IGMPv3 or MLDv2: listeners there want
	// G from any source but S. It is for a RoleMembership client, and an extension: MGM
	// predates source filters.
	ExcludeState
)

// family tells which addresses a manager serves.
type family struct{ v6 bool }

// owns reports whether a is a plain address of the family. IPv4-mapped IPv6 addresses
// belong to neither family, and a zone has no meaning beyond one link.
func (f family) owns(a netip.Addr) bool {
	if f.v6 {
		return a.Is6() && !a.Is4In6() && a.Zone() == ""
	}
	return a.Is4()
}

// source reports whether packets from a can be forwarded: unicast, neither unspecified nor
// link-local (RFC 1812, 5.3.7; RFC 4291, 2.5.6).
func (f family) source(a netip.Addr) bool {
	return f.owns(a) && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLinkLocalUnicast() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// group reports whether a is a multicast group.
func (f family) group(a netip.Addr) bool { return f.owns(a) && a.IsMulticast() }

// forwarded reports whether f may have a forwarding entry: its source can be forwarded and
// its group is not local (RFC 2715, rule 3). Local are 224.0.0.0/24 and, of IPv6, the
// scopes 1 and 2 and the reserved scope 0 (RFC 4291, 2.7).
func (f family) forwarded(flow Flow) bool {
	if !f.source(flow.Source) || !f.group(flow.Group) {
		return false
	}
	if f.v6 {
		scope := flow.Group.As16()[1] & 0x0f
		return scope > 2
	}
	return !flow.Group.IsLinkLocalMulticast()
}

// nextHop reports whether a can name a link or a neighbour: none, or any unicast address
// of the family. Neighbours of IPv6 are link-local, and may carry a zone.
func (f family) nextHop(a netip.Addr) bool {
	return a == netip.Addr{} || f.owns(a.WithZone("")) && !a.IsMulticast()
}
