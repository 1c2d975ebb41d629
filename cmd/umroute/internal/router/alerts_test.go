package router_test

import (
	"testing"

	"umroute/mgm"
)

// The tests drive the event sequences of MGM's documentation and RFC 2715 with
// the router's own protocols as the clients. The first argument of want is the
// row.

// TestWildcardJoins is that of joins and leaves without traffic (RFC 2715,
// 3.1.1).
func TestWildcardJoins(t *testing.T) {
	m := newMeeting(t)
	m.must(m.b.Add(wish("*,G", "if2")))
	m.want("B adds (*,G)", "A.J(*,G) t", "C.J(*,G) t")
	m.wantUpstream("EXCLUDE{}")
	m.must(m.c.Add(wish("*,G", "if3")))
	m.want("C adds (*,G)", "B.J(*,G) t")
	m.must(m.c.Add(wish("*,G", "if3", "if5")))
	m.want("C adds a second interface")
	m.must(m.c.Add(wish("*,G", "if5")))
	m.want("C gives up the first")
	m.must(m.c.Add(wish("*,G", "if3")))
	m.want("C changes back")
	m.join(4, "*,G")
	m.want("a third client adds (*,G)")
	m.leave(4, "*,G")
	m.want("the third client deletes")
	m.must(m.c.Delete(wish("*,G").Key))
	m.want("C deletes", "B.P(*,G) if3 t")
	m.wantUpstream("EXCLUDE{}")
	m.must(m.b.Delete(wish("*,G").Key))
	m.want("B deletes", "A.P(*,G) if2 t", "C.P(*,G) if2 t")
	m.wantUpstream("nothing")
}

// TestJoinsAfterTraffic is that of joins to a flow whose entry has no outputs,
// and of the last leave (RFC 2715, rules 4 and 5).
func TestJoinsAfterTraffic(t *testing.T) {
	m := newMeeting(t)
	m.packet("S,G")
	m.want("a packet that nobody wants", "A.RPF(S,G)", "A.P(S,G) if1 f")
	m.wantMFE("S,G", "if1>")
	m.must(m.b.Add(wish("*,G", "if2")))
	m.want("B adds (*,G)", "A.J(*,G) t", "C.J(*,G) t", "A.J(S,G) f")
	m.wantMFE("S,G", "if1>if2")
	m.must(m.b.Delete(wish("*,G").Key))
	m.want("B deletes it", "A.P(*,G) if2 t", "C.P(*,G) if2 t", "A.P(S,G) if1 f")
	m.wantMFE("S,G", "if1>")

	m.must(m.b.Add(wish("S,G", "if2")))
	m.want("B adds (S,G)", "A.J(S,G) t", "A.J(S,G) f")
	m.wantUpstream("INCLUDE{10.9.0.1}")
	m.must(m.b.Add(wish("*,G", "if2")))
	m.want("B adds (*,G), too", "A.J(*,G) t", "C.J(*,G) t")
	m.wantUpstream("EXCLUDE{}")
	m.must(m.b.Delete(wish("S,G").Key))
	m.want("B deletes (S,G)", "A.P(S,G) if2 t")
	m.wantMFE("S,G", "if1>if2")
	m.wantUpstream("EXCLUDE{}") // (*,G) still needs S
}

// TestSourceJoins is that of (S,G) without an entry: its alerts go to the
// owner of the interface towards S alone.
func TestSourceJoins(t *testing.T) {
	m := newMeeting(t)
	m.must(m.b.Add(wish("S,G", "if2")))
	m.want("B adds (S,G)", "A.J(S,G) t")
	m.must(m.c.Add(wish("S,G", "if3")))
	m.want("C adds (S,G)")
	m.must(m.b.Delete(wish("S,G").Key))
	m.want("B deletes")
	m.wantUpstream("INCLUDE{10.9.0.1}")
	m.must(m.c.Delete(wish("S,G").Key))
	m.want("C deletes", "A.P(S,G) if3 t")
	m.wantUpstream("nothing")

	m.must(m.c.Add(wish("T,G", "if5")))
	m.want("C, which T comes in by, adds (T,G)")
	m.must(m.b.Add(wish("T,G", "if2")))
	m.want("B adds (T,G)", "C.J(T,G) t")
	m.must(m.c.Delete(wish("T,G").Key))
	m.want("C deletes")
	m.must(m.b.Delete(wish("T,G").Key))
	m.want("B deletes", "C.P(T,G) if2 t")
}

// TestWantsEverything is that of (*,*), which a proxy has upstream (RFC 2715,
// rule 6).
func TestWantsEverything(t *testing.T) {
	m := newMeeting(t)
	m.must(m.b.Add(wish("*,G", "if2")))
	m.settle()
	m.packet("T,G")
	m.want("a packet for two", "C.RPF(T,G)", "A.C(T,G) {if1}", "B.C(T,G) {if2}", "C.J(T,G) f")
	m.wantMFE("T,G", "if3>if2") // the proxy sends up what its downstream links send
	m.packet("T,H")
	m.want("a packet for who wants all", "C.RPF(T,H)", "A.C(T,H) {if1}", "C.P(T,H) if3 f")
	m.wantMFE("T,H", "if3>")
	m.must(m.a.AddDownstream(m.now, 4))
	m.settle()
	m.routeTo(map[string]uint32{"S": 4, "T": 3})
	m.packet("S,H")
	m.want("a packet from downstream", "A.RPF(S,H)", "A.C(S,H) {if1}")
	m.wantMFE("S,H", "if4>if1")
	m.a.RemoveInterface(m.now, 1)
	m.want("the proxy gives up its upstream", "B.P(*,*) if1 t", "C.P(*,*) if1 t")
	m.wantMFE("S,H", "if4>")
}

// TestListeners is that of IGMP on owned and unowned interfaces.
func TestListeners(t *testing.T) {
	m := newMeeting(t)
	m.join(2, "*,G")
	m.want("IGMP adds (*,G) on if2, B's", "B.LJ(*,G) if2", "A.J(*,G) t", "C.J(*,G) t")
	m.wantUpstream("EXCLUDE{}")
	m.must(m.b.Add(wish("*,G", "if2")))
	m.want("B adds it itself")
	m.join(4, "*,G")
	m.want("IGMP adds (*,G) on if4, nobody's", "B.J(*,G) t")
	m.packet("S,G")
	m.want("a packet", "A.RPF(S,G)", "B.C(S,G) {if2}", "A.J(S,G) f")
	m.wantMFE("S,G", "if1>if2,if4")
	m.leave(4, "*,G")
	m.want("IGMP deletes on if4", "B.P(*,G) if4 t")
	m.leave(2, "*,G")
	m.want("IGMP deletes on if2", "B.LL(*,G) if2")
	m.wantMFE("S,G", "if1>if2")
	m.must(m.b.Delete(wish("*,G").Key))
	m.want("B deletes on if2", "A.P(*,G) if2 t", "C.P(*,G) if2 t", "A.P(S,G) if1 f")
	m.wantMFE("S,G", "if1>")

	m.join(2, "*,G")
	m.settle()
	m.leave(2, "*,G")
	m.want("IGMP deletes what B has not", "B.LL(*,G) if2", "A.P(*,G) if2 t", "C.P(*,G) if2 t",
		"A.P(S,G) if1 f")
	m.wantUpstream("nothing")
}

// TestOwnership is that of a protocol that takes an interface where IGMP runs,
// and gives it back.
func TestOwnership(t *testing.T) {
	m := newMeeting(t)
	m.join(4, "*,G")
	m.settle()
	m.must(m.c.Add(wish("*,X", "if3", "if4", "if5")))
	m.want("C takes if4", "I.DISABLE if4", "A.P(*,G) if4 t", "B.P(*,G) if4 t", "C.P(*,G) if4 t",
		"I.ENABLE if4", "C.LJ(*,G) if4", "A.J(*,G) t", "B.J(*,G) t")
	if owner := m.owner(4); owner != "C" {
		t.Errorf("if4 belongs to %q", owner)
	}
	m.wantUpstream("EXCLUDE{}")
	m.refused(m.a.AddDownstream(m.now, 4), mgm.ErrInterfaceOwned)
	m.refused(m.b.Add(wish("*,H", "if4")), mgm.ErrInterfaceOwned)
	m.want("A and B try to take if4")
	m.must(m.c.Add(wish("*,X", "if3", "if5")))
	m.want("C releases if4", "I.DISABLE if4", "C.LL(*,G) if4", "A.P(*,G) if4 t", "B.P(*,G) if4 t",
		"I.ENABLE if4", "A.J(*,G) t", "B.J(*,G) t", "C.J(*,G) t")
	if owner := m.owner(4); owner != "I" {
		t.Errorf("if4 belongs to %q", owner)
	}
	if n := m.memberships("G"); n != 1 {
		t.Errorf("%d memberships for G, want IGMP's", n)
	}
}

// TestShutdown is that of a protocol that ends while it has state.
func TestShutdown(t *testing.T) {
	m := newMeeting(t)
	m.must(m.b.Add(wish("*,G", "if2")))
	m.must(m.c.Add(wish("*,G", "if3")))
	m.packet("S,G")
	m.packet("T,G")
	m.settle()
	m.wantMFE("S,G", "if1>if2,if3")
	m.wantMFE("T,G", "if3>if2")
	m.refused(m.clients["C"].Deregister(), errHeld)
	m.want("C deregisters with interfaces")
	m.must(m.c.Set(nil))
	m.must(m.c.Delete(wish("*,G").Key))
	m.must(m.c.Delete(wish("*,X").Key))
	m.want("C gives everything up", "B.P(*,G) if3 t", "B.P(*,X) if5 t")
	m.wantMFE("S,G", "if1>if2")
	m.wantMFE("T,G", "")
	m.must(m.clients["C"].Deregister())
	m.want("C deregisters")
	m.refused(m.clients["C"].TakeInterface(key(3)), mgm.ErrInvalidParameter)
	m.packet("T,G")
	m.want("a packet that comes in where nobody is")
	m.wantMFE("T,G", "if3>")
}

// TestRouteMoves is that of a route that changes (RFC 2715, rule 1). The proxy
// wants everything upstream, so if1 becomes an output when S leaves it.
func TestRouteMoves(t *testing.T) {
	m := newMeeting(t)
	m.must(m.b.Add(wish("*,G", "if2")))
	m.must(m.c.Add(wish("*,G", "if3")))
	m.packet("S,G")
	m.settle()
	m.wantMFE("S,G", "if1>if2,if3")
	m.routeTo(map[string]uint32{"S": 3})
	m.want("the route to S moves to if3", "C.RPF(S,G)", "A.P(S,G) if1 f", "C.J(S,G) f")
	m.wantMFE("S,G", "if3>if1,if2")
	m.routeTo(map[string]uint32{"S": 5})
	m.want("the route moves to another interface of C", "C.RPF(S,G)")
	m.wantMFE("S,G", "if5>if1,if2,if3")
	m.routeTo(nil)
	m.want("the route goes", "C.P(S,G) if5 f")
	m.wantMFE("S,G", "")
}
