package mgm_test

import (
	"context"
	"fmt"
	"net/netip"

	"umroute/mgm"
)

// oneWay is a RIB that expects every source on interface 1.
type oneWay struct{}

func (oneWay) Lookup(source netip.Addr) (mgm.Route, bool) {
	all := netip.PrefixFrom(source, 0).Masked()
	return mgm.Route{Prefix: all, Iface: mgm.Iface{Index: 1}}, true
}

// printer is a forwarder that prints what it is told.
type printer struct{}

func (printer) Set(e mgm.MFE) error {
	fmt.Printf("forwarder: (%s, %s) from %d to", e.Source, e.Group, e.In.Index)
	for _, i := range e.OIFs {
		fmt.Printf(" %d", i.Index)
	}
	if len(e.OIFs) == 0 {
		fmt.Print(" nowhere")
	}
	fmt.Println()
	return nil
}

func (printer) Delete(f mgm.Flow) { fmt.Printf("forwarder: (%s, %s) gone\n", f.Source, f.Group) }

func (printer) Stats(mgm.Flow) (mgm.ForwarderStats, bool) { return mgm.ForwarderStats{}, false }

// must stops an example that cannot go on.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func check(err error) { must(0, err) }

// A protocol that floods: it owns two interfaces, wants new flows to come in where the RIB
// says, and sends them on if a host on the other side asked for them.
func Example() {
	m := must(mgm.New(mgm.Config{RIB: oneWay{}, Forwarder: printer{}}))
	defer m.Close()

	// IGMP would be a RoleMembership client of its own; here it is played by hand.
	igmp := must(m.Register(mgm.ClientID{Protocol: 10}, mgm.RoleMembership, mgm.Callbacks{}))

	toy := must(m.Register(mgm.ClientID{Protocol: 100}, mgm.RoleRouting, mgm.Callbacks{
		RPF: func(q *mgm.RPFQuery) {
			q.Upstream = netip.MustParseAddr("10.0.0.2")
			fmt.Printf("toy: %s comes in on %d\n", q.Flow.Source, q.Iface.Index)
		},
		CreationAlert: func(a *mgm.CreationAlert) {
			for i := range a.OIFs {
				fmt.Printf("toy: %s may leave by %d\n", a.Flow.Group, a.OIFs[i].Iface.Index)
				a.OIFs[i].Enabled = true // false would be a veto
			}
		},
		LocalJoin: func(j mgm.LocalChange) {
			fmt.Printf("toy: hosts on %d want %s\n", j.Iface.Index, j.Entry.Group)
		},
		LocalLeave: func(j mgm.LocalChange) {
			fmt.Printf("toy: hosts on %d no longer want %s\n", j.Iface.Index, j.Entry.Group)
		},
	}))
	upstream, lan := mgm.Iface{Index: 1}, mgm.Iface{Index: 2}
	check(toy.TakeInterface(upstream))
	check(toy.TakeInterface(lan))
	check(igmp.TakeInterface(lan))

	// A host joins, a source sends, the host leaves.
	all := mgm.Entry{Group: netip.MustParseAddr("239.1.1.1")}
	check(igmp.AddMembership(all, lan, mgm.JoinState))
	check(m.Sync(context.Background()))
	flow := mgm.Flow{Source: netip.MustParseAddr("10.9.9.9"), Group: all.Group}
	m.HandleMiss(flow, upstream, nil)
	check(m.Sync(context.Background()))
	check(igmp.DeleteMembership(all, lan, mgm.JoinState))
	check(m.Sync(context.Background()))

	check(toy.ReleaseInterface(upstream))
	check(toy.ReleaseInterface(lan))
	check(toy.Deregister())
	check(m.Sync(context.Background()))

	// Output:
	// toy: hosts on 2 want 239.1.1.1
	// toy: 10.9.9.9 comes in on 1
	// toy: 239.1.1.1 may leave by 2
	// forwarder: (10.9.9.9, 239.1.1.1) from 1 to 2
	// forwarder: (10.9.9.9, 239.1.1.1) from 1 to nowhere
	// toy: hosts on 2 no longer want 239.1.1.1
	// forwarder: (10.9.9.9, 239.1.1.1) gone
}

// Two protocols that know nothing of each other meet: one has receivers, the other the way
// to the source.
func Example_twoProtocols() {
	m := must(mgm.New(mgm.Config{RIB: oneWay{}, Forwarder: printer{}}))
	defer m.Close()

	sparse := must(m.Register(mgm.ClientID{Protocol: 8}, mgm.RoleRouting, mgm.Callbacks{
		JoinAlert: func(a mgm.JoinAlert) {
			if a.MemberUpdate {
				fmt.Printf("sparse: fetch %s for others\n", a.Entry.Group)
			} else {
				fmt.Printf("sparse: %s flows out somewhere\n", a.Entry.Source)
			}
		},
		PruneAlert: func(a *mgm.PruneAlert) {
			if a.MemberDelete {
				fmt.Printf("sparse: nobody else wants %s\n", a.Entry.Group)
			} else {
				fmt.Printf("sparse: %s flows nowhere\n", a.Entry.Source)
			}
		},
	}))
	dense := must(m.Register(mgm.ClientID{Protocol: 9}, mgm.RoleRouting, mgm.Callbacks{
		CreationAlert: func(a *mgm.CreationAlert) {
			fmt.Printf("dense: %s comes in on %d\n", a.Flow.Source, a.In.Index)
		},
	}))
	check(sparse.TakeInterface(mgm.Iface{Index: 1}))
	check(dense.TakeInterface(mgm.Iface{Index: 2}))

	// A neighbour of the dense protocol wants the group.
	group := mgm.Entry{Group: netip.MustParseAddr("239.2.2.2")}
	check(dense.AddMembership(group, mgm.Iface{Index: 2}, mgm.JoinState))
	check(m.Sync(context.Background()))

	flow := mgm.Flow{Source: netip.MustParseAddr("10.9.9.9"), Group: group.Group}
	m.HandleMiss(flow, mgm.Iface{Index: 1}, nil)
	check(m.Sync(context.Background()))

	check(dense.DeleteMembership(group, mgm.Iface{Index: 2}, mgm.JoinState))
	check(m.Sync(context.Background()))

	// Output:
	// sparse: fetch 239.2.2.2 for others
	// dense: 10.9.9.9 comes in on 1
	// forwarder: (10.9.9.9, 239.2.2.2) from 1 to 2
	// sparse: 10.9.9.9 flows out somewhere
	// forwarder: (10.9.9.9, 239.2.2.2) from 1 to nowhere
	// sparse: nobody else wants 239.2.2.2
	// sparse: 10.9.9.9 flows nowhere
}
