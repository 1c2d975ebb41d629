package mgm

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// lab is a router for tests. Its clients write what they are told into a trace, in short:
//
//	A.RPF(S,G) if1    B.CREATION(S,G) if1 {if2 igmp}   A.J(*,G) t    A.P(S,G) if1 f
//	B.LOCAL_JOIN(*,G) if2    I.DISABLE if4    C.WRONG_IF(S,G) if3
//
// t and f tell alerts about memberships from those about MFEs.
type lab struct {
	t         *testing.T
	m         *Manager
	rib       *fakeRIB
	forwarder *fakeForwarder
	names     map[string]netip.Addr
	letters   map[netip.Addr]string

	mu    sync.Mutex
	trace []string
	hook  func(string) // called in every callback, with the trace line

	A, B, C, I *labClient
}

// labClient is a client of a lab, with its answers.
type labClient struct {
	*Client
	lab      *lab
	name     string
	rpf      func(*RPFQuery)
	creation func(*CreationAlert)
	prune    func(*PruneAlert)
}

func ifc(index uint32) Iface { return Iface{Index: index} }

var if1, if2, if3, if4, if5, if9 = ifc(1), ifc(2), ifc(3), ifc(4), ifc(5), ifc(9)

// addresses of both families, in ascending order for each kind.
func labNames(v6 bool) map[string]netip.Addr {
	names := make(map[string]netip.Addr)
	for i, n := range []string{"S", "S2", "T", "U"} {
		names[n] = netip.AddrFrom4([4]byte{10, byte(i), 0, 1})
		if v6 {
			names[n] = netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::1", i))
		}
	}
	for i, n := range []string{"G", "H", "K", "X"} {
		names[n] = netip.AddrFrom4([4]byte{239, 1, 1, byte(i + 1)})
		if v6 {
			names[n] = netip.MustParseAddr(fmt.Sprintf("ff3e::%d", i+1))
		}
	}
	return names
}

// newLab makes the common router: A owns if1; B owns if2, where IGMP runs too; C owns if3;
// IGMP has if4 alone. The RIB sends S to if1 and T to if3.
func newLab(t *testing.T, cfg Config) *lab {
	l := emptyLab(t, cfg)
	l.A = l.register("A", 1, RoleRouting)
	l.B = l.register("B", 2, RoleRouting)
	l.C = l.register("C", 3, RoleRouting)
	l.I = l.register("I", 10, RoleMembership)
	l.ok(l.A.TakeInterface(if1))
	l.ok(l.B.TakeInterface(if2))
	l.ok(l.C.TakeInterface(if3))
	l.ok(l.I.TakeInterface(if2))
	l.ok(l.I.TakeInterface(if4))
	l.rib.set(l.addr("S"), if1)
	l.rib.set(l.addr("S2"), if1)
	l.rib.set(l.addr("T"), if3)
	l.want()
	return l
}

// emptyLab is a lab without clients and routes.
func emptyLab(t *testing.T, cfg Config) *lab {
	t.Helper()
	l := &lab{t: t, rib: newFakeRIB(), names: labNames(cfg.IPv6)}
	l.forwarder = &fakeForwarder{entries: make(map[Flow]*fakeEntry)}
	l.letters = make(map[netip.Addr]string)
	for n, a := range l.names {
		l.letters[a] = n
	}
	cfg.RIB, cfg.Forwarder = l.rib, l.forwarder
	m, err := New(cfg)
	l.ok(err)
	l.m = m
	l.forwarder.m = m
	t.Cleanup(func() { m.Close() })
	return l
}

func (l *lab) register(name string, id ProtocolID, role Role) *labClient {
	l.t.Helper()
	c := &labClient{lab: l, name: name}
	client, err := l.m.Register(ClientID{Protocol: id}, role, c.callbacks(role))
	l.ok(err)
	c.Client = client
	return c
}

func (c *labClient) callbacks(role Role) Callbacks {
	note := c.lab.note
	calls := Callbacks{
		LocalJoin: func(j LocalChange) {
			note("%s.LOCAL_JOIN%s %s%s", c.name, c.lab.text(j.Entry), ifText(j.Iface), mark2(j))
		},
		LocalLeave: func(j LocalChange) {
			note("%s.LOCAL_LEAVE%s %s%s", c.name, c.lab.text(j.Entry), ifText(j.Iface), mark2(j))
		},
		DisableMembership: func(i Iface) { note("%s.DISABLE %s", c.name, ifText(i)) },
		EnableMembership:  func(i Iface) { note("%s.ENABLE %s", c.name, ifText(i)) },
	}
	if role == RoleMembership {
		return calls
	}
	calls.RPF = func(q *RPFQuery) {
		note("%s.RPF%s %s", c.name, c.lab.text(Entry(q.Flow)), ifText(q.Iface))
		if c.rpf != nil {
			c.rpf(q)
		}
	}
	calls.CreationAlert = func(a *CreationAlert) {
		note("%s.CREATION%s %s {%s}", c.name, c.lab.text(Entry(a.Flow)), ifText(a.In),
			oifText(a.OIFs))
		if c.creation != nil {
			c.creation(a)
		}
	}
	calls.JoinAlert = func(a JoinAlert) {
		note("%s.J%s %s", c.name, c.lab.text(a.Entry), tf(a.MemberUpdate))
	}
	calls.PruneAlert = func(a *PruneAlert) {
		note("%s.P%s %s %s", c.name, c.lab.text(a.Entry), ifText(a.Iface), tf(a.MemberDelete))
		if c.prune != nil {
			c.prune(a)
		}
	}
	calls.WrongIf = func(w WrongIf) {
		note("%s.WRONG_IF%s %s", c.name, c.lab.text(Entry(w.Flow)), ifText(w.Iface))
	}
	return calls
}

// note adds a line to the trace. Group X is the hook's own, and not traced.
func (l *lab) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	l.mu.Lock()
	if !strings.Contains(line, ",X)") {
		l.trace = append(l.trace, line)
	}
	hook := l.hook
	l.mu.Unlock()
	if hook != nil {
		hook(line)
	}
}

// onCallback sets what is called in every callback.
func (l *lab) onCallback(hook func(line string)) {
	l.mu.Lock()
	l.hook = hook
	l.mu.Unlock()
}

func (l *lab) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// sync waits for all deliveries and returns the trace since the last time.
func (l *lab) sync() []string {
	l.t.Helper()
	l.ok(l.m.Sync(l.t.Context()))
	l.mu.Lock()
	defer l.mu.Unlock()
	trace := l.trace
	l.trace = nil
	return trace
}

// want compares what was traced since the last time, in order.
func (l *lab) want(lines ...string) {
	l.t.Helper()
	got := l.sync()
	if d := cmp.Diff(lines, got); d != "" && len(lines)+len(got) > 0 {
		l.t.Errorf("callbacks (-want +got):\n%s", d)
	}
}

// wantMFE compares the MFE of a flow, written if1>if2,if3; "none" for no MFE. The
// forwarder must have been told the same.
func (l *lab) wantMFE(flow, want string) {
	l.t.Helper()
	l.sync2()
	e, err := l.m.MFE(l.flow(flow))
	got := "none"
	if err == nil {
		got = mfeText(e)
	}
	if got != want {
		l.t.Errorf("MFE %s = %s, want %s", flow, got, want)
	}
	if got := l.forwarder.text(l.flow(flow)); got != want {
		l.t.Errorf("forwarder has %s = %s, want %s", flow, got, want)
	}
}

func (l *lab) sync2() {
	l.t.Helper()
	l.ok(l.m.Sync(l.t.Context()))
}

func (l *lab) addr(name string) netip.Addr {
	if name == "*" {
		return netip.Addr{}
	}
	a, ok := l.names[name]
	if !ok {
		panic("no address is called " + name)
	}
	return a
}

// entry parses "S,G", "*,G" or "*,*".
func (l *lab) entry(text string) Entry {
	source, group, _ := strings.Cut(text, ",")
	return Entry{Source: l.addr(source), Group: l.addr(group)}
}

func (l *lab) flow(text string) Flow { return Flow(l.entry(text)) }

func (l *lab) text(e Entry) string {
	name := func(a netip.Addr) string {
		if !a.IsValid() {
			return "*"
		}
		return l.letters[a]
	}
	return "(" + name(e.Source) + "," + name(e.Group) + ")"
}

// add, del: JoinState, expected to succeed.
func (c *labClient) add(entry string, i Iface) {
	c.lab.t.Helper()
	c.lab.ok(c.AddMembership(c.lab.entry(entry), i, JoinState))
}

func (c *labClient) del(entry string, i Iface) {
	c.lab.t.Helper()
	c.lab.ok(c.DeleteMembership(c.lab.entry(entry), i, JoinState))
}

func ifText(i Iface) string {
	text := fmt.Sprintf("if%d", i.Index)
	if i == (Iface{}) {
		text = ""
	}
	if i.NextHop.IsValid() {
		text += "/" + i.NextHop.String()
	}
	return text
}

func oifText(list []OIF) string {
	var parts []string
	for _, o := range list {
		text := ifText(o.Iface)
		if o.Membership {
			text += " igmp"
		}
		if !o.Enabled {
			text += " off"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

func mfeText(e MFE) string {
	var parts []string
	for _, i := range e.OIFs {
		parts = append(parts, ifText(i))
	}
	return ifText(e.In) + ">" + strings.Join(parts, ",")
}

func tf(b bool) string {
	if b {
		return "t"
	}
	return "f"
}

func mark2(j LocalChange) string {
	if j.Exclude {
		return " exclude"
	}
	return ""
}

// variant is one way to run a test of the lab.
type variant struct {
	name string
	v6   bool
	hook func(*lab) // installed after set-up
}

// run runs a test in a bubble of fake time, as a subtest for each variant.
func run(t *testing.T, id string, test func(*lab)) {
	variants := []variant{{name: "IPv4"}, {name: "IPv6", v6: true}, {name: "T92", hook: reenter}}
	for _, v := range variants {
		t.Run(id+"/"+v.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, Config{IPv6: v.v6})
				if v.hook != nil {
					v.hook(l)
				}
				test(l)
			})
		})
	}
}

// reenter makes every callback of A's call back into the manager (T92).
func reenter(l *lab) {
	l.onCallback(func(line string) {
		if !strings.HasPrefix(line, "A.") {
			return
		}
		x := Entry{Group: l.addr("X")}
		_, _ = l.m.Owner(if1)
		_, _ = l.m.MFE(l.flow("S,G"))
		for range l.m.MFEs() {
		}
		_ = l.A.AddMembership(x, if1, JoinState)
		_ = l.A.DeleteMembership(x, if1, JoinState)
	})
}
