package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"time"
)

// Config is what one router runs with. All defaults are filled in.
type Config struct {
	Name       string // of the router, and of its control socket
	Log        Log
	Metrics    Metrics
	Control    Control
	Interfaces []Interface // in the order of the file
	Unicast    Unicast
	RPF        RPF
	Protocols  Protocols
	Domains    []DomainRule
}

// Log says how the router logs.
type Log struct {
	Level  slog.Level
	Format LogFormat
}

// LogFormat is the form of a log line.
type LogFormat string

// The forms of a log line: slog's text and JSON handlers.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Unicast is the unicast side of the router.
type Unicast struct {
	Forward bool // between the interfaces
	Kernel  bool // the RIB has the kernel's routes by devices in the router's namespace
	Routes  []UnicastRoute
}

// UnicastRoute leads to a prefix through a neighbour on a connected prefix.
type UnicastRoute struct {
	Prefix netip.Prefix // masked
	Via    netip.Addr
}

// RPF holds the multicast view of the routes to sources. Where it has none,
// unicast routes count.
type RPF struct {
	Routes []RPFRoute
}

// RPFRoute names the interface on which traffic from a prefix is accepted.
type RPFRoute struct {
	Prefix    netip.Prefix // masked
	Interface string       // the name of an Interface of the same Config
}

// Link is the kind of device behind an interface.
type Link string

// The kinds of device.
const (
	LinkTUN Link = "tun" // IP packets; one host
	LinkTAP Link = "tap" // Ethernet frames

	// LinkPacket is an Ethernet device that was there already.
	LinkPacket Link = "packet"

	// LinkHost is a device of the host, reached by ordinary sockets.
	LinkHost Link = "host"
)

// IO is the way in which packets are read and written.
type IO string

// The ways to read and write packets.
const (
	IOAuto     IO = "auto" // what is fastest
	IOUring    IO = "uring"
	IOVectored IO = "vectored"
	IOPlain    IO = "plain"
)

// Interface is one link of the router.
type Interface struct {
	Name string
	Pos  Position // of its name in the file; zero where no file has it

	Link   Link
	Netns  Netns  // where the device is
	Device string // its name there, at most 15 bytes; "" with an FD
	FD     int    // an inherited descriptor, 3 or more; 0: open Device in Netns
	IO     IO
	Domain string // multicast stays inside a domain, but for the rules of Config
	MTU    int    // bytes, 68 to 65535

	// Coalesce has datagrams of one flow written as one, where the device takes
	// that. A capture behind the device then sees them as one.
	Coalesce bool

	Addresses     []netip.Prefix // the router's, with their host bits
	PeerAddresses []netip.Prefix // for the other side of the link
	PeerRoutes    bool           // give the other side routes through the router

	Host Host // with LinkHost alone

	SourceValidation SourceValidation
	MaxFlows         int // that may begin here; 0: the forwarder's own limit

	TTLThreshold uint8          // 1 to 255; a lower TTL does not leave here
	Boundary     []netip.Prefix // groups that do not cross, in either direction

	IGMP Membership
	MLD  Membership
}

// DefaultInterface returns the interface that a configuration with nothing but
// these addresses describes. Without an IPv4 address its IGMP is off.
func DefaultInterface(name string, addresses ...netip.Prefix) Interface {
	return Interface{
		Name:         name,
		Link:         LinkTUN,
		Device:       defaultDevice,
		IO:           IOAuto,
		Domain:       "default",
		MTU:          1500,
		Coalesce:     true,
		Addresses:    addresses,
		PeerRoutes:   true,
		TTLThreshold: 1,
		IGMP:         defaultMembership(igmpVersions.highest),
		MLD:          defaultMembership(mldVersions.highest),
	}.withEnabled()
}

// withEnabled turns each protocol on where the interface can speak it: IGMP
// needs an IPv4 address, MLD the smallest IPv6 MTU, since the router gives
// every interface a link-local address (RFC 8200 section 5).
func (i Interface) withEnabled() Interface {
	i.IGMP.Enabled = i.hasIPv4()
	i.MLD.Enabled = i.MTU >= minIPv6MTU
	return i
}

func (i *Interface) hasIPv4() bool {
	for _, a := range i.Addresses {
		if a.Addr().Is4() {
			return true
		}
	}
	return false
}

// Equal says whether both describe the same interface, wherever in a file
// they stand: a reload leaves such an interface alone.
func (i Interface) Equal(other Interface) bool {
	i.Pos, other.Pos = Position{}, Position{}
	return reflect.DeepEqual(i, other)
}

// Netns names a network namespace. At most one field is set; the zero value
// is the router's own.
type Netns struct {
	Name string // under /run/netns
	Path string // absolute
	PID  int    // of a process that lives there
}

// String returns the form that the configuration has: a name, an absolute
// path, pid:N or self.
func (n Netns) String() string {
	switch {
	case n.Name != "":
		return n.Name
	case n.Path != "":
		return n.Path
	case n.PID != 0:
		return fmt.Sprintf("pid:%d", n.PID)
	}
	return "self"
}

// File returns the namespace's file, "" for the router's own namespace.
func (n Netns) File() string {
	switch {
	case n.Name != "":
		return "/run/netns/" + n.Name
	case n.Path != "":
		return n.Path
	case n.PID != 0:
		return fmt.Sprintf("/proc/%d/ns/net", n.PID)
	}
	return ""
}

// Membership configures the router side of IGMP or MLD on one interface. The
// names are those of RFC 3376 section 8 and RFC 3810 section 9.
type Membership struct {
	Enabled bool
	Version int // highest spoken: IGMP 1 to 3, MLD 1 to 2

	QueryInterval           time.Duration // 1 s to 31744 s
	QueryResponseInterval   time.Duration // below QueryInterval
	LastMemberQueryInterval time.Duration // MLD: last listener query interval
	Robustness              int           // 1 to 7
	StartupQueryCount       int           // Robustness by default

	FastLeave  FastLeave
	MaxGroups  int // per interface; 0: no limit
	MaxSources int // per group; 0: no limit
	PacketRate int // messages heard per second on the interface; 0: no limit
	// RequireRouterAlert drops messages without the IP option (RFC 9776 section
	// 9 suggests it). MLD ones are dropped without it in any case.
	RequireRouterAlert bool

	Static []StaticGroup
	Allow  []netip.Prefix // groups that hosts may join; empty: all
}

// StaticGroup is a membership without a host behind it.
type StaticGroup struct {
	Group  netip.Addr
	Source netip.Addr // the zero Addr: any
}

// FastLeave says whether a leave ends a membership at once, without asking
// whether another host on the link is left.
type FastLeave string

// The values of FastLeave.
const (
	FastLeaveAuto FastLeave = "auto" // on where the link has one host
	FastLeaveOn   FastLeave = "true"
	FastLeaveOff  FastLeave = "false"
)

// On says whether leaves are fast on this kind of link: a TUN has one host.
func (f FastLeave) On(link Link) bool {
	return f == FastLeaveOn || f == FastLeaveAuto && link == LinkTUN
}

func defaultMembership(version int) Membership {
	return Membership{
		Version:                 version,
		QueryInterval:           125 * time.Second,
		QueryResponseInterval:   10 * time.Second,
		LastMemberQueryInterval: time.Second,
		Robustness:              2,
		StartupQueryCount:       2,
		FastLeave:               FastLeaveAuto,
		MaxGroups:               1024,
		MaxSources:              256,
		PacketRate:              5000,
	}
}
