package stack

import (
	"cmp"
	"slices"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	netstack "gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Stats is a snapshot of the stack's counters. They only grow.
type Stats struct {
	Interfaces       []InterfaceStats // by index
	UnknownInterface uint64           // frames punted for an index that is not there
}

// InterfaceStats counts what one interface did with what it was given.
type InterfaceStats struct {
	Index         uint32
	Name          string
	PuntedPackets uint64 // given to Deliver
	PuntedBytes   uint64
	SentPackets   uint64 // taken by the device
	SentBytes     uint64 // with the Ethernet header, where there is one
	// Drops counts dropped packets by reason. Reasons with a count of 0 are
	// left out.
	Drops map[string]uint64
}

// traffic counts packets and bytes.
type traffic struct {
	packets, bytes atomic.Uint64
}

func (t *traffic) add(n int) {
	t.packets.Add(1)
	t.bytes.Add(uint64(n))
}

type counters struct {
	punted, sent traffic
	tapped       atomic.Uint64 // of what gVisor counts as not for us
	drops        [dropReasons]atomic.Uint64
}

// drop is why a packet went no further.
type drop uint8

const (
	accepted drop = iota
	dropShort
	dropLength
	dropVersion
	dropEtherType
	dropOtherHost
	dropSourceMAC
	dropGroupFrame
	dropMartianSource
	dropMartianDestination
	dropOwnSource
	dropHeaderChain
	dropNoIPv6
	dropLinkLocal
	dropOnLink
	dropNotForUs
	dropMalformed
	dropTTL
	dropNoRoute
	dropTooBig
	dropDown
	dropFault
	dropUnresolved
	dropRemoved
	dropDevice
	dropSourceValidation
	dropReasons
)

// dropNames are what people and scripts read.
var dropNames = [dropReasons]string{
	dropShort:              "short",               // smaller than its headers
	dropLength:             "length",              // a length field that does not fit
	dropVersion:            "version",             // neither IPv4 nor IPv6
	dropEtherType:          "ethertype",           // neither IPv4, IPv6 nor ARP
	dropOtherHost:          "other-host",          // a frame to somebody else's MAC
	dropSourceMAC:          "source-mac",          // from a group's or our own MAC
	dropGroupFrame:         "group-frame",         // unicast IP in a group's frame
	dropMartianSource:      "martian-source",      // RFC 1812 §5.3.7
	dropMartianDestination: "martian-destination", // RFC 1812 §5.3.7
	dropOwnSource:          "own-source",          // from one of our own addresses
	dropHeaderChain:        "header-chain",        // extension headers beyond RFC 7112 §5
	dropNoIPv6:             "no-ipv6",             // on a link whose MTU is below 1280
	dropLinkLocal:          "link-local",          // link-local, to be forwarded
	dropOnLink:             "on-link",             // back onto the same point-to-point link
	dropNotForUs:           "not-for-us",          // and forwarding is off
	dropMalformed:          "malformed",           // the header checksum is wrong
	dropTTL:                "ttl-exceeded",        // TTL or hop limit ran out
	dropNoRoute:            "no-route",            // RFC 1812 §5.2.7.1, RFC 4443 §3.1
	dropTooBig:             "too-big",             // RFC 1191 §4, RFC 4443 §3.2
	dropDown:               "down",                // the interface is down
	dropFault:              "fault",               // the netstack failed on it
	dropUnresolved:         "unresolved",          // no MAC for the next hop
	dropRemoved:            "removed",             // sent while the interface went away
	dropDevice:             "device",              // the device did not take it
	dropSourceValidation:   "source-validation",   // RFC 3704 §2
}

// Stats returns the counters of all interfaces.
func (s *Stack) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	stats := Stats{UnknownInterface: s.unknown.Load()}
	for _, i := range s.interfaces {
		stats.Interfaces = append(stats.Interfaces, s.interfaceStats(i))
	}
	slices.SortFunc(stats.Interfaces, func(a, b InterfaceStats) int {
		return cmp.Compare(a.Index, b.Index)
	})
	return stats
}

// interfaceStats adds gVisor's counters to ours. They are apart: no packet is in
// both, for gVisor never sees what is dropped here.
func (s *Stack) interfaceStats(i *iface) InterfaceStats {
	stats := InterfaceStats{
		Index:         i.link.index,
		Name:          i.name,
		PuntedPackets: i.counters.punted.packets.Load(),
		PuntedBytes:   i.counters.punted.bytes.Load(),
		SentPackets:   i.counters.sent.packets.Load(),
		SentBytes:     i.counters.sent.bytes.Load(),
		Drops:         make(map[string]uint64),
	}
	for reason := range i.counters.drops {
		stats.drop(dropNames[reason], i.counters.drops[reason].Load())
	}
	info, ok := s.net.SingleNICInfo(i.nic())
	if !ok {
		return stats
	}
	for _, endpoint := range info.NetworkStats {
		if e, ok := endpoint.(netstack.IPNetworkEndpointStats); ok {
			stats.addNetstack(e.IPStats())
		}
	}
	stats.forgive(dropNames[dropNotForUs], i.counters.tapped.Load())
	return stats
}

// forgive takes back drops that were none. The counters are not read at one
// moment, so there may seem to be more of them than drops.
func (s *InterfaceStats) forgive(reason string, n uint64) {
	if s.Drops[reason] <= n {
		delete(s.Drops, reason)
		return
	}
	s.Drops[reason] -= n
}

// addNetstack adds what gVisor dropped on its own, of one family.
func (s *InterfaceStats) addNetstack(ip *tcpip.IPStats) {
	f := &ip.Forwarding
	for _, c := range []struct {
		reason  string
		counter *tcpip.StatCounter
	}{
		{"malformed", ip.MalformedPacketsReceived},
		{"invalid-source", ip.InvalidSourceAddressesReceived},
		{"not-for-us", ip.InvalidDestinationAddressesReceived},
		{"send-failed", ip.OutgoingPacketErrors},
		{"no-route", f.Unrouteable},
		{"ttl-exceeded", f.ExhaustedTTL},
		{"too-big", f.PacketTooBig},
		{"host-unreachable", f.HostUnreachable},
		{"link-local", f.LinkLocalSource},
		{"link-local", f.LinkLocalDestination},
		{"invalid-source", f.InitializingSource},
		{"header-problem", f.ExtensionHeaderProblem},
	} {
		s.drop(c.reason, c.counter.Value())
	}
}

func (s *InterfaceStats) drop(reason string, n uint64) {
	if n != 0 {
		s.Drops[reason] += n
	}
}
