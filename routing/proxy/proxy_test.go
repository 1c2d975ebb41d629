package proxy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"umroute/mgm"
)

// The interfaces of the tests.
const (
	wan, wan2, red, blue, green = 1, 2, 3, 4, 5
)

// lab is a manager with a proxy, IGMP, a forwarder that does nothing, and
// listeners that write down what they are told.
type lab struct {
	t       *testing.T
	manager *mgm.Manager
	igmp    *mgm.Client
	client  *mgm.Client
	proxy   *Proxy
	now     time.Time

	mu     sync.Mutex // guards routes
	routes map[netip.Addr]uint32
}

// Lookup implements mgm.RIB: what has no route comes from wan.
func (l *lab) Lookup(source netip.Addr) (mgm.Route, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	index := cmp.Or(l.routes[source], wan)
	return mgm.Route{Prefix: netip.PrefixFrom(source, 32), Iface: iface(index)}, true
}

func iface(index uint32) mgm.Iface { return mgm.Iface{Index: index} }

type mute struct{}

func (mute) Set(mgm.MFE) error                             { return nil }
func (mute) Delete(mgm.Flow)                               {}
func (mute) Stats(mgm.Flow) (s mgm.ForwarderStats, _ bool) { return s, false }

// listener keeps what it is told, as a Host does.
type listener struct {
	wants map[netip.Addr]Filter
	told  []string
}

func (l *listener) SetFilter(_ time.Time, group netip.Addr, f Filter) {
	if l.wants[group].Equal(f) {
		return
	}
	l.wants[group] = f
	l.told = append(l.told, fmt.Sprintf("%v %v", group, f))
}

func (l *listener) LeaveAll(time.Time)              { l.told = append(l.told, "leave all") }
func (l *listener) Advance(time.Time)               {}
func (l *listener) Deadline() (t time.Time, _ bool) { return t, false }

func newListener() *listener { return &listener{wants: make(map[netip.Addr]Filter)} }

func newLab(t *testing.T) *lab {
	l := &lab{t: t, now: time.Unix(1_000_000, 0), routes: map[netip.Addr]uint32{
		sourceB: red, sourceC: green}}
	var err error
	if l.manager, err = mgm.New(mgm.Config{RIB: l, Forwarder: mute{}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.manager.Close() })
	l.igmp, err = l.manager.Register(mgm.ClientID{Protocol: 10}, mgm.RoleMembership, mgm.Callbacks{})
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range []uint32{red, blue, green} {
		l.do(l.igmp.TakeInterface(iface(index)))
	}
	l.proxy = New(Config{Flows: l.manager.MFEsAfter})
	return l
}

// start binds the proxy, with the interfaces that it has in most tests.
func (l *lab) start() *listener {
	l.t.Helper()
	l.bind()
	up := newListener()
	l.do(l.proxy.AddUpstream(l.now, wan, up))
	l.do(l.proxy.AddDownstream(l.now, red))
	l.do(l.proxy.AddDownstream(l.now, blue))
	l.pass(settling)
	return up
}

func (l *lab) bind() {
	l.t.Helper()
	var err error
	l.client, err = l.manager.Register(mgm.ClientID{Protocol: 1}, mgm.RoleRouting,
		l.proxy.Callbacks())
	l.do(err)
	l.proxy.Bind(l.client, l.client.Memberships(mgm.AllSources))
}

func (l *lab) do(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// pass waits until the manager has told all, and lets time pass.
func (l *lab) pass(d time.Duration) {
	l.t.Helper()
	l.do(l.manager.Sync(l.t.Context()))
	l.now = l.now.Add(d)
	l.proxy.Advance(l.now)
	l.do(l.manager.Sync(l.t.Context()))
}

func (l *lab) join(index uint32, source, group netip.Addr) {
	l.t.Helper()
	l.do(l.igmp.AddMembership(mgm.Entry{Source: source, Group: group}, iface(index),
		mgm.JoinState))
}

func (l *lab) leave(index uint32, source, group netip.Addr) {
	l.t.Helper()
	l.do(l.igmp.DeleteMembership(mgm.Entry{Source: source, Group: group}, iface(index),
		mgm.JoinState))
}

// flow has a packet arrive, and returns where the flow goes.
func (l *lab) flow(source, group netip.Addr) (in uint32, out []uint32) {
	l.t.Helper()
	f := mgm.Flow{Source: source, Group: group}
	l.manager.HandleMiss(f, mgm.Iface{}, nil)
	l.do(l.manager.Sync(l.t.Context()))
	entry, err := l.manager.MFE(f)
	l.do(err)
	for _, o := range entry.OIFs {
		out = append(out, o.Index)
	}
	return entry.In.Index, out
}

func (l *lab) wantFlow(source, group netip.Addr, in uint32, out ...uint32) {
	l.t.Helper()
	gotIn, gotOut := l.flow(source, group)
	if gotIn != in || !slices.Equal(gotOut, out) {
		l.t.Errorf("(%v, %v): from %d to %v, want from %d to %v", source, group, gotIn, gotOut,
			in, out)
	}
}

func (l *listener) want(t *testing.T, what string, told ...string) {
	t.Helper()
	if diff := gocmp.Diff(told, l.told); diff != "" && len(told)+len(l.told) > 0 {
		t.Errorf("%s (-want +got)\n%s", what, diff)
	}
	l.told = nil
}

var anySource netip.Addr

func TestUpstreamIsToldTheUnion(t *testing.T) {
	l := newLab(t)
	up := l.start()
	l.join(red, sourceA, groupA)
	l.pass(0)
	up.want(t, "a source", "239.1.1.1 INCLUDE{10.0.0.1}")
	l.do(l.igmp.AddMembership(mgm.Entry{Source: sourceB, Group: groupA}, iface(blue),
		mgm.ExcludeState))
	l.join(blue, anySource, groupA)
	l.pass(0)
	up.want(t, "all but a source", "239.1.1.1 EXCLUDE{10.0.0.2}")
	l.join(red, sourceB, groupA)
	l.pass(0)
	up.want(t, "that source, elsewhere", "239.1.1.1 EXCLUDE{}")
	l.leave(red, sourceA, groupA)
	l.leave(red, sourceB, groupA)
	l.pass(0)
	up.want(t, "one link is left", "239.1.1.1 EXCLUDE{10.0.0.2}")
	l.leave(blue, anySource, groupA)
	l.pass(0)
	up.want(t, "nobody is left", "239.1.1.1 INCLUDE{}")
	if n := len(l.proxy.database.groups); n != 1 { // the exclude record is still there
		t.Errorf("%d groups are kept", n)
	}
}

// A listener moves from one link to another: upstream does not notice.
func TestMoveWithoutGap(t *testing.T) {
	l := newLab(t)
	up := l.start()
	l.join(red, anySource, groupA)
	l.pass(0)
	up.want(t, "join", "239.1.1.1 EXCLUDE{}")
	l.join(blue, anySource, groupA)
	l.leave(red, anySource, groupA)
	l.pass(0)
	up.want(t, "the move")
}

// What an interface that is not the proxy's wants comes by alerts.
func TestOthersAreServed(t *testing.T) {
	l := newLab(t)
	up := l.start()
	l.join(green, anySource, groupA)
	l.join(green, sourceA, groupB)
	l.pass(0)
	up.want(t, "others join", "239.1.1.1 EXCLUDE{}", "239.1.1.2 INCLUDE{10.0.0.1}")
	l.wantFlow(sourceA, groupA, wan, green)
	l.leave(green, anySource, groupA)
	l.leave(green, sourceA, groupB)
	l.pass(0)
	up.want(t, "others leave", "239.1.1.1 INCLUDE{}", "239.1.1.2 INCLUDE{}")
}

// A proxy that starts where memberships exist takes the interfaces over.
func TestLateStart(t *testing.T) {
	l := newLab(t)
	l.join(red, anySource, groupA)
	l.join(green, anySource, groupB)
	l.bind()
	up := newListener()
	l.do(l.proxy.AddUpstream(l.now, wan, up))
	l.pass(0)
	up.want(t, "what was there", "239.1.1.1 EXCLUDE{}", "239.1.1.2 EXCLUDE{}")
	l.do(l.proxy.AddDownstream(l.now, red))
	l.pass(0)
	up.want(t, "IGMP is disabled on the link")
	l.join(red, anySource, groupA) // as IGMP does when it is enabled again
	l.pass(settling)
	up.want(t, "IGMP is back")
	l.proxy.RemoveInterface(l.now, red)
	l.pass(0)
	l.join(red, anySource, groupA)
	l.pass(settling)
	up.want(t, "the link belongs to IGMP again")
	l.leave(red, anySource, groupA)
	l.pass(0)
	up.want(t, "leave", "239.1.1.1 INCLUDE{}")
}

// RFC 4605 section 4.3.
func TestForwarding(t *testing.T) {
	l := newLab(t)
	l.start()
	l.join(red, anySource, groupA)
	l.join(blue, anySource, groupA)
	l.wantFlow(sourceA, groupA, wan, red, blue)
	l.wantFlow(sourceB, groupA, red, wan, blue)
	l.wantFlow(sourceB, groupB, red, wan)
	l.wantFlow(sourceC, groupA, green, red, blue) // not a downstream source
	l.wantFlow(sourceA, groupB, wan)
	l.leave(red, anySource, groupA)
	l.wantFlow(sourceA, groupA, wan, blue)
}

func TestUpstreamLost(t *testing.T) {
	l := newLab(t)
	up := l.start()
	l.join(blue, anySource, groupA)
	l.pass(0)
	l.wantFlow(sourceB, groupA, red, wan, blue)
	l.proxy.RemoveInterface(l.now, wan)
	l.pass(0)
	up.want(t, "the lost one", "239.1.1.1 EXCLUDE{}", "leave all")
	l.wantFlow(sourceB, groupA, red, blue)
	l.join(red, sourceA, groupB)
	l.pass(settling)
	again := newListener()
	l.do(l.proxy.AddUpstream(l.now, wan, again))
	again.want(t, "when it returns", "239.1.1.1 EXCLUDE{}", "239.1.1.2 INCLUDE{10.0.0.1}")
	l.wantFlow(sourceB, groupA, red, wan, blue)
}

func TestSeveralUpstreams(t *testing.T) {
	l := newLab(t)
	up := l.start()
	second := newListener()
	l.do(l.proxy.AddUpstream(l.now, wan2, second))
	l.join(red, anySource, groupA)
	l.pass(settling)
	up.want(t, "the first takes all", "239.1.1.1 EXCLUDE{}")
	second.want(t, "the second takes none")
	l.wantFlow(sourceB, groupA, red, wan)
	l.wantFlow(sourceA, groupA, wan, red)

	l.proxy.SetRules(l.now, Rules{Upstreams: []uint32{wan, wan2},
		Rules: []Rule{{Upstream: wan2, Groups: prefixes("239.1.1.1/32")}}})
	up.want(t, "the rule", "239.1.1.1 INCLUDE{}")
	second.want(t, "the rule", "239.1.1.1 EXCLUDE{}")
	l.wantFlow(sourceB, groupA, red, wan2)
	l.wantFlow(sourceB, groupB, red, wan)
	l.wantFlow(netip.MustParseAddr("10.0.0.9"), groupA, wan2, red)

	l.proxy.SetRules(l.now, Rules{Upstreams: []uint32{wan, wan2}, SendToAll: true})
	l.wantFlow(sourceB, groupB, red, wan, wan2)
	l.proxy.SetRules(l.now, Rules{Upstreams: []uint32{wan2, wan}})
	l.wantFlow(sourceB, groupB, red, wan2)
	up.told = nil
	l.proxy.RemoveInterface(l.now, wan2)
	up.want(t, "the other is lost", "239.1.1.1 EXCLUDE{}")
}

// RFC 4605 section 4.2: the querier of a link is its forwarder.
func TestSilentDownstream(t *testing.T) {
	l := newLab(t)
	up := l.start()
	l.join(red, anySource, groupA)
	l.join(blue, anySource, groupA)
	l.wantFlow(sourceA, groupA, wan, red, blue)
	l.proxy.SetQuerier(blue, false)
	l.wantFlow(sourceA, groupA, wan, red)
	l.wantFlow(sourceB, groupA, red, wan)
	l.wantFlow(sourceA, groupB, wan)
	l.join(blue, anySource, groupB)
	l.pass(0)
	l.wantFlow(sourceA, groupB, wan)
	up.want(t, "what the link wants", "239.1.1.1 EXCLUDE{}", "239.1.1.2 EXCLUDE{}")
	l.proxy.SetQuerier(blue, true)
	l.wantFlow(sourceA, groupA, wan, red, blue)
	l.wantFlow(sourceB, groupA, red, wan, blue)
	l.wantFlow(sourceA, groupB, wan, blue)
}

func TestInterfaceOfAnother(t *testing.T) {
	l := newLab(t)
	l.start()
	other := New(Config{Flows: l.manager.MFEsAfter})
	client, err := l.manager.Register(mgm.ClientID{Protocol: 1, Component: 2}, mgm.RoleRouting,
		other.Callbacks())
	l.do(err)
	other.Bind(client, client.Memberships(mgm.AllSources))
	if err := other.AddDownstream(l.now, red); err == nil {
		t.Error("two proxies have one interface")
	}
	if err := other.AddUpstream(l.now, wan, newListener()); err == nil {
		t.Error("two proxies have one upstream interface")
	}
	if up, down := other.Interfaces(); len(up)+len(down) != 0 {
		t.Errorf("interfaces %v and %v, want none", up, down)
	}
}

// TestManyGroups merges what 10,000 groups want and tells it.
func TestManyGroups(t *testing.T) {
	const groups = 10_000
	l := newLab(t)
	up := l.start()
	for i := range groups {
		l.join(red, anySource, manyGroups(i))
	}
	l.pass(0)
	if len(up.told) != groups || len(l.proxy.Requests()) != groups {
		t.Errorf("%d told, %d requests, want %d", len(up.told), len(l.proxy.Requests()), groups)
	}
}
