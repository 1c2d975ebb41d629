package routing

import (
	"net/netip"
	"testing"

	"umroute/mgm"
)

// TestWithManager runs a forwarder and a RIB under a real manager: the first
// packet of a flow waits for the manager's answer and leaves, a join and a
// leave later change the entry, and a route change moves its input.
func TestWithManager(t *testing.T) {
	r := threeLinks(t, Config{})
	var m *mgm.Manager
	rib := NewRIB(func(p netip.Prefix) { m.RouteChanged(p) })
	m, err := mgm.New(mgm.Config{RIB: rib, Forwarder: r.Plane(false)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r.Bind(false, m)
	sync := func() {
		t.Helper()
		if err := m.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := rib.SetConnected(1, prefixes("10.0.1.1/24")); err != nil {
		t.Fatal(err)
	}
	c, err := m.Register(mgm.ClientID{Protocol: 1, Component: 1}, mgm.RoleRouting, mgm.Callbacks{})
	if err != nil {
		t.Fatal(err)
	}
	for index := range uint32(3) {
		if err := c.TakeInterface(mgm.Iface{Index: index + 1}); err != nil {
			t.Fatal(err)
		}
	}
	anySource := mgm.Entry{Group: flow4.Group}
	if err := c.AddMembership(anySource, mgm.Iface{Index: 2}, mgm.JoinState); err != nil {
		t.Fatal(err)
	}
	r.deliver(1, data(9, "a"), data(9, "b"))
	sync()
	r.wantSent(2, "ab")

	t.Log("# a join and a leave")
	if err := c.AddMembership(anySource, mgm.Iface{Index: 3}, mgm.JoinState); err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteMembership(anySource, mgm.Iface{Index: 2}, mgm.JoinState); err != nil {
		t.Fatal(err)
	}
	sync()
	r.deliver(1, data(9, "c"))
	r.wantSent(2, "")
	r.wantSent(3, "c")

	t.Log("# a configured route moves the input")
	err = rib.SetMulticast([]RPFRoute{{netip.MustParsePrefix("10.0.1.0/24"), 2}})
	if err != nil {
		t.Fatal(err)
	}
	if err := rib.SetConnected(2, nil); err != nil {
		t.Fatal(err)
	}
	sync()
	r.deliver(1, data(9, "d"))
	r.deliver(2, data(9, "e"))
	r.wantSent(3, "e")
	stats, err := m.MFEStats(flow4)
	if err != nil || stats.Stats.InPackets != 4 || stats.Stats.DifferentIf != 1 {
		t.Errorf("statistics %+v, error %v", stats.Stats, err)
	}
}
