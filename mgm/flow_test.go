package mgm

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// receivers gives B and C a (*,G).
func (l *lab) receivers() {
	l.t.Helper()
	l.B.add("*,G", if2)
	l.C.add("*,G", if3)
	l.sync()
}

// veto makes c keep i out of every new flow.
func (c *labClient) veto(i Iface) {
	c.creation = func(a *CreationAlert) {
		for k := range a.OIFs {
			if a.OIFs[k].Iface == i {
				a.OIFs[k].Enabled = false
			}
		}
	}
}

func TestCreation(t *testing.T) {
	run(t, "T60", func(l *lab) {
		l.receivers()
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "B.CREATION(S,G) if1 {if2 igmp}", "C.CREATION(S,G) if1 {if3}",
			"A.J(S,G) f")
		l.wantMFE("S,G", "if1>if2,if3")
	})
	run(t, "T61", func(l *lab) {
		l.packet("S,G", if3)
		l.want("A.RPF(S,G) if1", "A.P(S,G) if1 f")
	})
	run(t, "T62", func(l *lab) {
		l.ok(l.A.TakeInterface(if5))
		l.A.rpf = func(q *RPFQuery) { q.Iface, q.Upstream = if5, l.addr("T") }
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if5>")
		if e, _ := l.m.MFE(l.flow("S,G")); e.Upstream != l.addr("T") || e.InProtocol != l.A.ID() {
			l.t.Errorf("MFE = %+v", e)
		}
	})
	run(t, "T63", func(l *lab) {
		l.A.rpf = func(q *RPFQuery) { q.Iface, q.Upstream = if3, l.addr("T") }
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>")
	})
	run(t, "T64", func(l *lab) {
		l.receivers()
		var got []OIF
		see := func(a *CreationAlert) { got = append(got, a.OIFs...) }
		l.B.creation, l.C.creation = see, see
		l.packet("S,G", if1)
		l.sync()
		want := []OIF{
			{Iface: if2, Membership: true, Enabled: true}, {Iface: if3, Enabled: true},
		}
		if !slices.Equal(got, want) {
			l.t.Errorf("interfaces = %v, want %v", got, want)
		}
	})
	run(t, "T65", func(l *lab) {
		l.ok(l.B.TakeInterface(if5))
		l.B.add("*,G", if2)
		l.B.add("S,G", if5)
		l.sync()
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "B.CREATION(S,G) if1 {if2 igmp, if5}", "A.J(S,G) f")
	})
}

func TestOutgoingChoice(t *testing.T) {
	run(t, "T66", func(l *lab) {
		l.A.add("*,G", if1)
		l.sync()
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "A.P(S,G) if1 f")
		l.wantMFE("S,G", "if1>")
	})
	run(t, "T67", func(l *lab) {
		l.receivers()
		l.C.veto(if3)
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if2")
		if got := fmt.Sprint(l.forwarder.sent); got != "[if2]" {
			l.t.Errorf("sent on %s", got)
		}
	})
	run(t, "T68", func(l *lab) {
		l.receivers()
		early := func(*CreationAlert) {
			if len(l.forwarder.sent) > 0 || l.forwarder.sets > 0 {
				l.t.Error("forwarded before all answers")
			}
		}
		l.B.creation, l.C.creation = early, early
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if2,if3")
		if got := fmt.Sprint(l.forwarder.sent); got != "[if2 if3]" {
			l.t.Errorf("sent on %s", got)
		}
	})
	run(t, "both veto", func(l *lab) {
		l.receivers()
		l.B.veto(if2)
		l.C.veto(if3)
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "B.CREATION(S,G) if1 {if2 igmp}", "C.CREATION(S,G) if1 {if3}",
			"A.P(S,G) if1 f")
		l.wantMFE("S,G", "if1>")
		l.C.add("*,G", if3)
		l.want("A.J(S,G) f")
		l.wantMFE("S,G", "if1>if3")
	})
}

func TestLocalGroups(t *testing.T) {
	run(t, "T84", func(l *lab) {
		l.B.add("*,*", if2)
		l.sync()
		local := []string{"224.0.0.5", "224.0.0.255"}
		if l.m.v6 {
			local = []string{"ff02::1", "ff01::1", "ff12::1:1", "ff00::1", "ff31::1"}
		}
		for _, g := range local {
			f := Flow{Source: l.addr("S"), Group: netip.MustParseAddr(g)}
			l.forwarder.packet(f, if1)
			l.want()
			if _, err := l.m.MFE(f); err == nil {
				l.t.Errorf("%s has an MFE", g)
			}
		}
	})
}

func TestNegativeAndTimeout(t *testing.T) {
	run(t, "T69", func(l *lab) {
		var timeout time.Duration
		l.A.prune = func(p *PruneAlert) { timeout = p.Timeout }
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "A.P(S,G) if1 f")
		l.wantMFE("S,G", "if1>")
		if timeout != 900*time.Second {
			l.t.Errorf("timeout = %v", timeout)
		}
	})
	run(t, "T70", func(l *lab) {
		l.A.prune = func(p *PruneAlert) { p.Timeout = time.Minute }
		l.packet("S,G", if1)
		l.sync()
		if e, err := l.m.MFE(l.flow("S,G")); err != nil || e.Timeout != time.Minute {
			l.t.Errorf("MFE = %+v, %v", e, err)
		}
		time.Sleep(time.Minute - 1)
		l.wantMFE("S,G", "if1>")
		time.Sleep(1)
		if _, err := l.m.MFE(l.flow("S,G")); err == nil { // even before Sync
			l.t.Error("MFE outlives its timeout")
		}
		l.wantMFE("S,G", "none")
		l.want()
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "A.P(S,G) if1 f")
	})
	run(t, "T71", func(l *lab) {
		l.receivers()
		l.packet("S,G", if1)
		l.sync()
		l.B.prune = func(p *PruneAlert) { p.Timeout = time.Second }
		l.C.del("*,G", if3)
		l.want("B.P(*,G) if3 t")
		if e, _ := l.m.MFE(l.flow("S,G")); e.Timeout != 900*time.Second {
			l.t.Errorf("timeout = %v", e.Timeout)
		}
	})
}

func TestLifetime(t *testing.T) {
	run(t, "T72", func(l *lab) {
		l.receivers()
		l.packet("S,G", if1)
		l.sync()
		for range 4 {
			e, err := l.m.MFE(l.flow("S,G"))
			if err != nil || e.Timeout != 900*time.Second || e.Up+e.Expiry != e.Timeout {
				l.t.Errorf("MFE = %+v, %v", e, err)
			}
			time.Sleep(200 * time.Second)
		}
	})
	run(t, "10.5", func(l *lab) {
		l.B.add("*,G", if2)
		l.packet("S,G", if1)
		l.sync()
		time.Sleep(2 * time.Minute)
		for answer, want := range map[time.Duration]string{0: "if1>", -1: "if1>"} {
			l.A.prune = func(p *PruneAlert) { p.Timeout = answer }
			l.B.del("*,G", if2)
			l.wantMFE("S,G", want)
			l.B.add("*,G", if2)
			l.wantMFE("S,G", "if1>if2")
		}
		l.A.prune = func(p *PruneAlert) { p.Timeout = time.Minute } // has passed
		l.B.del("*,G", if2)
		l.wantMFE("S,G", "none")
	})
}

func TestTransitions(t *testing.T) {
	run(t, "T73", func(l *lab) {
		l.receivers()
		l.packet("S,G", if1)
		l.sync()
		for range 1000 {
			l.packet("S,G", if1)
		}
		l.want()
	})
	run(t, "T74", func(l *lab) {
		l.packet("S,G", if1)
		l.sync()
		l.B.add("*,G", if2)
		l.want("A.J(*,G) t", "C.J(*,G) t", "A.J(S,G) f")
		l.wantMFE("S,G", "if1>if2")
	})
	run(t, "T75", func(l *lab) {
		l.packet("S,G", if1)
		l.B.add("*,G", if2)
		l.sync()
		l.B.del("*,G", if2)
		l.want("A.P(*,G) if2 t", "C.P(*,G) if2 t", "A.P(S,G) if1 f")
		l.wantMFE("S,G", "if1>")
	})
	run(t, "T76", func(l *lab) {
		l.B.add("*,G", if2)
		l.packet("S,G", if1)
		l.sync()
		l.C.add("*,G", if3)
		l.want("B.J(*,G) t")
	})
}

func TestExpiry(t *testing.T) {
	run(t, "T77", func(l *lab) {
		l.receivers()
		l.packet("S,G", if1)
		l.sync()
		time.Sleep(450 * time.Second)
		l.packet("S,G", if1) // traffic does not extend the lifetime
		time.Sleep(450 * time.Second)
		l.wantMFE("S,G", "none")
		l.want()
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "B.CREATION(S,G) if1 {if2 igmp}", "C.CREATION(S,G) if1 {if3}",
			"A.J(S,G) f")
	})
	run(t, "T78", func(l *lab) {
		l.receivers()
		l.C.veto(if3)
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if2")
		time.Sleep(900 * time.Second)
		l.sync()
		l.C.creation = nil
		l.packet("S,G", if1)
		if got := strings.Join(l.sync(), "; "); !strings.Contains(got, "C.CREATION(S,G)") {
			l.t.Errorf("callbacks = %s", got)
		}
		l.wantMFE("S,G", "if1>if2,if3")
	})
	run(t, "active flow", func(l *lab) {
		l.receivers()
		l.C.veto(if3)
		l.packet("S,G", if1)
		l.sync()
		deletes := l.forwarder.deletes
		for range 899 {
			time.Sleep(time.Second)
			l.packet("S,G", if1)
		}
		l.want()
		l.forwarder.mu.Lock() // its next use is the manager's
		l.C.creation = nil
		l.forwarder.mu.Unlock()
		time.Sleep(time.Second)
		l.want("A.RPF(S,G) if1", "B.CREATION(S,G) if1 {if2 igmp}", "C.CREATION(S,G) if1 {if3}",
			"A.J(S,G) f")
		l.wantMFE("S,G", "if1>if2,if3")
		e, _ := l.m.MFE(l.flow("S,G"))
		if l.forwarder.deletes != deletes || e.Up != 0 || e.Timeout != 900*time.Second {
			l.t.Errorf("deletes = %d, were %d; MFE = %+v", l.forwarder.deletes, deletes, e)
		}
	})
}

func TestWrongInterface(t *testing.T) {
	run(t, "T79", func(l *lab) {
		l.B.add("*,G", if2)
		l.packet("S,G", if3)
		l.sync()
		l.packet("S,G", if3)
		l.want()
		s, err := l.m.MFEStats(l.flow("S,G"))
		if err != nil || s.Stats.DifferentIf != 2 || s.Stats.TotalOutPackets != 0 {
			l.t.Errorf("stats = %+v, %v", s, err)
		}
	})
	run(t, "T80", func(l *lab) {
		l.B.add("*,G", if2)
		l.packet("S,G", if1)
		l.ok(l.C.SetWrongIfAlerts(if3, true))
		l.sync()
		for range 100 {
			l.packet("S,G", if3)
			time.Sleep(10 * time.Millisecond)
		}
		l.want("C.WRONG_IF(S,G) if3")
		time.Sleep(2 * time.Second)
		l.packet("S,G", if3)
		l.want("C.WRONG_IF(S,G) if3")
		l.ok(l.C.SetWrongIfAlerts(if3, false))
		time.Sleep(3 * time.Second)
		l.packet("S,G", if3)
		l.want()
	})
	run(t, "arming", func(l *lab) {
		l.wantErr(l.A.SetWrongIfAlerts(if3, true), ErrNotOwner)
		l.wantErr(l.I.SetWrongIfAlerts(if2, true), ErrNotOwner)
		l.wantErr(l.A.SetWrongIfAlerts(if9, true), ErrInterfaceNotFound)
		l.ok(l.I.SetWrongIfAlerts(if4, true))
		l.packet("S,G", if1)
		l.ok(l.C.SetWrongIfAlerts(if3, true))
		l.ok(l.C.ReleaseInterface(if3))
		l.ok(l.C.TakeInterface(if3))
		l.sync()
		l.packet("S,G", if3)
		l.want() // a new stay starts disarmed
	})
}
