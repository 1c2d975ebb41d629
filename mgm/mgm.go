package mgm

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"time"
)

// Identity.

type ProtocolID uint32  // dwProtocolId
type ComponentID uint32 // dwComponentId

type ClientID struct {
	Protocol  ProtocolID
	Component ComponentID
}

// Iface is the extended interface ID. NextHop is the zero Addr on broadcast
// and point-to-point interfaces.
type Iface struct {
	Index   uint32
	NextHop netip.Addr
}

// Entry names a membership. A zero Addr is a wildcard, so the zero Entry is
// (*,*). (S,*) is invalid.
type Entry struct{ Source, Group netip.Addr }

// Flow names a forwarding entry. Both fields are always specific.
type Flow struct{ Source, Group netip.Addr }

type Role uint8

const (
	RoleRouting    Role = iota // PIM, DVMRP, proxy, static: owns interfaces exclusively
	RoleMembership             // IGMP or MLD: may share an interface with an owner
)

type StateFlags uint8

const (
	JoinState    StateFlags = 1 << iota // MGM_JOIN_STATE_FLAG, 1
	ForwardState                        // MGM_FORWARD_STATE_FLAG, 2
	ExcludeState                        // extension (7.10), 4: RoleMembership only, alone
)

const DefaultMFETimeout = 900 * time.Second

// Errors. The first four are the Win32 codes; the others wrap one of them.
var (
	ErrAlreadyExists    = errors.New("mgm: already exists")    // ERROR_ALREADY_EXISTS
	ErrCannotComplete   = errors.New("mgm: cannot complete")   // ERROR_CAN_NOT_COMPLETE
	ErrInvalidParameter = errors.New("mgm: invalid parameter") // ERROR_INVALID_PARAMETER
	ErrNotFound         = errors.New("mgm: not found")         // ERROR_NOT_FOUND

	ErrClientExists      = fmt.Errorf("%w: client already registered", ErrAlreadyExists)
	ErrInterfaceOwned    = fmt.Errorf("%w: interface already owned", ErrAlreadyExists)
	ErrInterfacesHeld    = fmt.Errorf("%w: client still holds interfaces", ErrCannotComplete)
	ErrSuspended         = fmt.Errorf("%w: interface ownership is changing", ErrCannotComplete)
	ErrClosed            = fmt.Errorf("%w: manager stopped", ErrCannotComplete)
	ErrDeregistered      = fmt.Errorf("%w: client deregistered", ErrInvalidParameter)
	ErrNotOwner          = fmt.Errorf("%w: interface owned by another client", ErrInvalidParameter)
	ErrInterfaceNotFound = fmt.Errorf("%w: interface", ErrNotFound)
	ErrMFENotFound       = fmt.Errorf("%w: forwarding entry", ErrNotFound)
)

// Callbacks is ROUTING_PROTOCOL_CONFIG. Any field may be nil.
type Callbacks struct {
	RPF               func(*RPFQuery)
	CreationAlert     func(*CreationAlert)
	PruneAlert        func(*PruneAlert)
	JoinAlert         func(JoinAlert)
	WrongIf           func(WrongIf)
	LocalJoin         func(LocalChange)
	LocalLeave        func(LocalChange)
	DisableMembership func(Iface) // RoleMembership only
	EnableMembership  func(Iface) // RoleMembership only
}

type RPFQuery struct {
	Flow     Flow
	Header   []byte     // IP header, options, start of payload; read-only
	Iface    Iface      // in/out
	Upstream netip.Addr // in/out, informational
	Route    Route      // in/out
}

type CreationAlert struct {
	Flow Flow
	In   Iface
	OIFs []OIF // only the callee's interfaces; set Enabled=false to veto
}

type OIF struct { // MGM_IF_ENTRY
	Iface      Iface
	Membership bool // bIGMP: IGMP or MLD runs here
	Enabled    bool // bIsEnabled
}

type JoinAlert struct {
	Entry        Entry
	MemberUpdate bool // true: membership changed; false: an MFE changed
}

type PruneAlert struct {
	Entry        Entry
	Iface        Iface
	MemberDelete bool
	Timeout      time.Duration // in/out, read back only if !MemberDelete
}

type WrongIf struct {
	Flow   Flow
	Iface  Iface
	Header []byte
}

type LocalChange struct {
	Entry   Entry
	Iface   Iface
	Exclude bool // an exclude record (7.10) came or went, not a membership
}

// Collaborators.

type Route struct {
	Prefix   netip.Prefix
	Protocol ProtocolID
	Iface    Iface
	NextHop  netip.Addr
}

// RIB is the multicast view of the routing table.
type RIB interface {
	Lookup(source netip.Addr) (Route, bool)
}

// Forwarder is the data plane. Its misses come back through
// Manager.HandleMiss and Manager.HandleWrongIf.
type Forwarder interface {
	Set(MFE) error // an empty OIFs is a negative entry
	Delete(Flow)
	Stats(Flow) (ForwarderStats, bool)
}

type ForwarderStats struct {
	InPackets, InOctets, DifferentIf, QueueOverflow uint64
	Uninit, Negative, InDiscards, InHdrErrors       uint64
	TotalOutPackets                                 uint64
	OIFs                                            []OIFStats
}

// Data.

type MFE struct {
	Flow
	Upstream   netip.Addr
	In         Iface
	InProtocol ClientID
	Route      Route
	Up         time.Duration
	Expiry     time.Duration
	Timeout    time.Duration
	OIFs       []Iface
}

type OIFStats struct {
	Iface                                          Iface
	TTLTooLow, FragNeeded, OutPackets, OutDiscards uint64
}

type MFEStats struct {
	MFE   MFE
	Stats ForwarderStats
}

type MembershipFilter uint8

const (
	AllSources MembershipFilter = iota // every (*,G) and (S,G) record
	AnySource                          // one record per joined group
)

// Manager and Client.

type Config struct {
	IPv6      bool
	RIB       RIB
	Forwarder Forwarder
	Timeout   time.Duration // 0 means DefaultMFETimeout
}

type Manager struct{ _ int }

func New(Config) (*Manager, error)          { panic("not built yet") }
func (*Manager) Close() error               { panic("not built yet") }
func (*Manager) Sync(context.Context) error { panic("not built yet") } // waits until all alerts are delivered

func (*Manager) Register(ClientID, Role, Callbacks) (*Client, error) { panic("not built yet") }
func (*Manager) Owner(Iface) (ClientID, error)                       { panic("not built yet") }
func (*Manager) MFE(Flow) (MFE, error)                               { panic("not built yet") }
func (*Manager) MFEs() iter.Seq[MFE]                                 { panic("not built yet") }
func (*Manager) MFEsAfter(Flow) iter.Seq[MFE]                        { panic("not built yet") }
func (*Manager) MFEStats(Flow) (MFEStats, error)                     { panic("not built yet") }
func (*Manager) AllMFEStats() iter.Seq[MFEStats]                     { panic("not built yet") }
func (*Manager) HandleMiss(f Flow, arrival Iface, header []byte)     { panic("not built yet") }
func (*Manager) HandleWrongIf(f Flow, arrival Iface, header []byte)  { panic("not built yet") }
func (*Manager) RouteChanged(netip.Prefix)                           { panic("not built yet") }

type Client struct{ _ int }

func (*Client) ID() ClientID                                    { panic("not built yet") }
func (*Client) Deregister() error                               { panic("not built yet") }
func (*Client) TakeInterface(Iface) error                       { panic("not built yet") }
func (*Client) ReleaseInterface(Iface) error                    { panic("not built yet") }
func (*Client) AddMembership(Entry, Iface, StateFlags) error    { panic("not built yet") }
func (*Client) DeleteMembership(Entry, Iface, StateFlags) error { panic("not built yet") }
func (*Client) SetUpstream(Flow, netip.Addr) error              { panic("not built yet") }
func (*Client) SetWrongIfAlerts(Iface, bool) error              { panic("not built yet") }
func (*Client) Memberships(MembershipFilter) iter.Seq[Entry]    { panic("not built yet") }
