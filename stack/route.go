package stack

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
	"gvisor.dev/gvisor/pkg/tcpip"
)

// Route is a static unicast route. Without Via the destinations are on the link
// itself; without Index the link is the one whose subnet Via lies in.
type Route struct {
	Prefix netip.Prefix
	Via    netip.Addr
	Index  uint32
}

// SetRoutes replaces the static unicast routes. The subnets of the interfaces
// are routed by the stack itself, and win over a static route to the same
// prefix. A route whose link is not there waits for it, and one that says
// neither Via nor Index, or mixes families, is never used.
func (s *Stack) SetRoutes(routes []Route) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.static = slices.Clone(routes)
	s.installRoutes()
}

// installRoutes brings the forwarding table, and gVisor's for the packets of its
// own, to the routes that hold now. Of gVisor's it changes only what differs: it
// is a list, kept in order by insertion.
func (s *Stack) installRoutes() {
	wanted := s.wantedRoutes()
	s.table = s.forwardingTable(wanted)
	s.net.RemoveRoutes(func(r tcpip.Route) bool {
		route := fromNetstack(r)
		if _, ok := wanted[route]; ok {
			return false
		}
		delete(s.installed, route)
		return true
	})
	for r := range wanted {
		if _, ok := s.installed[r]; ok {
			continue
		}
		s.installed[r] = struct{}{}
		s.net.AddRoute(r.toNetstack())
	}
}

// forwardingTable has the routes by links that are up; of several to one prefix,
// the one by the lowest index.
func (s *Stack) forwardingTable(routes map[Route]struct{}) *bart.Table[nextHop] {
	table := new(bart.Table[nextHop])
	for r := range routes {
		out := s.interfaces[r.Index]
		if !out.up {
			continue
		}
		if other, ok := table.Get(r.Prefix); ok && !r.before(other) {
			continue
		}
		table.Insert(r.Prefix, nextHop{out, r.Via})
	}
	return table
}

// before orders routes to one prefix: by link, then by gateway.
func (r Route) before(other nextHop) bool {
	return cmp.Or(cmp.Compare(r.Index, other.out.link.index), r.Via.Compare(other.via)) < 0
}

// wantedRoutes returns the routes that could be used now: those to the interfaces'
// subnets, and the static ones whose link is there. Each names its link.
func (s *Stack) wantedRoutes() map[Route]struct{} {
	wanted := make(map[Route]struct{}, len(s.static)+2*len(s.interfaces))
	connected := make(map[netip.Prefix]struct{}, 2*len(s.interfaces))
	for index, i := range s.interfaces {
		for _, p := range i.addresses {
			// A link-local destination names its link; no route is looked up.
			if p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
				continue
			}
			connected[p.Masked()] = struct{}{}
			wanted[Route{Prefix: p.Masked(), Index: index}] = struct{}{}
		}
	}
	for _, r := range s.static {
		r.Prefix = r.Prefix.Masked()
		if _, ok := connected[r.Prefix]; ok {
			continue
		}
		if s.resolve(&r) {
			wanted[r] = struct{}{}
		}
	}
	return wanted
}

// resolve finds a static route's link, and says whether the route can be used.
func (s *Stack) resolve(r *Route) bool {
	if !r.Prefix.IsValid() || r.Prefix.Addr().IsMulticast() {
		return false
	}
	if r.Via.IsValid() && r.Via.Is4() != r.Prefix.Addr().Is4() {
		return false
	}
	if r.Index == 0 {
		r.Index = s.linkOf(r.Via)
	}
	i, ok := s.interfaces[r.Index]
	return ok && (r.Prefix.Addr().Is4() || i.linkLocal.IsValid())
}

// linkOf returns the index of the interface with the longest subnet around an
// address, the lowest index of several; 0 where there is none.
func (s *Stack) linkOf(a netip.Addr) uint32 {
	best, longest := uint32(0), -1
	for index, i := range s.interfaces {
		for _, p := range i.addresses {
			if !p.Contains(a) || p.Addr().IsLinkLocalUnicast() {
				continue
			}
			if p.Bits() > longest || p.Bits() == longest && index < best {
				best, longest = index, p.Bits()
			}
		}
	}
	return best
}

func (r Route) toNetstack() tcpip.Route {
	route := tcpip.Route{Destination: toSubnet(r.Prefix), NIC: tcpip.NICID(r.Index)}
	if r.Via.IsValid() {
		route.Gateway = toAddress(r.Via)
	}
	return route
}

func fromNetstack(r tcpip.Route) Route {
	return Route{
		Prefix: netip.PrefixFrom(fromAddress(r.Destination.ID()), r.Destination.Prefix()),
		Via:    fromAddress(r.Gateway),
		Index:  uint32(r.NIC),
	}
}

// fromAddress returns the zero Addr for an address that is not set.
func fromAddress(a tcpip.Address) netip.Addr {
	address, _ := netip.AddrFromSlice(a.AsSlice())
	return address
}
