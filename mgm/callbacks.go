package mgm

import (
	"net/netip"
	"time"
)

// Callbacks is how the manager reaches a client (MGM: ROUTING_PROTOCOL_CONFIG). Any field
// may be nil: the client is then not asked, its silence means consent, and it counts all
// the same. Callbacks run one at a time, on the manager's goroutine, with no lock held;
// they may call any method but Sync, and must not block.
type Callbacks struct {
	// RPF asks the holder of the interface towards a source where a flow is to come in
	// (PMGM_RPF_CALLBACK).
	RPF func(*RPFQuery)
	// CreationAlert asks a client which of its interfaces are to carry a new flow
	// (PMGM_CREATION_ALERT_CALLBACK; RFC 2715, rule 3).
	CreationAlert func(*CreationAlert)
	// PruneAlert says that others need an entry no longer (PMGM_PRUNE_ALERT_CALLBACK; RFC
	// 2715, rule 4 and 3.1.1).
	PruneAlert func(*PruneAlert)
	// JoinAlert says that others need an entry (PMGM_JOIN_ALERT_CALLBACK; RFC 2715, rule 5
	// and 3.1.1).
	JoinAlert func(JoinAlert)
	// WrongIf reports a packet that came in on an interface of the client, but not on its
	// flow's incoming interface (PMGM_WRONG_IF_CALLBACK; RFC 2715, rule 2). See
	// Client.SetWrongIfAlerts.
	WrongIf func(WrongIf)
	// LocalJoin tells an owner that IGMP or MLD found receivers on its interface
	// (PMGM_LOCAL_JOIN_CALLBACK). It precedes the alerts to others.
	LocalJoin func(LocalChange)
	// LocalLeave tells an owner that IGMP or MLD has no more receivers there
	// (PMGM_LOCAL_LEAVE_CALLBACK). It precedes the alerts to others.
	LocalLeave func(LocalChange)
	// DisableMembership tells IGMP or MLD that an interface it runs on is changing its
	// owner, and that its memberships there are gone (PMGM_DISABLE_IGMP_CALLBACK).
	DisableMembership func(Iface)
	// EnableMembership tells IGMP or MLD to add all its memberships on the interface again
	// (PMGM_ENABLE_IGMP_CALLBACK). It may do so inside the callback.
	EnableMembership func(Iface)
}

// RPFQuery asks for the incoming interface of a flow. On input it holds what the RIB says.
type RPFQuery struct {
	// Flow is the new flow, or one whose route has changed.
	Flow Flow
	// Header is the start of the flow's first packet as the forwarder gave it: IP header,
	// options, some payload, at most 2,048 octets. It is nil if there was none, and read-only.
	Header []byte
	// Iface is the incoming interface. The callee may name any other that it holds (RFC
	// 2715, rule 1); if it names another client's, the whole answer is ignored.
	Iface Iface
	// Upstream is the neighbour that the flow comes from, for information. It may be changed.
	Upstream netip.Addr
	// Route is the route to the source. It may be changed.
	Route Route
}

// CreationAlert announces a flow, before its first packet is forwarded.
type CreationAlert struct {
	Flow Flow
	// In is the incoming interface, final.
	In Iface
	// OIFs are the callee's outgoing interfaces, in ascending order. Setting Enabled to false
	// keeps one out; leaving the list alone accepts it.
	OIFs []OIF
}

// OIF is one outgoing interface of a CreationAlert (MGM: MGM_IF_ENTRY).
type OIF struct {
	Iface Iface
	// Membership: IGMP or MLD runs here (bIGMP).
	Membership bool
	// Enabled is true on input. False on output is a veto, which lasts as long as the MFE or
	// until the callee adds a membership for the flow there (bIsEnabled).
	Enabled bool
}

// JoinAlert tells a client to fetch what the entry names, since others need it.
type JoinAlert struct {
	Entry Entry
	// MemberUpdate is true if a membership was added, and false if an MFE that comes in on
	// an interface of the callee's has got outgoing interfaces (bMemberUpdate).
	MemberUpdate bool
}

// PruneAlert tells a client that nobody else needs what the entry names. Before it prunes
// upstream it looks at the MFE's outgoing list: a prune for (S,G) may come while (*,G) is
// still needed.
type PruneAlert struct {
	Entry Entry
	// Iface is the interface that lost the membership, or the MFE's incoming interface.
	Iface Iface
	// MemberDelete is true if a membership was deleted, and false if an MFE that comes in on
	// an interface of the callee's has no outgoing interfaces (bMemberDelete).
	MemberDelete bool
	// Timeout is, if MemberDelete is false, the lifetime of the MFE in total, counted from
	// its creation; the callee may set another, and the MFE ends at once if that has passed.
	// Zero or less changes nothing. If MemberDelete is true nothing is read back.
	Timeout time.Duration
}

// WrongIf reports a packet of an existing flow on the wrong interface.
type WrongIf struct {
	Flow Flow
	// Iface is where the packet came in.
	Iface Iface
	// Header is the start of the packet, as in RPFQuery.
	Header []byte
}

// LocalChange is what IGMP or MLD said about an interface of the callee's.
type LocalChange struct {
	Entry Entry
	Iface Iface
	// Exclude: an exclude record came or went, not a membership (ExcludeState).
	Exclude bool
}
