package explain

import (
	"net/netip"
	"slices"
)

// Facts is what is known about a flow and the interface that it is asked for.
type Facts struct {
	Source, Group netip.Addr
	Interface     string   // as asked for
	Known         []string // the names of all interfaces

	Out   *Link  // the interface asked for, nil where there is none
	In    *Link  // where packets of the source are expected, nil without a route
	Route Route  // what the RIB says; the zero Route is none
	Entry *Entry // the forwarding entry, nil where there is none

	Member     bool // a membership covers the flow on Out
	Membership *Membership

	// Crosses says that a rule lets the group cross from In's domain to Out's.
	Crosses bool

	// Watched says that packets of the flow were looked for; Seen has them.
	Watched bool
	Seen    []Sighting
}

// Link is one interface.
type Link struct {
	Name      string
	Up        bool
	Reason    string // why it is down
	Domain    string
	Threshold uint8 // of the TTL
	Boundary  []netip.Prefix
	// NoMulticastFlag says that the device lacks IFF_MULTICAST.
	NoMulticastFlag bool
	// ReversePathFilter is the device's rp_filter, -1 where unknown.
	ReversePathFilter int
	Host              *Host // nil where it is no interface to the host's network
}

// blocks says whether the group does not cross the interface.
func (l *Link) blocks(group netip.Addr) bool {
	return slices.ContainsFunc(l.Boundary,
		func(p netip.Prefix) bool { return p.Contains(group) })
}

// Route is what the RIB says about the source.
type Route struct {
	Prefix    netip.Prefix
	Interface string
	Via       netip.Addr // zero where the source is on the link
	Kind      string     // "rpf", "connected" or "static"
}

// Entry is the forwarding entry of the flow.
type Entry struct {
	Packets  uint64 // that came in where they are expected
	WrongIf  uint64 // that came in elsewhere
	LowTTL   uint64 // that came in with a TTL of 1
	Negative bool   // it has no output at all
	Output   *Output
}

// Output is the interface asked for, as an output of the entry.
type Output struct {
	Packets, TTLTooLow, FragNeeded, Discards uint64
}

// Membership is IGMP or MLD on the interface asked for.
type Membership struct {
	Protocol string // "IGMP" or "MLD"
	Enabled  bool
	Version  int // the highest spoken
	Newest   int // of the protocol
	Querier  netip.Addr
	Allow    []netip.Prefix // groups that hosts may join; none means all

	MaxGroups, MaxSources int
	Reports               uint64            // messages heard from hosts
	Ignored               map[string]uint64 // by reason

	Group *Group // nil where no host reported it
}

// Group is what hosts on the interface asked for said about the group.
type Group struct {
	Include bool
	Version int // that hosts speak
	Sources map[netip.Addr]bool
}

// Excludes says whether the hosts want all sources but this one.
func (g *Group) Excludes(source netip.Addr) bool {
	forwarding, listed := g.Sources[source]
	return !g.Include && listed && !forwarding
}

// Sighting is packets of the flow that were seen and dropped.
type Sighting struct {
	Interface string
	Reason    string // as in the statistics
	Packets   uint64
}

// seen counts what was seen for a reason, and names the interface.
func (f *Facts) seen(reason string) (name string, packets uint64) {
	for _, s := range f.Seen {
		if s.Reason == reason {
			name = s.Interface
			packets += s.Packets
		}
	}
	return name, packets
}

// protocol names IGMP or MLD, whichever the group belongs to.
func (f *Facts) protocol() string {
	if f.Group.Is4() {
		return "IGMP"
	}
	return "MLD"
}
