package mgm

import (
	"net/netip"
	"slices"
	"testing"
)

func TestLocal(t *testing.T) {
	run(t, "T48", func(l *lab) {
		l.I.add("*,G", if2)
		l.want("B.LOCAL_JOIN(*,G) if2", "A.J(*,G) t", "C.J(*,G) t")
		l.I.add("*,G", if2)
		l.want()
	})
	run(t, "T49", func(l *lab) {
		l.I.add("*,G", if2)
		l.sync()
		l.I.del("*,G", if2)
		l.want("B.LOCAL_LEAVE(*,G) if2", "A.P(*,G) if2 t", "C.P(*,G) if2 t")
	})
	run(t, "T50", func(l *lab) {
		l.I.add("*,G", if4)
		l.want("A.J(*,G) t", "B.J(*,G) t", "C.J(*,G) t")
		l.I.del("*,G", if4)
		l.want("A.P(*,G) if4 t", "B.P(*,G) if4 t", "C.P(*,G) if4 t")
	})
	run(t, "T51", func(l *lab) {
		l.I.add("*,G", if2)
		for _, line := range l.sync() {
			if line == "A.LOCAL_JOIN(*,G) if2" || line == "C.LOCAL_JOIN(*,G) if2" {
				l.t.Error(line)
			}
		}
	})
	run(t, "T52", func(l *lab) {
		l.I.add("S,G", if2)
		l.want("B.LOCAL_JOIN(S,G) if2", "A.J(S,G) t")
		l.I.del("S,G", if2)
		l.want("B.LOCAL_LEAVE(S,G) if2", "A.P(S,G) if2 t")
	})
	run(t, "T53", func(l *lab) {
		l.I.add("*,G", if2)
		l.B.add("*,G", if2)
		l.packet("S,G", if1)
		l.sync()
		l.I.del("*,G", if2)
		l.want("B.LOCAL_LEAVE(*,G) if2")
		l.wantMFE("S,G", "if1>if2")
	})
}

func TestLocalLast(t *testing.T) {
	run(t, "T54", func(l *lab) {
		l.I.add("*,G", if2)
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if2")
		l.sync()
		l.I.del("*,G", if2)
		l.want("B.LOCAL_LEAVE(*,G) if2", "A.P(*,G) if2 t", "C.P(*,G) if2 t", "A.P(S,G) if1 f")
		l.wantMFE("S,G", "if1>")
	})
	run(t, "T55", func(l *lab) {
		l.I.del("*,G", if2)
		l.want()
	})
	run(t, "T56", func(l *lab) {
		l.I.add("*,G", if4)
		l.I.add("*,H", if4)
		l.sync()
		l.replay(map[Iface][]string{if4: {"*,G", "*,H"}})
		l.ok(l.C.TakeInterface(if4))
		got := l.sync()
		at := slices.Index(got, "I.ENABLE if4")
		want := []string{
			"C.LOCAL_JOIN(*,G) if4", "A.J(*,G) t", "B.J(*,G) t",
			"C.LOCAL_JOIN(*,H) if4", "A.J(*,H) t", "B.J(*,H) t",
		}
		if at < 0 || !slices.Equal(got[at+1:], want) {
			l.t.Errorf("callbacks = %q, want at the end %q", got, want)
		}
	})
	run(t, "T57", func(l *lab) {
		l.ok(l.I.TakeInterface(if3))
		l.I.add("*,G", if3)
		l.sync()
		l.ok(l.I.ReleaseInterface(if3))
		l.want("C.LOCAL_LEAVE(*,G) if3", "A.P(*,G) if3 t", "B.P(*,G) if3 t")
		l.wantOwner(if3, l.C)
	})
	run(t, "T58", func(l *lab) { // one of the variants is the IPv6 manager
		l.I.add("*,G", if2)
		l.I.del("*,G", if2)
		l.want("B.LOCAL_JOIN(*,G) if2", "A.J(*,G) t", "C.J(*,G) t",
			"B.LOCAL_LEAVE(*,G) if2", "A.P(*,G) if2 t", "C.P(*,G) if2 t")
	})
	run(t, "T59", func(l *lab) {
		other := netip.MustParseAddr("ff3e::1")
		if l.m.v6 {
			other = netip.MustParseAddr("239.1.1.1")
		}
		err := l.I.AddMembership(Entry{Group: other}, if2, JoinState)
		l.wantErr(err, ErrInvalidParameter)
	})
}

func (l *lab) exclude(e string, i Iface) {
	l.t.Helper()
	l.ok(l.I.AddMembership(l.entry(e), i, ExcludeState))
}

func (l *lab) include(e string, i Iface) {
	l.t.Helper()
	l.ok(l.I.DeleteMembership(l.entry(e), i, ExcludeState))
}

func TestExclude(t *testing.T) {
	run(t, "hides wildcard", func(l *lab) {
		l.I.add("*,G", if2)
		l.packet("S,G", if1)
		l.packet("S2,G", if1)
		l.sync()
		l.exclude("S,G", if2)
		l.want("B.LOCAL_JOIN(S,G) if2 exclude", "A.P(S,G) if1 f")
		l.wantMFE("S,G", "if1>")
		l.wantMFE("S2,G", "if1>if2")
		l.exclude("S,G", if2)
		l.want()
		list := slices.Collect(l.A.Memberships(AllSources))
		if slices.Contains(list, l.entry("S,G")) {
			l.t.Errorf("the record is listed: %v", list)
		}
		l.include("S,G", if2)
		l.want("B.LOCAL_LEAVE(S,G) if2 exclude", "A.J(S,G) f")
		l.wantMFE("S,G", "if1>if2")
		l.include("S,G", if2)
		l.want()
	})
}

func TestExcludeRank(t *testing.T) {
	run(t, "exact and owner win", func(l *lab) {
		l.I.add("*,G", if2)
		l.exclude("S,G", if2)
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>")
		l.I.add("S,G", if2)
		l.wantMFE("S,G", "if1>if2")
		l.I.del("S,G", if2)
		l.wantMFE("S,G", "if1>")
		l.B.add("*,*", if2)
		l.wantMFE("S,G", "if1>if2")
		l.B.del("*,*", if2)
		l.wantMFE("S,G", "if1>")
		l.ok(l.B.AddMembership(l.entry("S,G"), if2, ForwardState))
		l.wantMFE("S,G", "if1>") // 10.8: forward state does not override
	})
	run(t, "before the flow", func(l *lab) {
		l.I.add("*,G", if4)
		l.exclude("S,G", if4)
		l.sync()
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "A.P(S,G) if1 f")
	})
}

func TestExcludeBracket(t *testing.T) {
	run(t, "bracket", func(l *lab) {
		l.I.add("*,G", if2)
		l.exclude("S,G", if2)
		l.sync()
		l.onCallback(func(line string) {
			if line == "I.DISABLE if2" {
				err := l.I.AddMembership(l.entry("S,G"), if2, ExcludeState)
				l.wantErr(err, ErrSuspended)
			}
		})
		l.ok(l.B.ReleaseInterface(if2))
		l.want("I.DISABLE if2", "B.LOCAL_LEAVE(*,G) if2", "A.P(*,G) if2 t", "C.P(*,G) if2 t",
			"B.LOCAL_LEAVE(S,G) if2 exclude", "I.ENABLE if2")
		l.I.add("*,G", if2)
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if2")
	})
	run(t, "released", func(l *lab) {
		l.exclude("S,G", if2)
		l.sync()
		l.ok(l.I.ReleaseInterface(if2))
		l.want("B.LOCAL_LEAVE(S,G) if2 exclude")
	})
	run(t, "errors", func(l *lab) {
		sg := l.entry("S,G")
		l.wantErr(l.I.AddMembership(sg, if9, ExcludeState), ErrInterfaceNotFound)
		l.wantErr(l.I.AddMembership(sg, if1, ExcludeState), ErrNotOwner)
		l.wantErr(l.I.DeleteMembership(sg, if9, ExcludeState), ErrInterfaceNotFound)
	})
}
