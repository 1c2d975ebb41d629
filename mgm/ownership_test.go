package mgm

import (
	"errors"
	"net/netip"
	"testing"
)

// wantErr checks that err is a kind of want, nil for none.
func (l *lab) wantErr(err, want error) {
	l.t.Helper()
	if !errors.Is(err, want) {
		l.t.Errorf("error = %v, want %v", err, want)
	}
}

func (l *lab) wantOwner(i Iface, c *labClient) {
	l.t.Helper()
	switch id, err := l.m.Owner(i); {
	case c == nil:
		l.wantErr(err, ErrNotFound)
	case err != nil || id != c.ID():
		l.t.Errorf("Owner(%s) = %v, %v, want %v", ifText(i), id, err, c.ID())
	}
}

func TestRegistration(t *testing.T) {
	run(t, "T01", func(l *lab) {
		d := l.register("D", 4, RoleRouting)
		if d.ID() != (ClientID{Protocol: 4}) {
			l.t.Errorf("ID = %v", d.ID())
		}
		l.want()
	})
	run(t, "T02", func(l *lab) {
		c, err := l.m.Register(ClientID{Protocol: 1}, RoleRouting, Callbacks{})
		l.wantErr(err, ErrAlreadyExists)
		l.wantErr(err, ErrClientExists)
		if c != nil {
			l.t.Error("a client came with the error")
		}
	})
	run(t, "T03", func(l *lab) {
		_, err := l.m.Register(ClientID{Protocol: 1, Component: 1}, RoleRouting, Callbacks{})
		l.ok(err)
	})
	run(t, "T04", func(l *lab) {
		l.wantErr(l.A.Deregister(), ErrCannotComplete)
		l.wantErr(l.A.Deregister(), ErrInterfacesHeld)
		l.A.add("*,G", if1)
	})
	run(t, "T05", func(l *lab) {
		l.ok(l.A.ReleaseInterface(if1))
		l.ok(l.A.Deregister())
		g := l.entry("*,G")
		l.wantErr(l.A.TakeInterface(if5), ErrInvalidParameter)
		l.wantErr(l.A.ReleaseInterface(if1), ErrInvalidParameter)
		l.wantErr(l.A.AddMembership(g, if1, JoinState), ErrDeregistered)
		l.wantErr(l.A.DeleteMembership(g, if1, JoinState), ErrDeregistered)
		l.wantErr(l.A.SetUpstream(l.flow("S,G"), l.addr("T")), ErrDeregistered)
		l.wantErr(l.A.SetWrongIfAlerts(if1, true), ErrDeregistered)
		l.B.add("*,G", if2)
		for range l.A.Memberships(AllSources) {
			l.t.Error("a dead client lists memberships")
		}
		l.want("C.J(*,G) t")
	})
	run(t, "T06", func(l *lab) {
		l.ok(l.A.ReleaseInterface(if1))
		l.ok(l.A.Deregister())
		l.wantErr(l.A.Deregister(), ErrInvalidParameter)
	})
}

func TestOwnership(t *testing.T) {
	run(t, "T07", func(l *lab) {
		l.ok(l.A.TakeInterface(if5))
		l.wantOwner(if5, l.A)
	})
	run(t, "T08", func(l *lab) {
		l.wantErr(l.A.TakeInterface(if2), ErrAlreadyExists)
		l.wantOwner(if2, l.B)
		l.want()
	})
	run(t, "T09", func(l *lab) {
		l.wantErr(l.A.TakeInterface(if1), ErrAlreadyExists)
		l.wantErr(l.I.TakeInterface(if4), ErrAlreadyExists)
		l.want()
	})
	run(t, "T10", func(l *lab) {
		l.ok(l.C.TakeInterface(if4))
		l.want("I.DISABLE if4", "I.ENABLE if4")
	})
	run(t, "T11", func(l *lab) {
		l.onCallback(func(line string) {
			if line == "I.ENABLE if4" {
				l.wantOwner(if4, l.C)
			}
		})
		l.ok(l.C.TakeInterface(if4))
		l.want("I.DISABLE if4", "I.ENABLE if4")
	})
}

func TestBracket(t *testing.T) {
	run(t, "T12", func(l *lab) {
		l.onCallback(func(line string) {
			if line == "I.DISABLE if4" {
				err := l.I.AddMembership(l.entry("*,G"), if4, JoinState)
				l.wantErr(err, ErrCannotComplete)
				l.wantErr(err, ErrSuspended)
			}
		})
		l.ok(l.C.TakeInterface(if4))
		l.want("I.DISABLE if4", "I.ENABLE if4")
	})
	run(t, "T13", func(l *lab) {
		l.ok(l.I.TakeInterface(if3))
		l.wantOwner(if3, l.C)
		l.want()
	})
	run(t, "T14", func(l *lab) {
		l.ok(l.B.ReleaseInterface(if2))
		l.want("I.DISABLE if2", "I.ENABLE if2")
		l.wantOwner(if2, l.I)
	})
	run(t, "T15", func(l *lab) {
		l.ok(l.C.ReleaseInterface(if3))
		l.want()
		l.wantOwner(if3, nil)
	})
	run(t, "T16", func(l *lab) {
		l.B.add("*,G", if2)
		l.C.add("*,G", if3)
		l.packet("S,G", if1)
		l.packet("T,G", if3)
		l.wantMFE("S,G", "if1>if2,if3")
		l.wantMFE("T,G", "if3>if2")
		l.ok(l.C.ReleaseInterface(if3))
		l.wantMFE("S,G", "if1>if2")
		l.wantMFE("T,G", "none")
	})
}

func TestOwnershipErrors(t *testing.T) {
	run(t, "T17", func(l *lab) {
		l.wantErr(l.A.ReleaseInterface(if9), ErrInvalidParameter)
	})
	run(t, "T18", func(l *lab) {
		l.wantErr(l.A.ReleaseInterface(if2), ErrInvalidParameter)
		l.wantOwner(if2, l.B)
		l.want()
	})
	run(t, "T19", func(l *lab) { l.wantOwner(if9, nil) })
	run(t, "T20", func(l *lab) {
		hop := func(last byte) Iface {
			if l.m.v6 {
				a := netip.MustParseAddr("fe80::").As16()
				a[15] = last
				return Iface{Index: 9, NextHop: netip.AddrFrom16(a)}
			}
			return Iface{Index: 9, NextHop: netip.AddrFrom4([4]byte{172, 16, 0, last})}
		}
		l.ok(l.B.TakeInterface(hop(2)))
		l.wantOwner(hop(2), l.B)
		l.wantOwner(hop(3), nil)
		l.wantOwner(if9, nil)
		l.ok(l.A.TakeInterface(hop(3)))
		l.ok(l.C.TakeInterface(if9))
		l.wantOwner(hop(3), l.A)
	})
	run(t, "T21", func(l *lab) {
		l.I.add("*,G", if4)
		l.sync()
		l.replay(map[Iface][]string{if4: {"*,G"}})
		l.ok(l.C.TakeInterface(if4))
		l.want("I.DISABLE if4", "A.P(*,G) if4 t", "B.P(*,G) if4 t", "C.P(*,G) if4 t",
			"I.ENABLE if4", "C.LOCAL_JOIN(*,G) if4", "A.J(*,G) t", "B.J(*,G) t")
	})
	run(t, "T22", func(l *lab) {
		err := l.A.AddMembership(l.entry("*,G"), if5, JoinState)
		l.wantErr(err, ErrNotFound)
		l.wantErr(err, ErrInterfaceNotFound)
	})
}

// replay makes IGMP add its memberships again inside EnableMembership.
func (l *lab) replay(entries map[Iface][]string) {
	next := l.hook
	l.onCallback(func(line string) {
		if next != nil {
			next(line)
		}
		for i, list := range entries {
			if line != "I.ENABLE "+ifText(i) {
				continue
			}
			for _, e := range list {
				l.I.add(e, i)
			}
		}
	})
}
