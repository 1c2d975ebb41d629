package routing

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gaissmai/bart"

	"umroute/mgm"
)

// How a route of the RIB came to be, as Route.Protocol. The numbers are those
// of IANA's list of route protocols.
const (
	ProtocolConfigured mgm.ProtocolID = 1 // an RPF route of the configuration ("other")
	ProtocolConnected  mgm.ProtocolID = 2 // the prefix of an interface ("local")
	ProtocolStatic     mgm.ProtocolID = 3 // a unicast route of the configuration ("netmgmt")
)

// UnicastRoute is a configured unicast route. Via, Index or both are given.
type UnicastRoute struct {
	Prefix netip.Prefix
	Via    netip.Addr // gateway; the zero Addr where the destinations are on the link
	Index  uint32     // interface; 0 means the one that Via is connected to
}

// RPFRoute says on which interface the multicast data of some sources comes in.
type RPFRoute struct {
	Prefix netip.Prefix // of the sources
	Index  uint32       // interface, not 0
}

// RIB is the routing table that reverse path checks use, for both families.
//
// It has two levels. A configured RPF route that covers a source wins, however
// short its prefix; without one the unicast routes decide, which are those of
// the interfaces, the static ones and those of the kernel. Within a level the
// longest prefix wins, and among routes for one prefix: connected before static
// before those of the kernel (SetKernel has more on these), then the lowest
// interface index, then the lowest gateway. The paths of static multicast routes
// stand among the unicast routes (SetPaths).
//
// A route waits, invisible, while its interface is not there or its gateway is
// in no connected prefix. Gateways are looked up among connected prefixes only.
//
// All methods are safe for concurrent use, and Lookup never waits.
type RIB struct {
	onChange func(netip.Prefix)
	view     atomic.Pointer[ribView]

	mu        sync.Mutex // guards all below, and writing view
	links     map[uint32][]netip.Prefix
	connected map[netip.Prefix][]uint32 // ascending
	onLink    *bart.Table[uint32]       // the connected prefixes, each with its lowest index
	static    map[netip.Prefix][]UnicastRoute
	multicast map[netip.Prefix][]uint32      // ascending
	paths     map[netip.Prefix][]uint32      // ascending
	kernel    map[netip.Prefix][]KernelRoute // the preferred first
	defaults  map[netip.Prefix][]uint32      // in order of preference
}

// ribView is what Lookup reads. It never changes once it is published.
type ribView struct {
	unicast, multicast *routes
}

// routes is one level of the RIB: for each prefix its best route.
type routes = bart.Table[mgm.Route]

var _ mgm.RIB = (*RIB)(nil)

// NewRIB makes an empty RIB. Where onChange is not nil it is called, by the
// goroutine that made the change and with no lock held, once for each prefix
// whose lookups may answer differently from now on.
func NewRIB(onChange func(netip.Prefix)) *RIB {
	r := &RIB{
		onChange:  onChange,
		links:     make(map[uint32][]netip.Prefix),
		connected: make(map[netip.Prefix][]uint32),
		onLink:    new(bart.Table[uint32]),
		static:    make(map[netip.Prefix][]UnicastRoute),
		multicast: make(map[netip.Prefix][]uint32),
		paths:     make(map[netip.Prefix][]uint32),
		defaults:  make(map[netip.Prefix][]uint32),
	}
	r.view.Store(&ribView{new(routes), new(routes)})
	return r
}

// Lookup finds the route towards a source of multicast data.
func (r *RIB) Lookup(source netip.Addr) (mgm.Route, bool) {
	v := r.view.Load()
	if route, ok := v.multicast.Lookup(source); ok {
		return route, true
	}
	return v.unicast.Lookup(source)
}

// Routes lists the routes in use: the configured RPF routes, then the unicast
// ones, each sorted by prefix, IPv4 first.
func (r *RIB) Routes() []mgm.Route {
	v := r.view.Load()
	list := make([]mgm.Route, 0, v.multicast.Size()+v.unicast.Size())
	for _, level := range []*routes{v.multicast, v.unicast} {
		for _, route := range level.AllSorted() {
			list = append(list, route)
		}
	}
	return list
}

// SetConnected makes prefixes those of interface index, in place of what it
// had, and says that the interface is there. A prefix may be given as an
// address with its length. Link-local prefixes are left out, as they say
// nothing about which link (RFC 4007 section 9). A prefix that is not valid
// is an error that changes nothing.
func (r *RIB) SetConnected(index uint32, prefixes []netip.Prefix) error {
	if index == 0 {
		return fmt.Errorf("set connected prefixes: interface index 0")
	}
	wanted := make([]netip.Prefix, 0, len(prefixes))
	for _, p := range prefixes {
		p, err := routable(p)
		if err != nil {
			return fmt.Errorf("set connected prefixes of interface %d: %w", index, err)
		}
		if !p.Addr().IsLinkLocalUnicast() && !slices.Contains(wanted, p) {
			wanted = append(wanted, p)
		}
	}
	r.change(func(d *delta) {
		r.setLink(d, index, wanted, true)
	})
	return nil
}

// RemoveInterface takes the prefixes of interface index away, and every route
// through it out of use.
func (r *RIB) RemoveInterface(index uint32) {
	r.change(func(d *delta) {
		r.setLink(d, index, nil, false)
	})
}

// SetStatic makes routes the static unicast routes, in place of all earlier
// ones. A wrong route is an error that changes nothing.
func (r *RIB) SetStatic(routes []UnicastRoute) error {
	static := make(map[netip.Prefix][]UnicastRoute, len(routes))
	for _, u := range routes {
		p, err := routable(u.Prefix)
		if err != nil {
			return fmt.Errorf("set static route: %w", err)
		}
		if err := u.check(); err != nil {
			return fmt.Errorf("set static route %v: %w", u.Prefix, err)
		}
		u.Prefix = p
		static[p] = append(static[p], u)
	}
	r.change(func(d *delta) {
		d.addUnicast(r.static, static)
		r.static = static
	})
	return nil
}

// SetMulticast makes routes the configured RPF routes, in place of all earlier
// ones. A wrong route is an error that changes nothing.
func (r *RIB) SetMulticast(routes []RPFRoute) error {
	multicast := make(map[netip.Prefix][]uint32, len(routes))
	for _, m := range routes {
		p, err := routable(m.Prefix)
		if err != nil {
			return fmt.Errorf("set RPF route: %w", err)
		}
		if m.Index == 0 {
			return fmt.Errorf("set RPF route %v: no interface", m.Prefix)
		}
		multicast[p] = append(multicast[p], m.Index)
	}
	for _, indices := range multicast {
		slices.Sort(indices)
	}
	r.change(func(d *delta) {
		for p := range r.multicast {
			d.multicast[p] = struct{}{}
		}
		for p := range multicast {
			d.multicast[p] = struct{}{}
		}
		r.multicast = multicast
	})
	return nil
}

// routable gives p in its canonical form, or says why no route can have it.
func routable(p netip.Prefix) (netip.Prefix, error) {
	switch {
	case !p.IsValid():
		return p, fmt.Errorf("invalid prefix %v", p)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("prefix %v is IPv4 in IPv6 form", p)
	}
	return netip.PrefixFrom(p.Addr().WithZone(""), p.Bits()).Masked(), nil
}

// check says what is wrong with how u reaches its destinations.
func (u UnicastRoute) check() error {
	switch {
	case !u.Via.IsValid() && u.Index == 0:
		return fmt.Errorf("neither gateway nor interface")
	case !u.Via.IsValid():
		return nil
	case u.Via.Is4() != u.Prefix.Addr().Is4() || u.Via.Is4In6():
		return fmt.Errorf("gateway %v is of another family", u.Via)
	case u.Via.IsLinkLocalUnicast() && u.Index == 0:
		// RFC 4007 section 9: a link-local address alone names no link.
		return fmt.Errorf("gateway %v is link-local: give the interface too", u.Via)
	}
	return nil
}
