package proxy

import (
	"net/netip"
	"slices"
	"strings"
)

// Mode says how the sources of a Filter are meant (RFC 3376 section 3.1).
type Mode uint8

// The filter modes.
const (
	Include Mode = iota // only these sources
	Exclude             // all sources but these
)

// String returns "include" or "exclude".
func (m Mode) String() string {
	if m == Exclude {
		return "exclude"
	}
	return "include"
}

// Filter is what is wanted of a group. The zero Filter is INCLUDE of nothing:
// the group is not wanted.
type Filter struct {
	Mode    Mode
	Sources []netip.Addr // ascending, each once; never changed
}

// IsZero reports whether nothing is wanted.
func (f Filter) IsZero() bool { return f.Mode == Include && len(f.Sources) == 0 }

// Accepts reports whether data from source is wanted.
func (f Filter) Accepts(source netip.Addr) bool {
	_, listed := slices.BinarySearchFunc(f.Sources, source, netip.Addr.Compare)
	return listed == (f.Mode == Include)
}

// Equal reports whether both want the same.
func (f Filter) Equal(g Filter) bool {
	return f.Mode == g.Mode && slices.Equal(f.Sources, g.Sources)
}

// String returns the filter as the RFCs write it: EXCLUDE{10.0.0.1}.
func (f Filter) String() string {
	var b strings.Builder
	b.WriteString(strings.ToUpper(f.Mode.String()))
	b.WriteByte('{')
	for i, s := range f.Sources {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(s.String())
	}
	b.WriteByte('}')
	return b.String()
}

// Union is what f and g want together (RFC 3376 section 3.2): with an EXCLUDE
// among them, the sources that all of these exclude and no INCLUDE names.
func (f Filter) Union(g Filter) Filter {
	switch {
	case f.Mode == Include && g.Mode == Include:
		return Filter{Include, merged(f.Sources, g.Sources)}
	case f.Mode == Exclude && g.Mode == Exclude:
		return Filter{Exclude, common(f.Sources, g.Sources)}
	case f.Mode == Exclude:
		return Filter{Exclude, without(f.Sources, g.Sources)}
	}
	return Filter{Exclude, without(g.Sources, f.Sources)}
}

// covers reports whether f wants everything that g does.
func (f Filter) covers(g Filter) bool { return f.Union(g).Equal(f) }

// The set operations take and give ascending lists.

func merged(a, b []netip.Addr) []netip.Addr {
	list := slices.Concat(a, b)
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

func without(a, b []netip.Addr) []netip.Addr { return pick(a, b, false) }

func common(a, b []netip.Addr) []netip.Addr { return pick(a, b, true) }

// pick returns what of a is in b, or is not.
func pick(a, b []netip.Addr, in bool) []netip.Addr {
	var list []netip.Addr
	for _, s := range a {
		for len(b) > 0 && b[0].Less(s) {
			b = b[1:]
		}
		if (len(b) > 0 && b[0] == s) == in {
			list = append(list, s)
		}
	}
	return list
}
