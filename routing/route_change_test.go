package routing

import (
	"context"
	"net/netip"
	"testing"

	"umroute/mgm"
	"umroute/tun"
)

// movable is a forwarder whose flows the RIB moves between two links, 1 and 2;
// all of them leave by link 3.
type movable struct {
	*router
	manager *mgm.Manager
	rib     *RIB
	flows   []mgm.Flow
}

// movedFlows is how many flows one route change moves.
const movedFlows = 10_000

func newMovable(t testing.TB, flows int) *movable {
	m := &movable{router: newRouter(t, Config{})}
	for index := range uint32(3) {
		m.add(InterfaceConfig{Index: index + 1}, tun.KindTUN)
	}
	m.rib = NewRIB(func(p netip.Prefix) { m.manager.RouteChanged(p) })
	var err error
	m.manager, err = mgm.New(mgm.Config{RIB: m.rib, Forwarder: m.Plane(false)})
	m.must(err)
	t.Cleanup(func() { m.manager.Close() })
	client, err := m.manager.Register(mgm.ClientID{Protocol: 1}, mgm.RoleRouting, mgm.Callbacks{})
	m.must(err)
	for index := range uint32(3) {
		m.must(client.TakeInterface(mgm.Iface{Index: index + 1}))
		m.must(m.rib.SetConnected(index+1, nil))
	}
	m.must(client.AddMembership(mgm.Entry{}, mgm.Iface{Index: 3}, mgm.JoinState))
	m.move(1)
	for n := range flows {
		f := mgm.Flow{Source: netip.AddrFrom4([4]byte{10, 9, byte(n >> 8), byte(n)}),
			Group: netip.AddrFrom4([4]byte{239, 1, byte(n >> 8), byte(n)})}
		m.flows = append(m.flows, f)
		m.manager.HandleMiss(f, mgm.Iface{Index: 1}, nil)
		if n%1000 == 999 {
			m.must(m.manager.Sync(context.Background()))
		}
	}
	m.must(m.manager.Sync(context.Background()))
	return m
}

func (m *movable) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// move has the kernel's route to all sources lead to a link, and waits until
// the workers see it.
func (m *movable) move(index uint32) {
	m.must(m.rib.SetKernel([]KernelRoute{{UnicastRoute: UnicastRoute{
		Prefix: netip.MustParsePrefix("10.9.0.0/16"), Index: index}}}))
	m.must(m.manager.Sync(context.Background()))
}

// in counts the entries that come in by a link and leave by link 3.
func (m *movable) in(index uint32) (n int) {
	for _, f := range m.flows {
		k := keyOf(f)
		e := m.Plane(false).(*plane).table.lookup(&k)
		if e != nil && e.in.index == index && len(e.slots) == 1 {
			n++
		}
	}
	return n
}

// TestRouteChange moves flows there and back. Packets go on by the new link from
// the change on, and by the old one no more; in between no entry is missing.
func TestRouteChange(t *testing.T) {
	m := newMovable(t, 1000)
	packet := func(index uint32, mark string) {
		for _, f := range m.flows[:100] {
			m.deliver(index, ipv4{source: f.Source.String(), group: f.Group.String(), ttl: 9,
				payload: []byte(mark)}.bytes())
		}
	}
	for range 3 {
		for _, index := range []uint32{2, 1} {
			m.move(index)
			if n := m.in(index); n != len(m.flows) {
				t.Fatalf("%d of %d flows come in by link %d", n, len(m.flows), index)
			}
			packet(index, "x")
			packet(3-index, "y")
			if got := len(m.links[3].take()); got != 100 {
				t.Errorf("%d datagrams left, want the 100 of link %d", got, index)
			}
		}
	}
	if s := m.Stats(); s.Misses != 0 {
		t.Errorf("%d packets found no entry", s.Misses)
	}
}

// BenchmarkRouteChange is a route that 10,000 entries depend on, from the change
// to the last entry in the workers' table.
func BenchmarkRouteChange(b *testing.B) {
	m := newMovable(b, movedFlows)
	for n := 0; b.Loop(); n++ {
		m.move(uint32(2 - n%2))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/movedFlows, "ns/entry")
	if m.in(1)+m.in(2) != movedFlows {
		b.Fatal("entries were lost")
	}
}
