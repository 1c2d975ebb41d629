package mgm

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestRouteChange(t *testing.T) {
	run(t, "T81", func(l *lab) {
		l.receivers()
		l.packet("S,G", if1)
		l.sync()
		l.route("S", if3)
		l.want("C.RPF(S,G) if3", "A.P(S,G) if1 f", "C.J(S,G) f")
		l.wantMFE("S,G", "if3>if2")
	})
	run(t, "T82", func(l *lab) {
		l.ok(l.A.TakeInterface(if5))
		l.receivers()
		l.packet("S,G", if1)
		l.sync()
		l.route("S", if5)
		l.want("A.RPF(S,G) if5")
		l.wantMFE("S,G", "if5>if2,if3")
	})
	run(t, "T83", func(l *lab) {
		l.B.add("*,G", if2)
		l.sync()
		l.packet("U,G", if1)
		l.want()
		l.wantMFE("U,G", ">")
		l.route("U", if1)
		l.want("A.RPF(U,G) if1", "A.J(U,G) f")
		l.wantMFE("U,G", "if1>if2")
	})
}

func TestRouteLost(t *testing.T) {
	run(t, "lost", func(l *lab) { // 5.9
		l.ok(l.C.TakeInterface(if5))
		l.receivers()
		l.packet("S,G", if1)
		l.sync()
		l.route("S", if3)
		l.want("C.RPF(S,G) if3", "A.P(S,G) if1 f", "C.J(S,G) f")
		l.wantMFE("S,G", "if3>if2")
		l.route("S", if5)
		l.want("C.RPF(S,G) if5")
		l.wantMFE("S,G", "if5>if2,if3")
		l.route("S", Iface{})
		l.want("C.P(S,G) if5 f")
		l.wantMFE("S,G", "none")
	})
	run(t, "old iif becomes oif", func(l *lab) {
		l.A.add("*,G", if1)
		l.B.add("*,G", if2)
		l.sync()
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if2")
		l.route("S", if3)
		l.wantMFE("S,G", "if3>if1,if2")
	})
}

func TestRouteOfSource(t *testing.T) {
	run(t, "10.9", func(l *lab) {
		l.B.add("S,G", if2)
		l.want("A.J(S,G) t")
		l.route("S", if3)
		l.want("A.P(S,G) if1 t", "C.J(S,G) t")
		l.route("S", Iface{})
		l.want("C.P(S,G) if3 t")
		l.route("S", if1)
		l.want("A.J(S,G) t")
		l.route("S", if2) // B does not fetch for itself
		l.want("A.P(S,G) if1 t")
		l.C.add("S,G", if3)
		l.want("B.J(S,G) t")
		l.route("S", if9)
		l.want("B.P(S,G) if2 t")
		l.ok(l.A.TakeInterface(if9)) // the interface gets a holder
		l.want("A.J(S,G) t")
		l.ok(l.A.ReleaseInterface(if9))
		l.want("A.P(S,G) if9 t")
	})
}

func TestRouteUnchanged(t *testing.T) {
	run(t, "10.14", func(l *lab) {
		l.receivers()
		l.packet("S,G", if1)
		l.packet("T,G", if3)
		l.sync()
		l.m.RouteChanged(netip.Prefix{}) // nothing differs
		l.m.RouteChanged(netip.PrefixFrom(l.addr("S"), 0))
		l.want()
		l.rib.mu.Lock()
		r := l.rib.routes[l.addr("S")]
		r.NextHop = l.addr("U")
		l.rib.routes[l.addr("S")] = r
		l.rib.mu.Unlock()
		l.m.RouteChanged(netip.PrefixFrom(l.addr("S"), 8))
		l.want("A.RPF(S,G) if1")
		if e, _ := l.m.MFE(l.flow("S,G")); e.Upstream != l.addr("U") || e.Route != r {
			l.t.Errorf("MFE = %+v", e)
		}
	})
	run(t, "to an unheld interface", func(l *lab) {
		l.B.add("*,G", if2)
		l.sync()
		l.packet("S,G", if1)
		l.sync()
		l.route("S", if9)
		l.want("A.P(S,G) if1 f")
		l.wantMFE("S,G", "none")
		l.packet("S,G", if1)
		l.want()
		l.wantMFE("S,G", "if9>")
		l.ok(l.A.TakeInterface(if9)) // 10.4: the next packet asks A
		l.wantMFE("S,G", "none")
		l.packet("S,G", if9)
		l.want("A.RPF(S,G) if9", "B.CREATION(S,G) if9 {if2 igmp}", "A.J(S,G) f")
	})
}

// Changes that come while callbacks of a creation run.
func TestCreationRaces(t *testing.T) {
	run(t, "join during creation", func(l *lab) {
		l.B.add("*,G", if2)
		l.sync()
		l.B.creation = func(*CreationAlert) { l.C.add("S,G", if3) }
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "B.CREATION(S,G) if1 {if2 igmp}", "C.CREATION(S,G) if1 {if3}",
			"A.J(S,G) t", "A.J(S,G) f")
		l.wantMFE("S,G", "if1>if2,if3")
	})
	run(t, "leave during creation", func(l *lab) {
		l.receivers()
		l.B.creation = func(*CreationAlert) { l.C.del("*,G", if3) }
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "B.CREATION(S,G) if1 {if2 igmp}", "B.P(*,G) if3 t", "A.J(S,G) f")
		l.wantMFE("S,G", "if1>if2")
	})
	run(t, "veto lifted during creation", func(l *lab) {
		l.receivers()
		l.B.veto(if2)
		l.C.creation = func(*CreationAlert) { l.B.add("*,G", if2) }
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if2,if3")
	})
}

func TestCreationRestarts(t *testing.T) {
	run(t, "holder changes during RPF", func(l *lab) {
		l.B.add("*,G", if2)
		l.sync()
		l.A.rpf = func(*RPFQuery) {
			l.A.rpf = nil
			l.ok(l.A.ReleaseInterface(if1))
			l.ok(l.C.TakeInterface(if1))
		}
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "C.RPF(S,G) if1", "B.CREATION(S,G) if1 {if2 igmp}", "C.J(S,G) f")
		if e, _ := l.m.MFE(l.flow("S,G")); e.InProtocol != l.C.ID() {
			l.t.Errorf("MFE = %+v", e)
		}
	})
	run(t, "route changes during creation", func(l *lab) {
		l.receivers()
		l.B.creation = func(*CreationAlert) { l.B.creation = nil; l.route("S", if3) }
		l.packet("S,G", if1)
		l.want("A.RPF(S,G) if1", "B.CREATION(S,G) if1 {if2 igmp}", "C.CREATION(S,G) if1 {if3}",
			"A.J(S,G) f", "C.RPF(S,G) if3", "A.P(S,G) if1 f", "C.J(S,G) f")
		l.wantMFE("S,G", "if3>if2")
	})
	run(t, "oif released during creation", func(l *lab) {
		l.receivers()
		l.B.creation = func(*CreationAlert) { l.ok(l.C.ReleaseInterface(if3)) }
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if2")
	})
}

func TestForwarderRefuses(t *testing.T) {
	run(t, "refused", func(l *lab) {
		l.B.add("*,G", if2)
		l.sync()
		l.forwarder.mu.Lock()
		l.forwarder.refuse = fmt.Errorf("table full")
		l.forwarder.mu.Unlock()
		l.packet("S,G", if1)
		l.sync()
		if got := l.forwarder.text(l.flow("S,G")); got != "none" {
			l.t.Errorf("forwarder has %s", got)
		}
		l.forwarder.mu.Lock()
		l.forwarder.refuse = nil
		l.forwarder.mu.Unlock()
		l.packet("S,G", if1) // its next miss brings the entry, and asks nobody
		l.want()
		l.wantMFE("S,G", "if1>if2")
	})
}
