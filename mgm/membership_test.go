package mgm

import (
	"net/netip"
	"slices"
	"testing"
)

func TestWildcardAlerts(t *testing.T) {
	run(t, "T23", func(l *lab) {
		l.B.add("*,G", if2)
		l.want("A.J(*,G) t", "C.J(*,G) t")
	})
	run(t, "T24", func(l *lab) {
		l.B.add("*,G", if2)
		l.sync()
		l.C.add("*,G", if3)
		l.want("B.J(*,G) t")
	})
	run(t, "T25", func(l *lab) {
		l.B.add("*,G", if2)
		l.C.add("*,G", if3)
		l.sync()
		l.A.add("*,G", if1)
		l.want()
	})
	run(t, "T26", func(l *lab) {
		l.ok(l.B.TakeInterface(if5))
		l.B.add("*,G", if2)
		l.sync()
		l.B.add("*,G", if5)
		l.want()
	})
	run(t, "T27", func(l *lab) {
		l.B.add("*,G", if2)
		l.sync()
		l.B.add("*,G", if2)
		l.want()
	})
}

func TestWildcardPrunes(t *testing.T) {
	run(t, "T28", func(l *lab) {
		l.B.add("*,G", if2)
		l.C.add("*,G", if3)
		l.sync()
		l.C.del("*,G", if3)
		l.want("B.P(*,G) if3 t")
	})
	run(t, "T29", func(l *lab) {
		l.B.add("*,G", if2)
		l.sync()
		l.B.del("*,G", if2)
		l.want("A.P(*,G) if2 t", "C.P(*,G) if2 t")
	})
	run(t, "T30", func(l *lab) {
		l.A.add("*,G", if1)
		l.B.add("*,G", if2)
		l.C.add("*,G", if3)
		l.sync()
		l.A.del("*,G", if1)
		l.want()
	})
	run(t, "T31", func(l *lab) {
		l.ok(l.B.TakeInterface(if5))
		l.B.add("*,G", if2)
		l.B.add("*,G", if5)
		l.sync()
		l.B.del("*,G", if2)
		l.want()
	})
}

func TestAllAlerts(t *testing.T) {
	run(t, "T38", func(l *lab) {
		l.B.add("*,*", if2)
		l.want("A.J(*,*) t", "C.J(*,*) t")
		l.B.del("*,*", if2)
		l.want("A.P(*,*) if2 t", "C.P(*,*) if2 t")
	})
	run(t, "T39", func(l *lab) {
		l.A.add("*,*", if1)
		l.B.add("*,G", if2)
		l.want("B.J(*,*) t", "C.J(*,*) t", "A.J(*,G) t", "C.J(*,G) t")
		l.A.del("*,*", if1)
		l.want("B.P(*,*) if1 t", "C.P(*,*) if1 t")
	})
}

func TestSourceAlerts(t *testing.T) {
	run(t, "T32", func(l *lab) {
		l.B.add("S,G", if2)
		l.want("A.J(S,G) t")
	})
	run(t, "T33", func(l *lab) {
		l.B.add("S,G", if2)
		l.sync()
		l.C.add("S,G", if3)
		l.want()
	})
	run(t, "T34", func(l *lab) {
		l.ok(l.A.TakeInterface(if5))
		l.A.add("S,G", if5)
		l.want()
	})
	run(t, "T35", func(l *lab) {
		l.ok(l.A.TakeInterface(if5))
		l.A.add("S,G", if5)
		l.B.add("S,G", if2)
		l.want("A.J(S,G) t")
		l.A.del("S,G", if5)
		l.want()
		l.B.del("S,G", if2)
		l.want("A.P(S,G) if2 t")
	})
	run(t, "T36", func(l *lab) {
		l.B.add("U,G", if2)
		l.want()
	})
	run(t, "T37", func(l *lab) {
		l.B.add("S,G", if2)
		l.C.add("S,G", if3)
		l.sync()
		l.B.del("S,G", if2)
		l.want()
		l.C.del("S,G", if3)
		l.want("A.P(S,G) if3 t")
	})
}

func TestMembershipErrors(t *testing.T) {
	run(t, "T40", func(l *lab) {
		other := netip.MustParseAddr("ff3e::1")
		if l.m.v6 {
			other = netip.MustParseAddr("239.1.1.1")
		}
		g, s := l.addr("G"), l.addr("S")
		mapped := netip.MustParseAddr("::ffff:239.1.1.1")
		bad := []struct {
			entry Entry
			flags StateFlags
		}{
			{Entry{Source: s}, JoinState},
			{Entry{Group: s}, JoinState},
			{Entry{Group: other}, JoinState},
			{Entry{Group: mapped}, JoinState},
			{Entry{Source: g, Group: g}, JoinState},
			{Entry{Source: other, Group: g}, JoinState},
			{Entry{Source: netip.MustParseAddr("::ffff:10.0.0.1"), Group: g}, JoinState},
			{Entry{Source: netip.IPv4Unspecified(), Group: g}, JoinState},
			{Entry{Source: netip.MustParseAddr("169.254.0.1"), Group: g}, JoinState},
			{Entry{Source: netip.MustParseAddr("fe80::1"), Group: g}, JoinState},
			{Entry{Group: g}, 0},
			{Entry{Group: g}, 8},
			{Entry{Group: g}, JoinState | 8},
			{Entry{Group: g}, ForwardState},
			{Entry{Group: g}, JoinState | ForwardState},
			{Entry{}, ForwardState},
			{Entry{Source: s, Group: g}, ExcludeState}, // of a routing protocol
			{Entry{Source: s, Group: g}, ExcludeState | JoinState},
		}
		for _, c := range bad {
			l.wantErr(l.B.AddMembership(c.entry, if2, c.flags), ErrInvalidParameter)
			l.wantErr(l.B.DeleteMembership(c.entry, if2, c.flags), ErrInvalidParameter)
		}
		l.wantErr(l.I.AddMembership(Entry{Group: g}, if2, ExcludeState), ErrInvalidParameter)
		both := JoinState | ExcludeState
		l.wantErr(l.I.AddMembership(l.entry("S,G"), if2, both), ErrInvalidParameter)
		l.want()
	})
}

func TestMembershipOwners(t *testing.T) {
	run(t, "T41", func(l *lab) {
		l.B.add("*,G", if2)
		l.sync()
		g := l.entry("*,G")
		l.wantErr(l.A.DeleteMembership(g, if2, JoinState), ErrInvalidParameter)
		l.wantErr(l.A.AddMembership(g, if2, JoinState), ErrNotOwner)
		l.wantErr(l.A.AddMembership(g, if4, JoinState), ErrNotOwner) // only IGMP is there
		l.wantErr(l.I.AddMembership(g, if1, JoinState), ErrNotOwner)
		l.want()
	})
	run(t, "T42", func(l *lab) {
		l.wantErr(l.A.DeleteMembership(l.entry("*,G"), if9, JoinState), ErrNotFound)
	})
}

func TestOutgoingLists(t *testing.T) {
	run(t, "T43", func(l *lab) {
		l.B.add("*,G", if2)
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if2")
		l.C.add("*,G", if3)
		l.wantMFE("S,G", "if1>if2,if3")
		// T45: the membership stays when forward state goes.
		l.ok(l.C.DeleteMembership(l.entry("S,G"), if3, ForwardState))
		l.wantMFE("S,G", "if1>if2")
		list := slices.Collect(l.A.Memberships(AllSources))
		if !slices.Contains(list, l.entry("*,G")) {
			l.t.Errorf("memberships = %v", list)
		}
	})
	run(t, "T44", func(l *lab) {
		l.B.add("*,G", if2)
		l.packet("S,G", if1)
		l.sync()
		before := slices.Collect(l.A.Memberships(AllSources))
		l.ok(l.C.AddMembership(l.entry("S,G"), if3, ForwardState))
		l.wantMFE("S,G", "if1>if2,if3")
		if after := slices.Collect(l.A.Memberships(AllSources)); !slices.Equal(before, after) {
			l.t.Errorf("memberships = %v, were %v", after, before)
		}
		l.want()
	})
}

func TestForwardStateVeto(t *testing.T) {
	run(t, "T45", func(l *lab) {
		l.B.add("*,G", if2)
		l.C.add("*,G", if3)
		l.packet("S,G", if1)
		l.sync()
		l.ok(l.C.DeleteMembership(l.entry("S,G"), if3, ForwardState))
		l.want()
		l.wantMFE("S,G", "if1>if2")
		l.C.add("*,G", if3) // there already, and yet it lifts the veto
		l.want()
		l.wantMFE("S,G", "if1>if2,if3")
	})
	run(t, "T46", func(l *lab) {
		l.B.add("S,G", if2)
		l.B.add("*,G", if2)
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if2")
		l.B.del("S,G", if2)
		l.wantMFE("S,G", "if1>if2")
	})
	run(t, "T47", func(l *lab) {
		l.B.add("*,G", if2)
		l.sync()
		d := l.register("D", 4, RoleRouting)
		l.want()
		list := slices.Collect(d.Memberships(AllSources))
		if !slices.Contains(list, l.entry("*,G")) {
			l.t.Errorf("memberships = %v", list)
		}
	})
}

func TestForwardState(t *testing.T) {
	run(t, "no MFE", func(l *lab) {
		sg := l.entry("S,G")
		l.wantErr(l.C.AddMembership(sg, if3, ForwardState), ErrMFENotFound)
		l.wantErr(l.C.DeleteMembership(sg, if3, ForwardState), ErrMFENotFound)
		l.wantErr(l.C.AddMembership(sg, if3, JoinState|ForwardState), ErrMFENotFound)
		l.want("A.J(S,G) t") // the membership came first
	})
	run(t, "first oif", func(l *lab) {
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "A.P(S,G) if1 f")
		l.ok(l.C.AddMembership(l.entry("S,G"), if3, ForwardState))
		l.want("A.J(S,G) f")
		l.wantMFE("S,G", "if1>if3")
		l.ok(l.C.AddMembership(l.entry("S,G"), if3, ForwardState))
		l.want()
		l.ok(l.C.DeleteMembership(l.entry("S,G"), if3, ForwardState))
		l.want("A.P(S,G) if1 f")
		l.wantMFE("S,G", "if1>")
	})
	run(t, "both", func(l *lab) {
		l.packet("S,G", if1)
		l.sync()
		l.ok(l.C.AddMembership(l.entry("S,G"), if3, JoinState|ForwardState))
		l.want("A.J(S,G) t", "A.J(S,G) f")
		l.ok(l.C.DeleteMembership(l.entry("S,G"), if3, JoinState))
		l.want("A.P(S,G) if3 t")
		l.wantMFE("S,G", "if1>if3") // forward state keeps it
		l.ok(l.C.DeleteMembership(l.entry("S,G"), if3, JoinState|ForwardState))
		l.want("A.P(S,G) if1 f")
	})
	run(t, "own interface", func(l *lab) {
		l.ok(l.A.TakeInterface(if5))
		l.packet("S,G", if1)
		l.sync()
		l.ok(l.A.AddMembership(l.entry("S,G"), if5, ForwardState))
		l.ok(l.A.DeleteMembership(l.entry("S,G"), if5, ForwardState))
		l.want()
	})
}
