package membership_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"umroute/mgm"
	"umroute/stack/igmp"
	"umroute/stack/membership"
)

// noForwarder and noRoutes: the test is about memberships alone.
type noForwarder struct{}

func (noForwarder) Set(mgm.MFE) error                             { return nil }
func (noForwarder) Delete(mgm.Flow)                               {}
func (noForwarder) Stats(mgm.Flow) (f mgm.ForwarderStats, _ bool) { return f, false }

type noRoutes struct{}

func (noRoutes) Lookup(netip.Addr) (r mgm.Route, _ bool) { return r, false }

// TestManager connects a Router to a real Multicast Group Manager, as a router
// does, and lets a routing protocol take and release the interface.
func TestManager(t *testing.T) {
	manager, err := mgm.New(mgm.Config{RIB: noRoutes{}, Forwarder: noForwarder{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = manager.Close() })
	events := make(chan func(*membership.Router), 16)
	now := time.Now()
	client, err := manager.Register(mgm.ClientID{Protocol: 2}, mgm.RoleMembership, mgm.Callbacks{
		DisableMembership: func(i mgm.Iface) {
			events <- func(r *membership.Router) { r.Suspend(i.Index) }
		},
		EnableMembership: func(i mgm.Iface) {
			events <- func(r *membership.Router) { r.Resume(now, i.Index) }
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var local []string
	protocol, err := manager.Register(mgm.ClientID{Protocol: 3}, mgm.RoleRouting, mgm.Callbacks{
		LocalJoin:  func(c mgm.LocalChange) { local = append(local, describe("join", c)) },
		LocalLeave: func(c mgm.LocalChange) { local = append(local, describe("leave", c)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	iface := mgm.Iface{Index: 1}
	router := membership.New(membership.Config{Members: client})
	check(t, client.TakeInterface(iface))
	check(t, router.AddInterface(now, membership.InterfaceConfig{
		Index: 1, Address: netip.MustParseAddr("10.0.1.2"), FastLeave: true}))
	report := func(records ...igmp.Record) {
		t.Helper()
		packet, err := igmp.AppendPacket(nil, netip.MustParseAddr("10.0.1.9"),
			igmp.AllV3Routers, &igmp.Report{Records: records})
		check(t, err)
		router.Handle(now, 1, packet)
	}
	// settle delivers the alerts and what they ask the Router for.
	settle := func(want ...string) {
		t.Helper()
		check(t, manager.Sync(t.Context()))
		for len(events) > 0 {
			(<-events)(router)
			check(t, manager.Sync(t.Context()))
		}
		if diff := cmp.Diff(want, local); diff != "" {
			t.Errorf("alerts (-want +got)\n%s", diff)
		}
		local = nil
	}
	asm := netip.MustParseAddr("239.1.1.1")
	ssm := netip.MustParseAddr("232.1.1.1")
	source := []netip.Addr{netip.MustParseAddr("10.9.0.1")}

	report(igmp.Record{Type: igmp.ToExclude, Group: asm, Sources: source},
		igmp.Record{Type: igmp.Allow, Group: ssm, Sources: source})
	settle()
	check(t, protocol.TakeInterface(iface))
	settle("join 10.9.0.1,232.1.1.1", "join exclude 10.9.0.1,239.1.1.1", "join *,239.1.1.1")
	report(igmp.Record{Type: igmp.Block, Group: ssm, Sources: source},
		igmp.Record{Type: igmp.Allow, Group: asm, Sources: source})
	settle("leave 10.9.0.1,232.1.1.1", "leave exclude 10.9.0.1,239.1.1.1")
	check(t, protocol.ReleaseInterface(iface))
	settle("leave *,239.1.1.1")
	got := 0
	for e := range client.Memberships(mgm.AllSources) {
		if e != (mgm.Entry{Group: asm}) {
			t.Errorf("membership %+v", e)
		}
		got++
	}
	if got != 1 {
		t.Errorf("%d memberships after the release", got)
	}
	router.RemoveInterface(now, 1)
	check(t, client.ReleaseInterface(iface))
	check(t, client.Deregister())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func describe(verb string, c mgm.LocalChange) string {
	if c.Exclude {
		verb += " exclude"
	}
	source := "*"
	if c.Entry.Source.IsValid() {
		source = c.Entry.Source.String()
	}
	return verb + " " + source + "," + c.Entry.Group.String()
}
