package router_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"umroute/mgm"
	"umroute/routing"
	"umroute/routing/proxy"
	"umroute/routing/static"
	"umroute/stack/membership"
)

// meeting is one manager with its real clients, none of which knows another:
//
//	if1   A: a proxy's upstream interface
//	if2   B: static routes, and IGMP
//	if3   C: further static routes; if5 as well
//	if4   IGMP alone
//
// Sources S are expected on if1, T on if3. What the clients are told is written
// down.
type meeting struct {
	t       *testing.T
	manager *mgm.Manager
	rib     *routing.RIB
	a       *proxy.Proxy
	wants   *upstreamGroups
	b, c    *static.Machine
	igmp    *membership.Router
	clients map[string]*mgm.Client
	now     time.Time

	mu  sync.Mutex
	log []string
}

var (
	meetingGroup = netip.MustParseAddr("239.1.1.1")
	addresses    = map[string]netip.Addr{
		"S": netip.MustParseAddr("10.9.0.1"), "T": netip.MustParseAddr("10.8.0.1"),
		"G": meetingGroup, "H": netip.MustParseAddr("239.1.1.2"),
		"X": netip.MustParseAddr("239.255.0.1"), "*": {},
	}
)

// upstreamGroups is what the proxy's upstream link is asked for.
type upstreamGroups struct{ filters map[netip.Addr]proxy.Filter }

func (u *upstreamGroups) SetFilter(_ time.Time, group netip.Addr, f proxy.Filter) {
	u.filters[group] = f
}
func (u *upstreamGroups) LeaveAll(time.Time)              { clear(u.filters) }
func (u *upstreamGroups) Advance(time.Time)               {}
func (u *upstreamGroups) Deadline() (t time.Time, _ bool) { return t, false }

// noPackets is a data plane that nothing runs through.
type noPackets struct{}

func (noPackets) Set(mgm.MFE) error                             { return nil }
func (noPackets) Delete(mgm.Flow)                               {}
func (noPackets) Stats(mgm.Flow) (s mgm.ForwarderStats, _ bool) { return s, false }

func key(number uint32) mgm.Iface { return mgm.Iface{Index: number} }

func newMeeting(t *testing.T) *meeting {
	m := &meeting{t: t, clients: make(map[string]*mgm.Client), now: time.Unix(1_000_000, 0),
		wants: &upstreamGroups{make(map[netip.Addr]proxy.Filter)}}
	m.rib = routing.NewRIB(func(p netip.Prefix) { m.manager.RouteChanged(p) })
	var err error
	m.manager, err = mgm.New(mgm.Config{RIB: m.rib, Forwarder: noPackets{}})
	m.must(err)
	t.Cleanup(func() { m.manager.Close() })
	m.a = proxy.New(proxy.Config{Flows: m.manager.MFEsAfter})
	m.a.Bind(m.register("A", 1, mgm.RoleRouting, m.a.Callbacks()), func(func(mgm.Entry) bool) {})
	m.b, m.c = m.newStatic("B", 2), m.newStatic("C", 3)
	var suspend, resume func(mgm.Iface)
	igmp := m.register("I", 10, mgm.RoleMembership, mgm.Callbacks{
		DisableMembership: func(i mgm.Iface) { suspend(i) },
		EnableMembership:  func(i mgm.Iface) { resume(i) },
	})
	m.igmp = membership.New(membership.Config{Family: membership.IGMP, Members: igmp})
	suspend = func(i mgm.Iface) { m.igmp.Suspend(i.Index) }
	resume = func(i mgm.Iface) { m.igmp.Resume(m.now, i.Index) }
	for index := range uint32(5) {
		m.must(m.rib.SetConnected(index+1, nil))
	}
	m.routeTo(map[string]uint32{"S": 1, "T": 3})
	m.populate(igmp)
	return m
}

// populate has everybody take its interfaces. B and C do so by routes for a
// group that nothing else is about.
func (m *meeting) populate(igmp *mgm.Client) {
	for _, index := range []uint32{2, 4} {
		m.must(igmp.TakeInterface(key(index)))
		m.must(m.igmp.AddInterface(m.now, membership.InterfaceConfig{Index: index,
			Name: fmt.Sprint("if", index)}))
	}
	m.must(m.a.AddUpstream(m.now, 1, m.wants))
	for index := range uint32(5) {
		name := fmt.Sprint("if", index+1)
		m.b.AddInterface(name, index+1)
		m.c.AddInterface(name, index+1)
	}
	m.must(m.b.Add(wish("*,X", "if2")))
	m.must(m.c.Add(wish("*,X", "if3", "if5")))
	m.settle()
}

func (m *meeting) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *meeting) newStatic(name string, id mgm.ProtocolID) *static.Machine {
	machine, err := static.New(static.Config{
		Manager: m.manager,
		Register: func(calls mgm.Callbacks) (static.Client, error) {
			return m.register(name, id, mgm.RoleRouting, calls), nil
		},
	})
	m.must(err)
	return machine
}

// register registers a client whose callbacks are written down.
func (m *meeting) register(name string, id mgm.ProtocolID, role mgm.Role,
	calls mgm.Callbacks) *mgm.Client {
	client, err := m.manager.Register(mgm.ClientID{Protocol: id}, role, m.noted(name, calls))
	m.must(err)
	m.clients[name] = client
	return client
}

// note writes a line of the log.
func (m *meeting) note(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

// call calls a callback that may be absent.
func call[T any](f func(T), argument T) {
	if f != nil {
		f(argument)
	}
}

// kind is "t" for what a membership caused, "f" for what an entry did.
func kind(member bool) string {
	if member {
		return "t"
	}
	return "f"
}

func (m *meeting) noted(name string, calls mgm.Callbacks) mgm.Callbacks {
	if name == "I" { // IGMP has no use for the others
		return mgm.Callbacks{
			DisableMembership: func(i mgm.Iface) {
				m.note("%s.DISABLE if%d", name, i.Index)
				calls.DisableMembership(i)
			},
			EnableMembership: func(i mgm.Iface) {
				m.note("%s.ENABLE if%d", name, i.Index)
				calls.EnableMembership(i)
			},
		}
	}
	return mgm.Callbacks{
		RPF: func(q *mgm.RPFQuery) {
			m.note("%s.RPF%s", name, entryText(mgm.Entry(q.Flow)))
			call(calls.RPF, q)
		},
		CreationAlert: func(a *mgm.CreationAlert) {
			var outs []string
			for _, o := range a.OIFs {
				outs = append(outs, fmt.Sprint("if", o.Iface.Index))
			}
			m.note("%s.C%s {%s}", name, entryText(mgm.Entry(a.Flow)), strings.Join(outs, ","))
			call(calls.CreationAlert, a)
		},
		JoinAlert: func(a mgm.JoinAlert) {
			m.note("%s.J%s %s", name, entryText(a.Entry), kind(a.MemberUpdate))
			call(calls.JoinAlert, a)
		},
		PruneAlert: func(a *mgm.PruneAlert) {
			m.note("%s.P%s if%d %s", name, entryText(a.Entry), a.Iface.Index, kind(a.MemberDelete))
			call(calls.PruneAlert, a)
		},
		LocalJoin: func(c mgm.LocalChange) {
			m.note("%s.LJ%s if%d", name, entryText(c.Entry), c.Iface.Index)
			call(calls.LocalJoin, c)
		},
		LocalLeave: func(c mgm.LocalChange) {
			m.note("%s.LL%s if%d", name, entryText(c.Entry), c.Iface.Index)
			call(calls.LocalLeave, c)
		},
	}
}

// entryText is an entry as "(S,G)".
func entryText(e mgm.Entry) string {
	name := func(a netip.Addr) string {
		for name, known := range addresses {
			if known == a {
				return name
			}
		}
		return a.String()
	}
	return "(" + name(e.Source) + "," + name(e.Group) + ")"
}

// wish is a static route "S,G" or "*,G" without incoming interface.
func wish(entry string, outs ...string) static.Route {
	source, group, _ := strings.Cut(entry, ",")
	r := static.Route{Key: static.Key{Group: netip.PrefixFrom(addresses[group], 32)}, Out: outs}
	if source != "*" {
		r.Source = netip.PrefixFrom(addresses[source], 32)
	}
	return r
}

// routeTo makes these the interfaces on which sources are expected.
func (m *meeting) routeTo(sources map[string]uint32) {
	m.t.Helper()
	var routes []routing.RPFRoute
	for name, index := range sources {
		routes = append(routes, routing.RPFRoute{
			Prefix: netip.PrefixFrom(addresses[name], 32), Index: index})
	}
	m.must(m.rib.SetMulticast(routes))
}

// packet has the data plane meet the first packet of a flow.
func (m *meeting) packet(entry string) {
	source, group, _ := strings.Cut(entry, ",")
	f := mgm.Flow{Source: addresses[source], Group: addresses[group]}
	m.manager.HandleMiss(f, mgm.Iface{}, nil)
}

// settle waits until everybody has done its part, and takes the log.
func (m *meeting) settle() []string {
	m.t.Helper()
	for range 3 {
		m.must(m.manager.Sync(context.Background()))
		m.now = m.now.Add(10 * time.Second)
		m.a.Advance(m.now)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	log := m.log
	m.log = nil
	return log
}

// want checks what the last event made the manager say.
func (m *meeting) want(event string, lines ...string) {
	m.t.Helper()
	if d := cmp.Diff(lines, m.settle()); d != "" {
		m.t.Errorf("%s (-want +got):\n%s", event, d)
	}
}

// wantMFE checks an entry, "if1>if2,if3", "" for none.
func (m *meeting) wantMFE(entry, want string) {
	m.t.Helper()
	source, group, _ := strings.Cut(entry, ",")
	got := ""
	e, err := m.manager.MFE(mgm.Flow{Source: addresses[source], Group: addresses[group]})
	if err == nil {
		var outs []string
		for _, i := range e.OIFs {
			outs = append(outs, fmt.Sprint("if", i.Index))
		}
		got = fmt.Sprintf("if%d>%s", e.In.Index, strings.Join(outs, ","))
	}
	if got != want {
		m.t.Errorf("entry (%s) is %q, want %q", entry, got, want)
	}
}

// wantUpstream checks whether the proxy asks for G upstream.
func (m *meeting) wantUpstream(want string) {
	m.t.Helper()
	got := "nothing"
	if f := m.wants.filters[meetingGroup]; !f.IsZero() {
		got = f.String()
	}
	if got != want {
		m.t.Errorf("asked for upstream: %s, want %s", got, want)
	}
}

func (m *meeting) join(index uint32, entry string) {
	source, group, _ := strings.Cut(entry, ",")
	m.must(m.igmp.Join(m.now, index, addresses[source], addresses[group]))
}

func (m *meeting) leave(index uint32, entry string) {
	source, group, _ := strings.Cut(entry, ",")
	m.must(m.igmp.Leave(m.now, index, addresses[source], addresses[group]))
}

// owner names who holds an interface.
func (m *meeting) owner(index uint32) string {
	id, err := m.manager.Owner(key(index))
	for name, c := range m.clients {
		if err == nil && c.ID() == id {
			return name
		}
	}
	return ""
}

var errHeld = mgm.ErrInterfacesHeld

// refused checks an error.
func (m *meeting) refused(err, want error) {
	m.t.Helper()
	if !errors.Is(err, want) {
		m.t.Errorf("got %v, want %v", err, want)
	}
}

// memberships counts those of a group.
func (m *meeting) memberships(group string) int {
	return len(slices.Collect(func(yield func(mgm.Entry) bool) {
		for e := range m.clients["A"].Memberships(mgm.AllSources) {
			if e.Group == addresses[group] && !yield(e) {
				return
			}
		}
	}))
}
