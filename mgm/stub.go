package mgm

import (
	"context"
	"iter"
	"net/netip"
	"time"
)

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
