package stack

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
)

// forwardUnicast forwards a packet that is not for the router.
func (s *Stack) forwardUnicast(i *iface, p *punt) drop {
	// RFC 1812 §5.3.1: a packet whose TTL would become 0 is not forwarded. gVisor
	// sends a TTL of 1 on as 0. It knows the IPv6 hop limit.
	if p.family == ipv4.ProtocolNumber && header.IPv4(p.packet).TTL() <= 1 {
		s.sendError(i, p, timeExceeded)
		return dropTTL
	}
	if len(p.packet) > s.smallest {
		if mtu := s.outgoingMTU(p); len(p.packet) > mtu {
			return s.forwardLarge(i, p, mtu)
		}
	}
	pass(i, p, p.packet)
	return accepted
}

// outgoingMTU returns the MTU of the interface a packet will leave by, or one
// that any packet fits where gVisor will not let it leave at all.
func (s *Stack) outgoingMTU(p *punt) int {
	if p.family == ipv4.ProtocolNumber {
		if !header.IPv4(p.packet).IsChecksumValid() {
			return maximumMTU
		}
	} else if header.IPv6(p.packet).HopLimit() <= 1 {
		return maximumMTU
	}
	route, err := s.net.FindRoute(0, tcpip.Address{}, toAddress(p.destination), p.family, false)
	if err != nil {
		return maximumMTU
	}
	defer route.Release()
	if out, ok := s.interfaces[uint32(route.NICID())]; ok {
		return int(out.link.mtu)
	}
	return maximumMTU
}

// forwardLarge forwards a packet in pieces, or tells its sender why not. gVisor
// would number the pieces of a fragment from 0, and name an MTU of 0 in its error.
func (s *Stack) forwardLarge(i *iface, p *punt, mtu int) drop {
	if p.family == ipv4.ProtocolNumber &&
		header.IPv4(p.packet).Flags()&header.IPv4FlagDontFragment == 0 {
		for _, piece := range fragment(p.packet, mtu) {
			pass(i, p, piece)
		}
		return accepted
	}
	s.sendError(i, p, tooBig(p.family, mtu))
	return dropTooBig
}

// fragment cuts an IPv4 packet, itself a fragment or not, into pieces of at most
// mtu bytes (RFC 791 §3.2). Each piece keeps all options, as gVisor's do.
func fragment(packet []byte, mtu int) [][]byte {
	h := header.IPv4(packet)
	headerLength := int(h.HeaderLength())
	data := packet[headerLength:]
	room := (mtu - headerLength) &^ 7
	pieces := make([][]byte, 0, len(data)/room+1)
	for at := 0; at < len(data); at += room {
		n := min(room, len(data)-at)
		piece := make([]byte, 0, headerLength+n)
		piece = append(piece, packet[:headerLength]...)
		piece = append(piece, data[at:at+n]...)
		flags := h.Flags()
		if at+n < len(data) {
			flags |= header.IPv4FlagMoreFragments
		}
		ph := header.IPv4(piece)
		ph.SetTotalLength(uint16(len(piece)))
		ph.SetFlagsFragmentOffset(flags, h.FragmentOffset()+uint16(at))
		ph.SetChecksum(0)
		ph.SetChecksum(^checksum.Checksum(piece[:headerLength], 0))
		pieces = append(pieces, piece)
	}
	return pieces
}
