package static

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Key names a route: there is one route for each.
type Key struct {
	Source netip.Prefix // of unicast addresses, masked; the zero Prefix: any source
	Group  netip.Prefix // of multicast addresses, masked
	In     string       // the incoming interface; "": where the source is expected
}

// Route is a static multicast route.
type Route struct {
	Key
	Out []string // the outgoing interfaces, without In
	// Threshold is what the TTL or hop limit of a packet must be above for it to
	// leave; 0 and 1 leave that to the interfaces.
	Threshold uint8
}

var (
	// ErrInvalid marks a route that cannot be meant.
	ErrInvalid = errors.New("invalid static route")
	// ErrNotFound says that there is no such route.
	ErrNotFound = errors.New("no such static route")
)

// Check says what is wrong with a route. The error wraps ErrInvalid.
func (r Route) Check() error {
	reason := r.Key.fault()
	switch {
	case reason != "":
	case len(r.Out) == 0 && r.In == "":
		reason = "neither incoming nor outgoing interface"
	case slices.Contains(r.Out, ""):
		reason = "an outgoing interface without name"
	case r.In != "" && slices.Contains(r.Out, r.In):
		reason = fmt.Sprintf("%s is its incoming and an outgoing interface", r.In)
	case r.In == "" && !r.exact():
		reason = "a range of groups or sources needs an incoming interface"
	}
	if reason == "" {
		return nil
	}
	return fmt.Errorf("%w %s: %s", ErrInvalid, r.Key, reason)
}

func (k Key) fault() string {
	switch group := k.Group; {
	case !group.IsValid():
		return "no group"
	// 224.0.0.0/4 and ff00::/8 are the largest (RFC 5771, RFC 4291 section 2.7).
	case !group.Addr().IsMulticast(), group.Addr().Is4() && group.Bits() < 4,
		group.Addr().Is6() && group.Bits() < 8:
		return "the group is not multicast"
	case group != group.Masked(), k.Source != k.Source.Masked():
		return "bits behind a prefix length"
	// A router does not forward these (RFC 5771 section 4, RFC 4291 section 2.7).
	case group.IsSingleIP() && linkLocal(group.Addr()):
		return "the group stays on its link"
	case !k.Source.IsValid():
		return ""
	case k.Source.Addr().Is4() != group.Addr().Is4():
		return "source and group are of two families"
	case k.Source.Addr().IsMulticast():
		return "the source is multicast"
	}
	return ""
}

// linkLocal says whether a group never leaves its link, or its node.
func linkLocal(group netip.Addr) bool {
	return group.IsLinkLocalMulticast() || group.IsInterfaceLocalMulticast()
}

// exact says whether the key is an (S,G) or a (*,G).
func (k Key) exact() bool {
	return k.Group.IsSingleIP() && (!k.Source.IsValid() || k.Source.IsSingleIP())
}

// V6 says whether the route is for IPv6.
func (k Key) V6() bool { return k.Group.Addr().Is6() }

// Covers says whether the route is for this flow, wherever that comes in.
func (k Key) Covers(source, group netip.Addr) bool {
	return k.Group.Contains(group) && (!k.Source.IsValid() || k.Source.Contains(source))
}

// String returns "(S, G) from IN" in the notation of RFC 7761.
func (k Key) String() string {
	text := func(p netip.Prefix) string {
		switch {
		case !p.IsValid():
			return "*"
		case p.IsSingleIP():
			return p.Addr().String()
		}
		return p.String()
	}
	s := fmt.Sprintf("(%s, %s)", text(k.Source), text(k.Group))
	if k.In != "" {
		s += " from " + k.In
	}
	return s
}

// compare orders keys for people: by group, source and incoming interface.
func (k Key) compare(other Key) int {
	return cmp.Or(k.Group.Compare(other.Group), k.Source.Compare(other.Source),
		cmp.Compare(k.In, other.In))
}

// equal says whether both routes do the same.
func (r Route) equal(other Route) bool {
	return r.Key == other.Key && r.Threshold == other.Threshold &&
		slices.Equal(r.Out, other.Out)
}
