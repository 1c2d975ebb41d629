package membership

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"umroute/mgm"
	"umroute/stack/igmp"
	"umroute/stack/mld"
)

// The defaults of RFC 9776 section 8 and RFC 9777 section 9.
const (
	DefaultRobustness              = 2
	DefaultQueryInterval           = 125 * time.Second
	DefaultQueryResponseInterval   = 10 * time.Second
	DefaultLastMemberQueryInterval = time.Second
	defaultMTU                     = 1500
)

// Limits where the configuration sets none. They only keep memory bounded.
const (
	maxGroups  = 1 << 20 // per interface
	maxSources = 1 << 16 // per group
)

// Errors of the Router's methods, wrapped with the name of the interface.
var (
	ErrInterfaceExists   = errors.New("interface exists already")
	ErrInterfaceNotFound = errors.New("no such interface")
	ErrMembershipUnknown = errors.New("no such static membership")
	ErrInvalid           = errors.New("invalid")
)

// InterfaceConfig describes one interface. Zero values mean the defaults of the
// RFCs, for limits that there is none.
type InterfaceConfig struct {
	Index uint32
	Name  string

	// Address is the source of queries and what the election compares: the
	// IPv4 address, for MLD the link-local one. Without it the interface only
	// listens.
	Address netip.Addr
	// Prefixes are the IPv4 subnets from which hosts are heard; none means all.
	Prefixes []netip.Prefix
	MTU      int // bounds the sources of one query; 0 means 1500

	// Version is the highest one spoken: 1 to 3 for IGMP, 1 to 2 for MLD, 0 for
	// the newest. An older one is for links with an older router (RFC 9776
	// section 7.3.1); reports of newer versions are then heard as older ones.
	Version int

	QueryInterval           time.Duration
	QueryResponseInterval   time.Duration // below QueryInterval
	StartupResponseInterval time.Duration // of startup queries; 0 means the same
	LastMemberQueryInterval time.Duration

	Robustness           int // 1 to 255
	StartupQueryCount    int // 0 means Robustness
	LastMemberQueryCount int // 0 means Robustness

	// FastLeave acts at once, without asking, when the last tracked host gives
	// up a group or source. Hosts of IGMPv1, IGMPv2 and MLDv1 that keep silent
	// because another one answered are not tracked, so it is for links with one
	// host, or with hosts of the newest version. A host that reports before it
	// has an address counts as two until the first report has aged: nobody can
	// say that it is the same one.
	FastLeave bool

	// RequireRouterAlert drops IGMP messages without Router Alert. MLD ones are
	// always dropped (RFC 9777 section 7.4).
	RequireRouterAlert bool

	MaxGroups  int // learnt groups on the interface
	MaxSources int // learnt sources of each group
	PacketRate int // messages heard per second, after a burst of as many

	Allow  []netip.Prefix // groups that hosts may join; none means all
	Static []mgm.Entry    // memberships that need no host; no source means any
}

// timing holds the intervals of RFC 9776 section 8 that are in force.
type timing struct {
	robustness      int
	interval        time.Duration // Query Interval
	response        time.Duration // Query Response Interval
	startupResponse time.Duration
	lastMember      time.Duration // Last Member Query Interval
	startupCount    int
	lastMemberCount int // 0: the robustness
}

// groupMembership is the Group Membership Interval, RFC 9776 section 8.4, and
// the Older Host Present Interval, section 8.13.
func (t *timing) groupMembership() time.Duration {
	return time.Duration(t.robustness)*t.interval + t.response
}

// otherQuerierPresent is the interval of RFC 9776 section 8.5.
func (t *timing) otherQuerierPresent() time.Duration {
	return time.Duration(t.robustness)*t.interval + t.response/2
}

// startup is the Startup Query Interval, RFC 9776 section 8.6.
func (t *timing) startup() time.Duration { return t.interval / 4 }

// queries is the Last Member Query Count, RFC 9776 section 8.9.
func (t *timing) queries() int {
	if t.lastMemberCount != 0 {
		return t.lastMemberCount
	}
	return t.robustness
}

// lastMemberTime is the Last Member Query Time, RFC 9776 section 8.10.
func (t *timing) lastMemberTime() time.Duration {
	return time.Duration(t.queries()) * t.lastMember
}

func (c *InterfaceConfig) timing() timing {
	t := timing{
		robustness:      orDefault(c.Robustness, DefaultRobustness),
		interval:        orDefault(c.QueryInterval, DefaultQueryInterval),
		response:        orDefault(c.QueryResponseInterval, DefaultQueryResponseInterval),
		lastMember:      orDefault(c.LastMemberQueryInterval, DefaultLastMemberQueryInterval),
		lastMemberCount: c.LastMemberQueryCount,
	}
	t.startupResponse = orDefault(c.StartupResponseInterval, t.response)
	t.startupCount = orDefault(c.StartupQueryCount, t.robustness)
	return t
}

func orDefault[T int | time.Duration](v, standard T) T {
	if v == 0 {
		return standard
	}
	return v
}

// validate says what is wrong with the configuration for a family.
func (c *InterfaceConfig) validate(f Family) error {
	maxResponse, maxInterval := igmp.MaxResponse, igmp.MaxInterval
	if f == MLD {
		maxResponse, maxInterval = mld.MaxResponse, mld.MaxInterval
	}
	if c.Version < 3 && f == IGMP && c.Version != 0 {
		maxResponse = igmp.MaxResponseV2
	}
	if c.Version == 1 && f == MLD {
		maxResponse = mld.MaxResponseV1
	}
	t := c.timing()
	switch {
	case c.Address.IsValid() && !f.isQuerierAddress(c.Address):
		return fmt.Errorf("%w: address %s for %s", ErrInvalid, c.Address, f)
	case c.Version < 0 || c.Version > f.newest():
		return fmt.Errorf("%w: %s version %d", ErrInvalid, f, c.Version)
	case t.interval < time.Second || t.interval > maxInterval:
		return fmt.Errorf("%w: query interval %s", ErrInvalid, t.interval)
	case t.response <= 0 || t.response > maxResponse || t.response >= t.interval:
		// RFC 9776 section 8.3: it must be below the query interval.
		return fmt.Errorf("%w: query response interval %s with query interval %s",
			ErrInvalid, t.response, t.interval)
	case t.startupResponse <= 0 || t.startupResponse > maxResponse:
		return fmt.Errorf("%w: startup response interval %s", ErrInvalid, t.startupResponse)
	case t.lastMember <= 0 || t.lastMember > maxResponse:
		return fmt.Errorf("%w: last member query interval %s", ErrInvalid, t.lastMember)
	case t.robustness < 1 || t.robustness > 255:
		return fmt.Errorf("%w: robustness %d", ErrInvalid, t.robustness)
	case t.startupCount < 1 || t.queries() < 1 || t.queries() > 255:
		return fmt.Errorf("%w: query counts %d, %d", ErrInvalid, t.startupCount, t.queries())
	case c.MaxGroups < 0 || c.MaxSources < 0 || c.PacketRate < 0 || c.MTU < 0:
		return fmt.Errorf("%w: limit below zero", ErrInvalid)
	}
	for _, e := range c.Static {
		if err := f.checkStatic(e); err != nil {
			return err
		}
	}
	return nil
}

// isQuerierAddress reports whether queries may come from a: any IPv4 unicast
// address, for MLD a link-local one (RFC 9777 section 5.1).
func (f Family) isQuerierAddress(a netip.Addr) bool {
	if f == MLD {
		return a.Is6() && a.IsLinkLocalUnicast()
	}
	return a.Is4() && !a.IsMulticast() && !a.IsUnspecified()
}

// newest returns the newest version of the family.
func (f Family) newest() int {
	if f == MLD {
		return 2
	}
	return 3
}
