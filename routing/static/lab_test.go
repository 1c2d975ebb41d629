package static_test

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"umroute/mgm"
	"umroute/routing"
	"umroute/routing/static"
)

// The interfaces of every lab. Each has the subnet 10.0.N.0/24.
var links = map[string]uint32{"red": 1, "blue": 2, "green": 3, "grey": 4}

// lab is static routes on a real manager and a real RIB, in front of a data
// plane that only remembers.
type lab struct {
	t       *testing.T
	manager *mgm.Manager
	rib     *routing.RIB
	igmp    *mgm.Client
	other   *mgm.Client // another routing protocol
	static  *static.Machine
	plane   *plane
}

// plane remembers its entries.
type plane struct {
	mu      sync.Mutex
	entries map[mgm.Flow]mgm.MFE
}

func (p *plane) Set(e mgm.MFE) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries[e.Flow] = e
	return nil
}

func (p *plane) Delete(f mgm.Flow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.entries, f)
}

func (p *plane) Stats(mgm.Flow) (mgm.ForwarderStats, bool) { return mgm.ForwarderStats{}, false }

// newLab makes a router whose interfaces have IGMP, but for those named.
func newLab(t *testing.T, routes ...static.Route) *lab {
	t.Helper()
	l := &lab{t: t, plane: &plane{entries: make(map[mgm.Flow]mgm.MFE)}}
	l.rib = routing.NewRIB(func(p netip.Prefix) { l.manager.RouteChanged(p) })
	manager, err := mgm.New(mgm.Config{RIB: l.rib, Forwarder: l.plane})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.must(manager.Close()) })
	l.manager = manager
	l.static, err = static.New(static.Config{
		Manager: manager,
		Register: func(calls mgm.Callbacks) (static.Client, error) {
			return manager.Register(mgm.ClientID{Protocol: 3}, mgm.RoleRouting, calls)
		},
		Paths: l.setPaths,
	})
	if err != nil {
		t.Fatal(err)
	}
	l.igmp = l.register(mgm.ClientID{Protocol: 10}, mgm.RoleMembership)
	l.other = l.register(mgm.ClientID{Protocol: 8}, mgm.RoleRouting)
	l.must(l.static.Set(routes))
	for _, name := range slices.Sorted(maps.Keys(links)) {
		l.appear(name)
	}
	return l
}

func (l *lab) register(id mgm.ClientID, role mgm.Role) *mgm.Client {
	l.t.Helper()
	c, err := l.manager.Register(id, role, mgm.Callbacks{})
	l.must(err)
	return c
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) setPaths(paths []static.Path) {
	var routes []routing.RPFRoute
	for _, p := range paths {
		routes = append(routes, routing.RPFRoute{Prefix: p.Source, Index: p.Index})
	}
	if err := l.rib.SetPaths(false, routes); err != nil {
		l.t.Error(err)
	}
}

// appear brings an interface up; IGMP runs there.
func (l *lab) appear(name string) {
	l.t.Helper()
	index := links[name]
	subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(index), 0}), 24)
	l.must(l.rib.SetConnected(index, []netip.Prefix{subnet}))
	l.static.AddInterface(name, index)
	l.must(l.igmp.TakeInterface(mgm.Iface{Index: index}))
}

// vanish takes an interface away.
func (l *lab) vanish(name string) {
	l.t.Helper()
	index := links[name]
	l.static.RemoveInterface(name)
	l.must(l.igmp.ReleaseInterface(mgm.Iface{Index: index}))
	l.rib.RemoveInterface(index)
}

// route makes a route of text: source, group, in, outs.
func route(source, group, in string, outs ...string) static.Route {
	return static.Route{Key: static.Key{Source: prefix(source), Group: prefix(group), In: in},
		Out: outs}
}

// prefix reads an address or a prefix; "*" is any.
func prefix(text string) netip.Prefix {
	if text == "*" {
		return netip.Prefix{}
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		return p
	}
	a := netip.MustParseAddr(text)
	return netip.PrefixFrom(a, a.BitLen())
}

func flow(source, group string) mgm.Flow {
	return mgm.Flow{Source: netip.MustParseAddr(source), Group: netip.MustParseAddr(group)}
}

// packet has the data plane meet a packet, and waits for what comes of it.
func (l *lab) packet(source, group string) {
	l.must(l.manager.Sync(context.Background()))
	f := flow(source, group)
	l.plane.mu.Lock()
	_, known := l.plane.entries[f]
	l.plane.mu.Unlock()
	if !known {
		l.manager.HandleMiss(f, mgm.Iface{}, nil)
	}
	l.must(l.manager.Sync(context.Background()))
}

// entry is what the data plane has of a flow, as "in>out,out", "" for nothing.
func (l *lab) entry(source, group string) string {
	l.must(l.manager.Sync(context.Background()))
	l.plane.mu.Lock()
	defer l.plane.mu.Unlock()
	e, ok := l.plane.entries[flow(source, group)]
	if !ok {
		return ""
	}
	text := nameOf(e.In.Index) + ">"
	for i, oif := range e.OIFs {
		if i > 0 {
			text += ","
		}
		text += nameOf(oif.Index)
	}
	return text
}

func nameOf(index uint32) string {
	for name, i := range links {
		if i == index {
			return name
		}
	}
	return "-"
}

// want checks the entry of a flow.
func (l *lab) want(source, group, entry string) {
	l.t.Helper()
	if got := l.entry(source, group); got != entry {
		l.t.Errorf("entry of (%s, %s) is %q, want %q", source, group, got, entry)
	}
}

// owner names who holds an interface, by protocol number.
func (l *lab) owner(name string) mgm.ProtocolID {
	id, _ := l.manager.Owner(mgm.Iface{Index: links[name]})
	return id.Protocol
}
