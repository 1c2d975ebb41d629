package stack

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

func route(prefix, via string, index uint32) Route {
	r := Route{Prefix: netip.MustParsePrefix(prefix), Index: index}
	if via != "" {
		r.Via = addr(via)
	}
	return r
}

// TestRoutes sends to one address under different static routes.
func TestRoutes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		to     string
		routes []Route
		blue   bool // out of blue; else no route
	}{
		{"none", "172.16.1.1", nil, false},
		{"by gateway", "172.16.1.1", []Route{route("172.16.0.0/12", "10.0.2.9", 0)}, true},
		{"by gateway and index", "172.16.1.1", []Route{route("172.16.0.0/12", "10.0.2.9", 2)}, true},
		{"by index", "172.16.1.1", []Route{route("172.16.0.0/12", "", 2)}, true},
		{"default", "172.16.1.1", []Route{route("0.0.0.0/0", "10.0.2.9", 0)}, true},
		{"host bits", "172.16.1.1", []Route{route("172.16.1.9/24", "", 2)}, true},
		{"longest", "172.16.1.1", []Route{route("172.16.0.0/12", "", 1),
			route("172.16.1.0/24", "", 2), route("0.0.0.0/0", "", 1)}, true},
		{"another prefix", "172.16.1.1", []Route{route("172.17.0.0/16", "", 2)}, false},
		{"unknown link", "172.16.1.1", []Route{route("172.16.0.0/12", "", 9)}, false},
		{"gateway nowhere", "172.16.1.1", []Route{route("172.16.0.0/12", "192.0.2.1", 0)}, false},
		{"neither", "172.16.1.1", []Route{route("172.16.0.0/12", "", 0)}, false},
		{"mixed families", "172.16.1.1", []Route{route("172.16.0.0/12", "fd00:2::9", 2)}, false},
		{"no prefix", "172.16.1.1", []Route{{Index: 2}}, false},
		{"connected wins", "10.0.2.2", []Route{route("10.0.2.0/24", "", 1)}, true},
		{"IPv6", "fd00:9::1", []Route{route("fd00:9::/32", "fd00:2::9", 0)}, true},
		{"IPv6 by a link-local gateway", "fd00:9::1", []Route{route("::/0", "fe80::9", 2)}, true},
		{"link-local gateway of no link", "fd00:9::1", []Route{route("::/0", "fe80::9", 0)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRouter(t, Config{})
			r.SetRoutes([]Route{route("192.168.0.0/16", "", 2)}) // replaced
			r.SetRoutes(tt.routes)
			packet := func() []byte {
				if addr(tt.to).Is4() {
					return udp4("10.0.1.2", tt.to, 64, nil)
				}
				return udp6("fd00:1::2", tt.to, 64, nil)
			}
			r.Deliver(redIndex, packet())
			if got := len(r.blue.take()) == 1; got != tt.blue {
				t.Errorf("out of blue: %t, want %t", got, tt.blue)
			}
			if got := len(r.red.take()) == 1; got == tt.blue {
				t.Errorf("error sent: %t, want %t", got, !tt.blue)
			}
			r.SetRoutes(nil)
			if tt.name != "connected wins" {
				r.Deliver(redIndex, packet())
				r.blue.none(t)
			}
		})
	}
}

// TestRouteWaitsForLink has a route whose link comes, goes and comes again.
func TestRouteWaitsForLink(t *testing.T) {
	r := newRouter(t, Config{})
	r.SetRoutes([]Route{route("172.16.0.0/12", "10.0.5.9", 0)})
	green := &device{}
	for range 2 {
		r.Deliver(redIndex, udp4("10.0.1.2", "172.16.1.1", 64, nil))
		r.red.one(t)
		add(t, r.Stack, InterfaceConfig{Index: 5, Name: "green", Device: green,
			Addresses: prefixes("10.0.5.1/24")})
		r.Deliver(redIndex, udp4("10.0.1.2", "172.16.1.1", 64, nil))
		green.one(t)
		if err := r.RemoveInterface(5); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRouteTable compares gVisor's table with what is wanted after random
// changes.
func TestRouteTable(t *testing.T) {
	s, err := New(Config{Forward: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	random := rand.New(rand.NewPCG(1, 2))
	pick := func() netip.Prefix {
		a := netip.AddrFrom4([4]byte{10, byte(random.IntN(8)), byte(random.IntN(2)), 1})
		return netip.PrefixFrom(a, 16+random.IntN(9))
	}
	for range 2000 {
		index := uint32(random.IntN(6) + 1)
		switch random.IntN(4) {
		case 0:
			_ = s.AddInterface(InterfaceConfig{Index: index, Name: string('a' + rune(index)),
				Device: &device{}, Addresses: []netip.Prefix{pick()}}) // may be there
		case 1:
			_ = s.RemoveInterface(index) // may be gone
		case 2:
			_ = s.SetAddresses(index, []netip.Prefix{pick()}) // may be gone
		case 3:
			routes := make([]Route, random.IntN(5))
			for k := range routes {
				routes[k] = Route{Prefix: pick(), Index: uint32(random.IntN(7))}
			}
			s.SetRoutes(routes)
		}
		wanted, table := s.wantedRoutes(), s.net.GetRouteTable()
		if len(table) != len(wanted) || len(s.installed) != len(wanted) {
			t.Fatalf("%d routes, %d installed, want %d", len(table), len(s.installed), len(wanted))
		}
		longest := 32
		for _, row := range table {
			if _, ok := wanted[fromNetstack(row)]; !ok {
				t.Fatalf("route %v is not wanted", row)
			}
			if row.Destination.Prefix() > longest {
				t.Fatalf("route %v behind a shorter one", row)
			}
			longest = row.Destination.Prefix()
		}
	}
}
