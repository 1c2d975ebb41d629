package mgm

import (
	"net/netip"
	"testing"
	"time"
)

// The sequences of callbacks that MGM's overview pages and RFC 2715 lead to, step by step.

func TestSequenceFirstPacket(t *testing.T) {
	run(t, "5.3", func(l *lab) {
		l.A.prune = func(p *PruneAlert) { p.Timeout = time.Minute }
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "A.P(S,G) if1 f")
		l.packet("S,G", if1)
		l.want()
		l.wantMFE("S,G", "if1>")
		time.Sleep(time.Minute)
		l.want()
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "A.P(S,G) if1 f")
		l.wantMFE("S,G", "if1>")
	})
}

func TestSequenceWildcard(t *testing.T) {
	run(t, "5.4", func(l *lab) {
		l.B.add("*,G", if2)
		l.want("A.J(*,G) t", "C.J(*,G) t")
		l.C.add("*,G", if3)
		l.want("B.J(*,G) t")
		l.A.add("*,G", if1)
		l.want()
		l.A.del("*,G", if1)
		l.want()
		l.C.del("*,G", if3)
		l.want("B.P(*,G) if3 t")
		l.B.del("*,G", if2)
		l.want("A.P(*,G) if2 t", "C.P(*,G) if2 t")
	})
	run(t, "5.5 wildcard", func(l *lab) {
		l.packet("S,G", if1)
		l.sync()
		l.B.add("*,G", if2)
		l.want("A.J(*,G) t", "C.J(*,G) t", "A.J(S,G) f")
		l.wantMFE("S,G", "if1>if2")
		l.B.del("*,G", if2)
		l.want("A.P(*,G) if2 t", "C.P(*,G) if2 t", "A.P(S,G) if1 f")
		l.wantMFE("S,G", "if1>")
	})
	run(t, "5.5 all", func(l *lab) {
		l.B.add("*,*", if2)
		l.want("A.J(*,*) t", "C.J(*,*) t")
		l.C.add("*,G", if3)
		l.want("A.J(*,G) t", "B.J(*,G) t")
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "B.CREATION(S,G) if1 {if2 igmp}", "C.CREATION(S,G) if1 {if3}",
			"A.J(S,G) f")
		l.packet("S,H", if1)
		l.want("A.RPF(S,H) if1", "B.CREATION(S,H) if1 {if2 igmp}", "A.J(S,H) f")
		l.B.del("*,*", if2)
		l.want("A.P(*,*) if2 t", "C.P(*,*) if2 t", "A.P(S,H) if1 f")
		l.wantMFE("S,G", "if1>if3")
		l.wantMFE("S,H", "if1>")
	})
}

func TestSequenceSource(t *testing.T) {
	run(t, "5.5 with MFE", func(l *lab) {
		l.packet("S,G", if1)
		l.sync()
		l.B.add("S,G", if2)
		l.want("A.J(S,G) t", "A.J(S,G) f")
		l.B.add("*,G", if2)
		l.want("A.J(*,G) t", "C.J(*,G) t")
		l.B.del("S,G", if2)
		l.want("A.P(S,G) if2 t")
		l.wantMFE("S,G", "if1>if2")
	})
	run(t, "5.5 without", func(l *lab) {
		l.B.add("S,G", if2)
		l.want("A.J(S,G) t")
		l.C.add("S,G", if3)
		l.want()
		l.B.del("S,G", if2)
		l.want()
		l.C.del("S,G", if3)
		l.want("A.P(S,G) if3 t")
	})
}

func TestSequenceIGMP(t *testing.T) {
	run(t, "5.6", func(l *lab) {
		l.I.add("*,G", if2)
		l.want("B.LOCAL_JOIN(*,G) if2", "A.J(*,G) t", "C.J(*,G) t")
		l.B.add("*,G", if2)
		l.want()
		l.I.add("*,G", if4)
		l.want("B.J(*,G) t")
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "B.CREATION(S,G) if1 {if2 igmp}", "A.J(S,G) f")
		l.wantMFE("S,G", "if1>if2,if4")
		l.I.del("*,G", if4)
		l.want("B.P(*,G) if4 t")
		l.wantMFE("S,G", "if1>if2")
		l.I.del("*,G", if2)
		l.want("B.LOCAL_LEAVE(*,G) if2")
		l.wantMFE("S,G", "if1>if2")
		l.B.del("*,G", if2)
		l.want("A.P(*,G) if2 t", "C.P(*,G) if2 t", "A.P(S,G) if1 f")
		l.wantMFE("S,G", "if1>")
	})
	run(t, "5.6 alone", func(l *lab) { // IGMP counts once
		l.ok(l.I.TakeInterface(if5))
		l.I.add("*,G", if4)
		l.want("A.J(*,G) t", "B.J(*,G) t", "C.J(*,G) t")
		l.I.add("*,G", if5)
		l.want()
		l.I.del("*,G", if4)
		l.want()
	})
}

func TestSequenceBracket(t *testing.T) {
	run(t, "5.7", func(l *lab) {
		l.I.add("*,G", if4)
		l.sync()
		l.ok(l.C.TakeInterface(if4))
		l.want("I.DISABLE if4", "A.P(*,G) if4 t", "B.P(*,G) if4 t", "C.P(*,G) if4 t",
			"I.ENABLE if4")
		l.I.add("*,G", if4)
		l.want("C.LOCAL_JOIN(*,G) if4", "A.J(*,G) t", "B.J(*,G) t")
		l.wantErr(l.A.TakeInterface(if4), ErrAlreadyExists)
		l.want()
		l.ok(l.C.ReleaseInterface(if4))
		l.want("I.DISABLE if4", "C.LOCAL_LEAVE(*,G) if4", "A.P(*,G) if4 t", "B.P(*,G) if4 t",
			"I.ENABLE if4")
		l.wantOwner(if4, l.I)
		l.I.add("*,G", if4)
		l.want("A.J(*,G) t", "B.J(*,G) t", "C.J(*,G) t")
	})
}

func TestSequenceTwoBrackets(t *testing.T) {
	run(t, "10.13", func(l *lab) {
		l.onCallback(func(line string) {
			switch line {
			case "A.J(*,H) t":
				l.ok(l.C.TakeInterface(if4))
				l.ok(l.C.ReleaseInterface(if4))
			case "I.DISABLE if4":
				l.wantErr(l.I.AddMembership(l.entry("*,G"), if4, JoinState), ErrSuspended)
			case "I.ENABLE if4":
				// Only after the last change does an add succeed.
				_ = l.I.AddMembership(l.entry("*,G"), if4, JoinState)
			}
		})
		l.B.add("*,H", if2) // both changes come before anything is delivered
		l.want("A.J(*,H) t", "C.J(*,H) t",
			"I.DISABLE if4", "I.ENABLE if4", "I.DISABLE if4", "I.ENABLE if4",
			"A.J(*,G) t", "B.J(*,G) t", "C.J(*,G) t")
		l.onCallback(func(line string) {
			if line == "I.DISABLE if4" {
				l.ok(l.I.ReleaseInterface(if4))
			}
		})
		l.ok(l.A.TakeInterface(if4))
		l.want("I.DISABLE if4", "A.P(*,G) if4 t", "B.P(*,G) if4 t", "C.P(*,G) if4 t")
		l.ok(l.I.TakeInterface(if4)) // a new stay is not suspended
		l.I.add("*,G", if4)
		l.want("A.LOCAL_JOIN(*,G) if4", "B.J(*,G) t", "C.J(*,G) t")
	})
}

func TestSequenceShutdown(t *testing.T) {
	run(t, "5.8", func(l *lab) {
		l.receivers()
		l.packet("S,G", if1)
		l.packet("T,G", if3)
		l.wantMFE("S,G", "if1>if2,if3")
		l.wantMFE("T,G", "if3>if2")
		l.sync()
		l.wantErr(l.C.Deregister(), ErrCannotComplete)
		l.ok(l.C.ReleaseInterface(if3))
		l.want("B.P(*,G) if3 t")
		l.wantMFE("S,G", "if1>if2")
		l.wantMFE("T,G", "none")
		l.wantOwner(if3, nil)
		l.ok(l.C.Deregister())
		l.want()
		l.packet("T,G", if3)
		l.want()
		l.wantMFE("T,G", "if3>")
	})
}

func TestSequenceWrongInterface(t *testing.T) {
	run(t, "5.10", func(l *lab) {
		l.B.add("*,G", if2)
		l.sync()
		l.packet("S,G", if3)
		l.want("A.RPF(S,G) if1", "B.CREATION(S,G) if1 {if2 igmp}", "A.J(S,G) f")
		l.wantMFE("S,G", "if1>if2")
		l.packet("S,G", if3)
		l.want()
		l.ok(l.C.SetWrongIfAlerts(if3, true))
		l.packet("S,G", if3)
		l.want("C.WRONG_IF(S,G) if3")
		l.packet("S,G", if3)
		l.want()
		l.packet("S,G", if1)
		l.want()
		s, _ := l.m.MFEStats(l.flow("S,G"))
		if s.Stats.DifferentIf != 4 || s.Stats.InPackets != 1 {
			l.t.Errorf("stats = %+v", s.Stats)
		}
	})
}

func TestSequenceHolderChange(t *testing.T) {
	run(t, "10.4", func(l *lab) {
		l.rib.set(l.addr("U"), if4)
		l.B.add("*,G", if2)
		l.packet("U,G", if4)
		l.wantMFE("U,G", "if4>if2")
		l.sync()
		l.ok(l.C.TakeInterface(if4))
		l.want("I.DISABLE if4", "I.ENABLE if4")
		l.wantMFE("U,G", "none")
		l.packet("U,G", if4)
		l.want("C.RPF(U,G) if4", "B.CREATION(U,G) if4 {if2 igmp}", "C.J(U,G) f")
	})
	run(t, "10.8", func(l *lab) {
		l.ok(l.A.TakeInterface(if5))
		l.A.add("*,G", if5)
		l.sync()
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "A.CREATION(S,G) if1 {if5}")
		l.A.del("*,G", if5)
		l.want("B.P(*,G) if5 t", "C.P(*,G) if5 t")
	})
	run(t, "boundary", func(l *lab) {
		closed := true
		l.m.boundary = func(i Iface, _ netip.Addr) bool { return closed && i == if2 }
		l.receivers()
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if3")
		closed = false
		l.m.BoundaryChanged(if2)
		l.wantMFE("S,G", "if1>if2,if3")
	})
}
