package mgm

import (
	"net/netip"
	"slices"
	"testing"
)

// Addresses of the other family, and IPv4-mapped ones, are refused everywhere.
func TestFamilies(t *testing.T) {
	run(t, "T59 all calls", func(l *lab) {
		other := emptyLab(l.t, Config{IPv6: !l.m.v6})
		mapped := netip.MustParseAddr("::ffff:10.0.0.1")
		mappedGroup := netip.MustParseAddr("::ffff:239.1.1.1")
		bad := []Flow{
			other.flow("S,G"), {Source: l.addr("S"), Group: other.addr("G")},
			{Source: other.addr("S"), Group: l.addr("G")},
			{Source: mapped, Group: l.addr("G")}, {Source: l.addr("S"), Group: mappedGroup},
			{Source: l.addr("G"), Group: l.addr("G")}, {Group: l.addr("G")}, {},
		}
		for _, f := range bad {
			l.m.HandleMiss(f, if1, nil)
			l.want()
		}
		if n := l.m.Counters().MFEs; n != 0 {
			l.t.Errorf("%d MFEs", n)
		}
		for _, hop := range []netip.Addr{other.addr("S"), mapped, l.addr("G")} {
			err := l.A.TakeInterface(Iface{Index: 9, NextHop: hop})
			l.wantErr(err, ErrInvalidParameter)
			l.packet("S,G", if1)
			l.sync()
			l.wantErr(l.A.SetUpstream(l.flow("S,G"), hop), ErrInvalidParameter)
		}
		l.m.RouteChanged(netip.PrefixFrom(other.addr("S"), 8))
		l.m.RouteChanged(netip.PrefixFrom(mapped, 100))
		l.want()
	})
}

// 10.3: whoever reports may hold the lock that the RIB takes.
func TestReportsUnderLock(t *testing.T) {
	run(t, "10.3", func(l *lab) {
		l.receivers()
		l.rib.mu.Lock()
		release := make(chan struct{})
		go func() { // the manager may be waiting for the lock by now
			l.m.HandleMiss(l.flow("S,G"), if1, nil)
			l.m.RouteChanged(netip.Prefix{})
			l.m.HandleWrongIf(l.flow("S,G"), if3, nil)
			close(release)
		}()
		<-release
		l.rib.mu.Unlock()
		l.wantMFE("S,G", "if1>if2,if3")
	})
}

func TestMembershipTable(t *testing.T) {
	run(t, "rows", func(l *lab) {
		l.I.add("*,G", if2)
		l.B.add("*,G", if2)
		l.B.add("S,G", if2)
		l.I.add("*,G", if4)
		l.ok(l.I.AddMembership(l.entry("S,G"), if4, ExcludeState))
		l.sync() // the callbacks that re-enter are over
		got := slices.Collect(l.m.Memberships())
		want := []Member{
			{l.entry("*,G"), if2, l.B.ID()}, {l.entry("*,G"), if2, l.I.ID()},
			{l.entry("*,G"), if4, l.I.ID()}, {l.entry("S,G"), if2, l.B.ID()},
		}
		if !slices.Equal(got, want) {
			l.t.Errorf("rows = %v, want %v", got, want)
		}
		if n := l.m.Counters().Memberships; n != 3 {
			l.t.Errorf("%d memberships, want 3 pairs of entry and interface", n)
		}
	})
}

// A veto that is not the callee's to give, and lists that the callee mangles, do no harm.
func TestCreationAnswers(t *testing.T) {
	run(t, "foreign veto", func(l *lab) {
		l.receivers()
		l.B.creation = func(a *CreationAlert) {
			a.OIFs = []OIF{{Iface: if3}, {Iface: if1}, {Iface: if9}}
		}
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if2,if3")
	})
	run(t, "emptied list", func(l *lab) {
		l.receivers()
		l.B.creation = func(a *CreationAlert) { a.OIFs = nil }
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if2,if3")
	})
}

// A veto ends with the holder's stay, and IGMP's joins do not lift it.
func TestVeto(t *testing.T) {
	run(t, "stay", func(l *lab) {
		l.receivers()
		l.B.veto(if2)
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if3")
		l.I.add("*,G", if2)
		l.wantMFE("S,G", "if1>if3")
		l.ok(l.B.ReleaseInterface(if2))
		l.sync()
		l.I.add("*,G", if2)
		l.wantMFE("S,G", "if1>if2,if3")
	})
	run(t, "moved", func(l *lab) { // it outlives a change of route
		l.receivers()
		l.B.veto(if2)
		l.packet("S,G", if1)
		l.route("S", if3)
		l.wantMFE("S,G", "if3>")
		l.B.add("*,G", if2)
		l.wantMFE("S,G", "if3>if2")
	})
}

// What the RIB says elsewhere than in RouteChanged counts too.
func TestSilentRouteChange(t *testing.T) {
	run(t, "first packet", func(l *lab) {
		l.receivers()
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if2,if3")
		l.sync()
		l.rib.set(l.addr("S"), if3)
		l.packet("S,H", if3) // the other flow of the source moves as well
		l.wantMFE("S,H", "if3>")
		l.wantMFE("S,G", "if3>if2")
	})
	run(t, "new membership", func(l *lab) {
		l.B.add("S,G", if2)
		l.want("A.J(S,G) t")
		l.rib.set(l.addr("S"), if3)
		l.A.add("S,G", if1)
		l.want("A.P(S,G) if1 t", "C.J(S,G) t")
	})
}

// A release takes forward state along.
func TestReleaseForwardState(t *testing.T) {
	run(t, "last oif", func(l *lab) {
		l.packet("S,G", if1)
		l.ok(l.m.Sync(l.t.Context()))
		l.ok(l.C.AddMembership(l.entry("S,G"), if3, ForwardState))
		l.sync()
		l.ok(l.C.ReleaseInterface(if3))
		l.want("A.P(S,G) if1 f")
		l.wantMFE("S,G", "if1>")
		l.ok(l.C.TakeInterface(if3))
		l.wantMFE("S,G", "if1>")
	})
}
