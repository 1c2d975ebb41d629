package stack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/header/parse"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	netstack "gvisor.dev/gvisor/pkg/tcpip/stack"
)

// icmpError is a type and code of the ICMP of the packet's family, and what the
// four bytes behind the checksum hold.
type icmpError struct {
	kind, code uint8
	detail     uint32
}

// timeExceeded is for a packet that ran out of hops on its way (RFC 792, RFC 4443
// §3.3).
func timeExceeded(family tcpip.NetworkProtocolNumber) icmpError {
	if family == ipv4.ProtocolNumber {
		return icmpError{
			kind: uint8(header.ICMPv4TimeExceeded),
			code: uint8(header.ICMPv4TTLExceeded),
		}
	}
	return icmpError{
		kind: uint8(header.ICMPv6TimeExceeded),
		code: uint8(header.ICMPv6HopLimitExceeded),
	}
}

// noRoute is for a destination in no prefix that is known (RFC 1812 §4.3.3.1, RFC
// 4443 §3.1).
func noRoute(family tcpip.NetworkProtocolNumber) icmpError {
	if family == ipv4.ProtocolNumber {
		return icmpError{
			kind: uint8(header.ICMPv4DstUnreachable),
			code: uint8(header.ICMPv4NetUnreachable),
		}
	}
	return icmpError{
		kind: uint8(header.ICMPv6DstUnreachable),
		code: uint8(header.ICMPv6NetworkUnreachable),
	}
}

// unreachableAddress is for a host that can't be where its address says it is, on
// the link the packet came from (RFC 792 code 1, RFC 4443 §3.1 code 3).
func unreachableAddress(family tcpip.NetworkProtocolNumber) icmpError {
	if family == ipv4.ProtocolNumber {
		return icmpError{
			kind: uint8(header.ICMPv4DstUnreachable),
			code: uint8(header.ICMPv4HostUnreachable),
		}
	}
	return icmpError{
		kind: uint8(header.ICMPv6DstUnreachable),
		code: uint8(header.ICMPv6AddressUnreachable),
	}
}

// tooBig tells the MTU of the next link: in the low 16 bits for IPv4 (RFC 1191
// §4), in 32 for IPv6 (RFC 4443 §3.2).
func tooBig(family tcpip.NetworkProtocolNumber, mtu int) icmpError {
	if family == ipv4.ProtocolNumber {
		return icmpError{
			kind:   uint8(header.ICMPv4DstUnreachable),
			code:   uint8(header.ICMPv4FragmentationNeeded),
			detail: uint32(mtu),
		}
	}
	return icmpError{kind: uint8(header.ICMPv6PacketTooBig), detail: uint32(mtu)}
}

const (
	// quoted4 is how much of an IPv4 packet an error tells (RFC 1812 §4.3.2.3).
	quoted4 = 576 - header.IPv4MinimumSize - header.ICMPv4MinimumSize
	// quoted6 is how much of an IPv6 packet one tells (RFC 4443 §2.4 (c)).
	quoted6 = ipv6MinimumMTU - header.IPv6MinimumSize - header.ICMPv6ErrorHeaderSize
)

// sendError answers a packet that arrived on i and is not for the router. It
// shares gVisor's rate limit of 1000 errors a second.
func (s *Stack) sendError(i *iface, p *punt, e icmpError) {
	if !s.deservesError(p) || !s.net.AllowICMPMessage() {
		return
	}
	// By way of the interface it came in on, so that the answer has that one's
	// address and a traceroute shows it, or wherever its sender is.
	route, err := s.net.FindRoute(i.nic(), tcpip.Address{}, toAddress(p.source), p.family, false)
	if err != nil {
		return
	}
	defer route.Release()
	packet := newError(route, p, e)
	defer packet.DecRef()
	// Internetwork control, of IPv4's precedences (RFC 1812 §4.3.2.5).
	protocol, precedence := header.ICMPv4ProtocolNumber, uint8(6<<5)
	if p.family != ipv4.ProtocolNumber {
		protocol, precedence = header.ICMPv6ProtocolNumber, 0
	}
	// A failure is counted by the interface it happens on.
	_ = route.WritePacket(netstack.NetworkHeaderParams{
		Protocol: protocol,
		TTL:      route.DefaultTTL(),
		TOS:      precedence,
	}, packet)
}

// newError makes the message, with as much of the packet as it may quote.
func newError(route *netstack.Route, p *punt, e icmpError) *netstack.PacketBuffer {
	limit := quoted4
	if p.family != ipv4.ProtocolNumber {
		limit = quoted6
	}
	b := netstack.NewPacketBuffer(netstack.PacketBufferOptions{
		ReserveHeaderBytes: int(route.MaxHeaderLength()) + header.ICMPv4MinimumSize,
		Payload:            buffer.MakeWithData(p.packet[:min(len(p.packet), limit)]),
	})
	// Both families start an error with type, code, checksum and 4 bytes more.
	h := b.TransportHeader().Push(header.ICMPv4MinimumSize)
	clear(h)
	h[0], h[1] = e.kind, e.code
	binary.BigEndian.PutUint32(h[4:], e.detail)
	if p.family == ipv4.ProtocolNumber {
		b.TransportProtocolNumber = header.ICMPv4ProtocolNumber
		icmp := header.ICMPv4(h)
		icmp.SetChecksum(header.ICMPv4Checksum(icmp, b.Data().Checksum()))
		return b
	}
	b.TransportProtocolNumber = header.ICMPv6ProtocolNumber
	icmp := header.ICMPv6(h)
	icmp.SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{
		Header:      icmp,
		Src:         route.LocalAddress(),
		Dst:         route.RemoteAddress(),
		PayloadCsum: b.Data().Checksum(),
		PayloadLen:  b.Data().Size(),
	}))
	return b
}

// deservesError says whether a unicast packet may be answered with an error:
// neither errors nor what nobody can be told about (RFC 1812 §4.3.2.7, RFC 4443
// §2.4 (e)).
func (s *Stack) deservesError(p *punt) bool {
	if p.source.IsUnspecified() || s.isBroadcast(p.source) {
		return false
	}
	if p.family == ipv4.ProtocolNumber {
		return deservesError4(p.packet)
	}
	return deservesError6(p.packet)
}

// deservesError4 applies the rules for IPv4: an error is for the first fragment
// alone, and neither for another error nor for a header that is damaged.
func deservesError4(packet []byte) bool {
	h := header.IPv4(packet)
	if !h.IsChecksumValid() || h.FragmentOffset() != 0 {
		return false
	}
	if h.TransportProtocol() != header.ICMPv4ProtocolNumber {
		return true
	}
	payload := packet[h.HeaderLength():]
	if len(payload) < header.ICMPv4MinimumSize {
		return false
	}
	switch header.ICMPv4(payload).Type() {
	case header.ICMPv4Echo, header.ICMPv4EchoReply,
		header.ICMPv4Timestamp, header.ICMPv4TimestampReply,
		header.ICMPv4InfoRequest, header.ICMPv4InfoReply:
		return true
	default:
		return false // an error, or one for all we know
	}
}

// deservesError6 applies the rules for IPv6, where fragments are no exception. The
// ICMPv6 header may be behind extension headers.
func deservesError6(packet []byte) bool {
	b := newPacket(packet)
	defer b.DecRef()
	protocol, _, _, _, ok := parse.IPv6(b)
	if !ok {
		return false
	}
	if protocol != header.ICMPv6ProtocolNumber {
		return true
	}
	payload := packet[len(b.NetworkHeader().Slice()):]
	if len(payload) < header.ICMPv6MinimumSize {
		return false
	}
	// Informational types have the high bit set (RFC 4443 §2.1).
	kind := header.ICMPv6(payload).Type()
	return !kind.IsErrorType() && kind != header.ICMPv6RedirectMsg
}
