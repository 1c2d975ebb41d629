package relay

import (
	"encoding/binary"
	"net/netip"
)

const (
	ipv4HeaderLen = 20
	ipv6HeaderLen = 40
	udpHeaderLen  = 8
	protocolUDP   = 17

	udpChecksumField = 6 // of the UDP header
)

// packet is a UDP datagram to a group, as it arrived.
type packet struct {
	bytes  []byte // without what trailed it
	udp    []byte // the part of bytes from the UDP header on
	source netip.Addr
	group  netip.AddrPort
}

// destination reads where a packet goes, as far as it is UDP to a group. It looks
// at nothing else, and is what packets are told apart with before all others.
func destination(b []byte) (group netip.AddrPort, ok bool) {
	switch {
	case len(b) < ipv4HeaderLen:
	case b[0]>>4 == 4 && b[9] == protocolUDP:
		header := int(b[0]&0x0f) * 4
		if header >= ipv4HeaderLen && len(b) >= header+udpHeaderLen {
			port := binary.BigEndian.Uint16(b[header+2:])
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:20])), port), true
		}
	case b[0]>>4 == 6 && len(b) >= ipv6HeaderLen+udpHeaderLen && b[6] == protocolUDP:
		port := binary.BigEndian.Uint16(b[ipv6HeaderLen+2:])
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[24:40])), port), true
	}
	return netip.AddrPort{}, false
}

// parse reads a packet that has a destination. The UDP checksum is the receiver's
// to verify.
func parse(b []byte) (packet, Drop) {
	group, ok := destination(b)
	if !ok {
		return packet{}, DropBadPacket
	}
	if b[0]>>4 == 4 {
		return parseIPv4(b, group)
	}
	total := ipv6HeaderLen + int(binary.BigEndian.Uint16(b[4:]))
	if total > len(b) || total < ipv6HeaderLen+udpHeaderLen {
		return packet{}, DropBadPacket
	}
	p := packet{bytes: b[:total], udp: b[ipv6HeaderLen:total], group: group,
		source: netip.AddrFrom16([16]byte(b[8:24]))}
	return p, p.check()
}

func parseIPv4(b []byte, group netip.AddrPort) (packet, Drop) {
	header := int(b[0]&0x0f) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case total > len(b), total < header+udpHeaderLen, checksum(b[:header]) != 0xffff:
		return packet{}, DropBadPacket
	// RFC 791 section 3.1: more fragments, or an offset.
	case binary.BigEndian.Uint16(b[6:])&0x3fff != 0:
		return packet{}, DropFragment
	}
	p := packet{bytes: b[:total], udp: b[header:total], group: group,
		source: netip.AddrFrom4([4]byte(b[12:16]))}
	return p, p.check()
}

func (p *packet) check() Drop {
	switch {
	case int(binary.BigEndian.Uint16(p.udp[4:])) != len(p.udp):
		return DropBadPacket
	case p.source.IsMulticast(), p.source.IsUnspecified(), p.source.IsLoopback(),
		p.source.Is4In6():
		return DropBadSource
	}
	return none
}

// payload is what the datagram says.
func (p *packet) payload() []byte { return p.udp[udpHeaderLen:] }

// from gives a copy of the packet that another source sends.
func (p *packet) from(source netip.Addr) []byte {
	b := append([]byte(nil), p.bytes...)
	udp := b[len(b)-len(p.udp):]
	at := b[12:16]
	if source.Is6() {
		at = b[8:24]
	}
	old := append([]byte(nil), at...)
	copy(at, source.AsSlice())
	if source.Is4() {
		adjust(b[10:], old, at)
		// RFC 768: there is no checksum.
		if udp[udpChecksumField] == 0 && udp[udpChecksumField+1] == 0 {
			return b
		}
	}
	adjust(udp[udpChecksumField:], old, at)
	if udp[udpChecksumField] == 0 && udp[udpChecksumField+1] == 0 {
		binary.BigEndian.PutUint16(udp[udpChecksumField:], 0xffff)
	}
	return b
}

// adjust corrects a checksum for words that have changed (RFC 1624 section 3,
// equation 3): one that was wrong stays so.
func adjust(field, old, current []byte) {
	s := uint32(^binary.BigEndian.Uint16(field))
	for i := 0; i < len(old); i += 2 {
		s += uint32(^binary.BigEndian.Uint16(old[i:]))
		s += uint32(binary.BigEndian.Uint16(current[i:]))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	binary.BigEndian.PutUint16(field, ^uint16(s))
}

// checksum is the sum of RFC 1071 over an even number of bytes.
func checksum(b []byte) uint16 {
	var s uint32
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
