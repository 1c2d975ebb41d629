// Package delay measures how long a router takes to begin and to stop
// forwarding when a host says what it wants: group join delay and group leave
// delay (RFC 2432 section 3.3, RFC 3918 section 6).
//
// Both are read off the host's link, by the kernel's clock: from the packet of
// IGMP or MLD that leaves the host to the first or last datagram that comes. The
// host's own delay before it reports is in neither.
package delay

import (
	"encoding/binary"
	"net/netip"
)

// kind of a packet on a host's link.
type kind int

const (
	other  kind = iota
	data        // UDP to the group
	joins       // a report that the host listens to the group
	leaves      // a report that it does no longer
)

// Protocol numbers, and the types of messages.
const (
	protocolIGMP, protocolUDP, protocolICMPv6 = 2, 17, 58

	igmpV2Report, igmpV2Leave, igmpV3Report = 0x16, 0x17, 0x22
	mldV1Report, mldV1Done, mldV2Report     = 131, 132, 143
)

// classify tells what an IP packet is to a group.
func classify(packet []byte, group netip.Addr) kind {
	switch {
	case len(packet) >= 20 && packet[0]>>4 == 4 && group.Is4():
		head := int(packet[0]&0xf) * 4
		if head < 20 || head > len(packet) {
			return other
		}
		to := netip.AddrFrom4([4]byte(packet[16:]))
		return classifyPayload(packet[9], packet[head:], to, group)
	case len(packet) >= 40 && packet[0]>>4 == 6 && group.Is6():
		to, next, payload := netip.AddrFrom16([16]byte(packet[24:])), packet[6], packet[40:]
		// Messages of MLD have a hop-by-hop header (RFC 3810 section 5).
		if next == 0 && len(payload) >= 8 {
			length := 8 + int(payload[1])*8
			if length > len(payload) {
				return other
			}
			next, payload = payload[0], payload[length:]
		}
		return classifyPayload(next, payload, to, group)
	}
	return other
}

func classifyPayload(protocol byte, b []byte, to, group netip.Addr) kind {
	if protocol == protocolUDP && to == group {
		return data
	}
	if len(b) < 8 || protocol != protocolIGMP && protocol != protocolICMPv6 {
		return other
	}
	// The types of IGMP and MLD are different numbers.
	switch b[0] {
	case igmpV2Report, mldV1Report:
		return ifNamed(b, group, joins)
	case igmpV2Leave, mldV1Done:
		return ifNamed(b, group, leaves)
	case igmpV3Report, mldV2Report:
		return records(b, group)
	}
	return other
}

// ifNamed is k where a message of the older versions is about the group.
func ifNamed(b []byte, group netip.Addr, k kind) kind {
	at := 4 // RFC 2236 section 2
	if group.Is6() {
		at = 8 // RFC 2710 section 3
	}
	if named, ok := netip.AddrFromSlice(b[at:min(len(b), at+group.BitLen()/8)]); ok && named == group {
		return k
	}
	return other
}

// records reads the records of a report (RFC 9776 section 4.2, RFC 9777 section
// 5.2).
func records(b []byte, group netip.Addr) kind {
	const toInclude, toExclude, allow, block = 3, 4, 5, 6
	size := group.BitLen() / 8
	rest := b[8:]
	for range binary.BigEndian.Uint16(b[6:]) {
		if len(rest) < 4+size {
			return other
		}
		sources := int(binary.BigEndian.Uint16(rest[2:]))
		length := 4 + size*(1+sources) + int(rest[1])*4
		if length > len(rest) {
			return other
		}
		named, _ := netip.AddrFromSlice(rest[4 : 4+size])
		switch {
		case named != group:
		case rest[0] == toExclude, rest[0] == allow, rest[0] == toInclude && sources > 0:
			return joins
		case rest[0] == toInclude, rest[0] == block:
			return leaves
		}
		rest = rest[length:]
	}
	return other
}
