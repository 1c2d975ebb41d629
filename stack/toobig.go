package stack

import (
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
)

// PacketTooBig tells the source of an IPv6 packet to a group that the packet,
// which arrived on the link with this index, is longer than the MTU of a link
// that it was to be sent to. It is one of the two errors that a packet to a
// group may be answered with (RFC 4443 §2.4 (e.3)). All errors share one rate
// limit. What is not such a packet is ignored.
func (s *Stack) PacketTooBig(index uint32, packet []byte, mtu int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, ok := s.interfaces[index]
	if !ok || len(packet) == 0 || packet[0]>>4 != 6 {
		return
	}
	defer s.contain(i)
	p := punt{family: ipv6.ProtocolNumber, packet: packet}
	if s.screen(i, &p) != accepted || !p.destination.IsMulticast() {
		return
	}
	s.sendError(i, &p, tooBig(p.family, mtu))
}
