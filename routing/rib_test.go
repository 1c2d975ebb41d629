package routing

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"umroute/mgm"
)

// prefixes parses a list as it stands in a table row.
func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// notes collects what a RIB notifies.
type notes []string

func (n *notes) add(p netip.Prefix) { *n = append(*n, p.String()) }

// want checks what came since the last call.
func (n *notes) want(t *testing.T, list ...string) {
	t.Helper()
	if diff := cmp.Diff(list, []string(*n)); diff != "" {
		t.Errorf("notified (-want +got):\n%s", diff)
	}
	*n = nil
}

// wantRoute checks a lookup: "-" for none, else "prefix protocol index nexthop".
func wantRoute(t *testing.T, r *RIB, source, want string) {
	t.Helper()
	got := "-"
	if route, ok := r.Lookup(netip.MustParseAddr(source)); ok {
		got = fmt.Sprintf("%v %d %d", route.Prefix, route.Protocol, route.Iface.Index)
		if route.NextHop.IsValid() {
			got += " " + route.NextHop.String()
		}
	}
	if got != want {
		t.Errorf("route to %s is %s, want %s", source, got, want)
	}
}

func TestRIBConnected(t *testing.T) {
	var n notes
	r := NewRIB(n.add)
	wantRoute(t, r, "10.0.1.9", "-")

	r.SetConnected(1, prefixes("10.0.1.1/24", "fd00:1::1/64", "fe80::1/64"))
	n.want(t, "10.0.1.0/24", "fd00:1::/64")
	wantRoute(t, r, "10.0.1.9", "10.0.1.0/24 2 1")
	wantRoute(t, r, "fd00:1::9", "fd00:1::/64 2 1")
	wantRoute(t, r, "fe80::9", "-")

	t.Log("# the same again changes nothing, a replacement only what differs")
	r.SetConnected(1, prefixes("10.0.1.1/24", "fd00:1::1/64"))
	n.want(t)
	r.SetConnected(1, prefixes("10.0.1.1/24", "10.0.2.1/24"))
	n.want(t, "10.0.2.0/24", "fd00:1::/64")

	t.Log("# a second interface on the same prefix comes in only below the first")
	r.SetConnected(7, prefixes("10.0.1.7/24"))
	n.want(t)
	r.SetConnected(0xffff, nil)
	r.RemoveInterface(1)
	n.want(t, "10.0.1.0/24", "10.0.2.0/24")
	wantRoute(t, r, "10.0.1.9", "10.0.1.0/24 2 7")
	r.RemoveInterface(1)
	r.RemoveInterface(99)
	n.want(t)
}

func TestRIBStatic(t *testing.T) {
	var n notes
	r := NewRIB(n.add)
	static := []UnicastRoute{
		{Prefix: netip.MustParsePrefix("10.9.0.0/16"), Via: netip.MustParseAddr("10.0.1.7")},
		{Prefix: netip.MustParsePrefix("10.8.0.0/16"), Via: netip.MustParseAddr("10.9.0.1")},
		{Prefix: netip.MustParsePrefix("10.7.0.0/16"), Index: 3},
		{Prefix: netip.MustParsePrefix("fd09::/16"), Via: netip.MustParseAddr("fe80::7"), Index: 3},
	}
	if err := r.SetStatic(static); err != nil {
		t.Fatal(err)
	}
	n.want(t)
	wantRoute(t, r, "10.9.1.1", "-")

	t.Log("# a gateway resolves once its prefix is connected, and not through static routes")
	r.SetConnected(1, prefixes("10.0.1.1/24"))
	n.want(t, "10.0.1.0/24", "10.9.0.0/16")
	wantRoute(t, r, "10.9.1.1", "10.9.0.0/16 3 1 10.0.1.7")
	wantRoute(t, r, "10.8.1.1", "-")

	t.Log("# a route that names its interface waits for that alone")
	r.SetConnected(3, nil)
	n.want(t, "10.7.0.0/16", "fd09::/16")
	wantRoute(t, r, "fd09::1", "fd09::/16 3 3 fe80::7")

	t.Log("# a longer connected prefix takes the gateway over")
	r.SetConnected(2, prefixes("10.0.1.6/31"))
	n.want(t, "10.0.1.6/31", "10.9.0.0/16")
	wantRoute(t, r, "10.9.1.1", "10.9.0.0/16 3 2 10.0.1.7")
	r.RemoveInterface(2)
	n.want(t, "10.0.1.6/31", "10.9.0.0/16")

	t.Log("# connected beats static, and makes another gateway known")
	r.SetConnected(4, prefixes("10.9.0.1/16", "10.0.4.1/24"))
	n.want(t, "10.0.4.0/24", "10.8.0.0/16", "10.9.0.0/16")
	wantRoute(t, r, "10.9.1.1", "10.9.0.0/16 2 4")
	wantRoute(t, r, "10.8.1.1", "10.8.0.0/16 3 4 10.9.0.1")
}

func TestRIBTies(t *testing.T) {
	p := netip.MustParsePrefix("10.9.0.0/16")
	via := func(s string) UnicastRoute {
		return UnicastRoute{Prefix: p, Via: netip.MustParseAddr(s)}
	}
	for _, order := range [][]UnicastRoute{
		{via("10.0.2.2"), via("10.0.1.9"), via("10.0.1.7")},
		{via("10.0.1.7"), via("10.0.2.2"), via("10.0.1.9")},
	} {
		r := NewRIB(nil)
		r.SetConnected(2, prefixes("10.0.2.1/24"))
		r.SetConnected(1, prefixes("10.0.1.1/24"))
		if err := r.SetStatic(order); err != nil {
			t.Fatal(err)
		}
		wantRoute(t, r, "10.9.1.1", "10.9.0.0/16 3 1 10.0.1.7")
		r.RemoveInterface(1)
		wantRoute(t, r, "10.9.1.1", "10.9.0.0/16 3 2 10.0.2.2")
	}
}

func TestRIBMulticastView(t *testing.T) {
	var n notes
	r := NewRIB(n.add)
	r.SetConnected(1, prefixes("10.0.1.1/24"))
	r.SetConnected(2, nil)
	n.want(t, "10.0.1.0/24")

	t.Log("# a configured route wins, however short")
	err := r.SetMulticast([]RPFRoute{{netip.MustParsePrefix("10.0.0.0/8"), 2}})
	if err != nil {
		t.Fatal(err)
	}
	n.want(t, "10.0.0.0/8")
	wantRoute(t, r, "10.0.1.9", "10.0.0.0/8 1 2")

	t.Log("# what it hides is not news")
	r.SetConnected(3, prefixes("10.0.3.1/24", "192.0.2.1/24"))
	n.want(t, "192.0.2.0/24")

	t.Log("# without its interface it waits, and unicast shows again")
	r.RemoveInterface(2)
	n.want(t, "10.0.0.0/8")
	wantRoute(t, r, "10.0.1.9", "10.0.1.0/24 2 1")
	r.SetConnected(2, nil)
	n.want(t, "10.0.0.0/8")
	if err := r.SetMulticast(nil); err != nil {
		t.Fatal(err)
	}
	n.want(t, "10.0.0.0/8")
	wantRoute(t, r, "10.0.3.9", "10.0.3.0/24 2 3")
}

func TestRIBErrors(t *testing.T) {
	r := NewRIB(func(p netip.Prefix) { t.Errorf("notified %v", p) })
	ten, six := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")
	mapped := netip.PrefixFrom(netip.MustParseAddr("::ffff:10.0.0.0"), 104)
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"index 0", r.SetConnected(0, nil), "interface index 0"},
		{"invalid", r.SetConnected(1, []netip.Prefix{ten, {}}), "of interface 1: invalid prefix"},
		{"mapped", r.SetMulticast([]RPFRoute{{mapped, 1}}), "IPv4 in IPv6 form"},
		{"no interface", r.SetMulticast([]RPFRoute{{Prefix: ten}}), "10.0.0.0/8: no interface"},
		{"nowhere", r.SetStatic([]UnicastRoute{{Prefix: ten}}), "neither gateway nor interface"},
		{"family", r.SetStatic([]UnicastRoute{{Prefix: six, Via: ten.Addr()}}), "another family"},
		{
			"link-local",
			r.SetStatic([]UnicastRoute{{Prefix: six, Via: netip.MustParseAddr("fe80::1")}}),
			"give the interface too",
		},
		{"invalid static", r.SetStatic([]UnicastRoute{{}}), "invalid prefix"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.err == nil || !strings.Contains(tt.err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", tt.err, tt.want)
			}
		})
	}
	if routes := r.Routes(); len(routes) != 0 {
		t.Errorf("routes after errors: %v", routes)
	}
}

// plainRIB is the RIB written down slowly: every lookup looks at everything.
type plainRIB struct {
	links     map[uint32][]netip.Prefix
	static    []UnicastRoute
	multicast []RPFRoute
}

// better says whether a beats b for the same level: length, then connected
// before static, then index, then gateway.
func better(a, b mgm.Route) bool {
	switch {
	case a.Prefix.Bits() != b.Prefix.Bits():
		return a.Prefix.Bits() > b.Prefix.Bits()
	case a.Protocol != b.Protocol:
		return a.Protocol < b.Protocol
	case a.Iface.Index != b.Iface.Index:
		return a.Iface.Index < b.Iface.Index
	}
	return a.NextHop.Less(b.NextHop)
}

// connectedTo gives the best connected route towards addr.
func (r *plainRIB) connectedTo(addr netip.Addr) (best mgm.Route) {
	for index, list := range r.links {
		for _, p := range list {
			route := mgm.Route{Prefix: p, Protocol: ProtocolConnected}
			route.Iface.Index = index
			if p.Contains(addr) && (!best.Prefix.IsValid() || better(route, best)) {
				best = route
			}
		}
	}
	return best
}

func (r *plainRIB) lookup(source netip.Addr) (best mgm.Route) {
	for _, m := range r.multicast {
		route := mgm.Route{Prefix: m.Prefix, Protocol: ProtocolConfigured}
		route.Iface.Index = m.Index
		_, there := r.links[m.Index]
		fits := there && m.Prefix.Contains(source)
		if fits && (!best.Prefix.IsValid() || better(route, best)) {
			best = route
		}
	}
	if best.Prefix.IsValid() {
		return best
	}
	best = r.connectedTo(source)
	for _, u := range r.static {
		route := mgm.Route{Prefix: u.Prefix, Protocol: ProtocolStatic, NextHop: u.Via}
		_, there := r.links[u.Index]
		route.Iface.Index = u.Index
		if u.Index == 0 {
			route.Iface = r.connectedTo(u.Via).Iface
			there = route.Iface.Index != 0
		}
		fits := there && u.Prefix.Contains(source)
		if fits && (!best.Prefix.IsValid() || better(route, best)) {
			best = route
		}
	}
	return best
}

// randomPrefix draws from few enough prefixes that they nest and collide.
func randomPrefix(rng *rand.Rand) netip.Prefix {
	if rng.IntN(3) == 0 {
		a := [16]byte{0: 0xfd, 1: byte(rng.IntN(2)), 7: byte(rng.IntN(4))}
		return netip.PrefixFrom(netip.AddrFrom16(a), 16*(1+rng.IntN(4))).Masked()
	}
	a := [4]byte{10, byte(rng.IntN(2)), byte(rng.IntN(4)), byte(rng.IntN(4))}
	return netip.PrefixFrom(netip.AddrFrom4(a), 8+rng.IntN(25)).Masked()
}

// randomAddr draws an address of some randomPrefix.
func randomAddr(rng *rand.Rand, is4 bool) netip.Addr {
	for {
		if p := randomPrefix(rng); p.Addr().Is4() == is4 {
			return p.Addr()
		}
	}
}

// step does one random operation on both.
func (r *plainRIB) step(t *testing.T, rng *rand.Rand, fast *RIB) {
	index := uint32(1 + rng.IntN(4))
	switch rng.IntN(5) {
	case 0:
		fast.RemoveInterface(index)
		delete(r.links, index)
	case 1, 2:
		var list []netip.Prefix
		for range rng.IntN(4) {
			list = append(list, randomPrefix(rng))
		}
		if err := fast.SetConnected(index, list); err != nil {
			t.Fatal(err)
		}
		r.links[index] = list
	case 3:
		r.static = nil
		for range rng.IntN(6) {
			u := UnicastRoute{Prefix: randomPrefix(rng), Index: uint32(rng.IntN(3))}
			if u.Index == 0 || rng.IntN(2) == 0 {
				u.Via = randomAddr(rng, u.Prefix.Addr().Is4())
			}
			r.static = append(r.static, u)
		}
		if err := fast.SetStatic(r.static); err != nil {
			t.Fatal(err)
		}
	case 4:
		r.multicast = nil
		for range rng.IntN(3) {
			r.multicast = append(r.multicast, RPFRoute{randomPrefix(rng), index})
		}
		if err := fast.SetMulticast(r.multicast); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRIBAgainstPlain compares lookups after random changes with the plain
// RIB, and holds that an answer changes only below a notified prefix.
func TestRIBAgainstPlain(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var told []netip.Prefix
	fast := NewRIB(func(p netip.Prefix) { told = append(told, p) })
	plain := &plainRIB{links: make(map[uint32][]netip.Prefix)}
	sources := make([]netip.Addr, 200)
	last := make([]mgm.Route, len(sources))
	for i := range sources {
		sources[i] = randomAddr(rng, i%3 != 0)
	}
	for range 3000 {
		told = nil
		plain.step(t, rng, fast)
		for i, source := range sources {
			got, _ := fast.Lookup(source)
			if want := plain.lookup(source); got != want {
				t.Fatalf("route to %v is %v, want %v", source, got, want)
			}
			covers := func(p netip.Prefix) bool { return p.Contains(source) }
			if got != last[i] && !slices.ContainsFunc(told, covers) {
				t.Fatalf("route to %v became %v without notice: %v", source, got, told)
			}
			last[i] = got
		}
	}
}

// TestRIBReaders looks up while routes come and go: what is always there is
// always found. The race detector sees the rest.
func TestRIBReaders(t *testing.T) {
	r := NewRIB(nil)
	r.SetConnected(1, prefixes("10.0.0.0/8"))
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, ok := r.Lookup(netip.MustParseAddr("10.1.2.3")); !ok {
					t.Error("10.0.0.0/8 not found")
					return
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		r.SetConnected(2, []netip.Prefix{randomPrefix(rng), randomPrefix(rng)})
	}
	close(stop)
	readers.Wait()
}
