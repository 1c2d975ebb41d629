package routing

import (
	"encoding/binary"
	"math/bits"
)

// headroom is how many bytes a buffer has in front of what a device reads into
// it: room for an Ethernet header (14 bytes) where a packet that came without
// one leaves by a TAP, and for a virtio-net header (10 or 12) in front of that.
const headroom = 32

// The lengths and protocol numbers that the packet path needs.
const (
	ipv4HeaderLen = 20
	ipv6HeaderLen = 40

	protocolHopByHop = 0
	protocolIGMP     = 2
	protocolICMPv6   = 58
	protocolPIM      = 103
)

// packet is one multicast packet in a buffer.
type packet struct {
	buf        []byte // with headroom bytes or more in front of start
	start, end int    // the IP packet is buf[start:end]
	key        key
	entry      *entry // nil where none was found
	ttl        uint8  // as it arrived
	v6         bool

	checksum  checksum
	joined    bool    // another packet, the first of its run, stands for this one
	transport uint16  // from start to where the transport checksum begins
	field     uint16  // from there to the checksum itself
	segment   uint16  // payload bytes of each datagram of a super-packet, else 0
	count     int32   // datagrams
	size      int32   // bytes of the longest datagram
	mtu       int32   // the smallest that was too small, 0 for none
	next      *packet // the one behind it in its run
	made      *packet // of a super-packet its datagrams, of a run the super-packet
}

// verdict says what is to become of a packet.
type verdict uint8

const (
	forward verdict = iota // multicast data
	punt                   // for the host stack to judge
	drop                   // not to be forwarded, nor of use to the host stack
)

// ip gives the bytes of the packet.
func (p *packet) ip() []byte { return p.buf[p.start:p.end] }

// family is 0 for IPv4, 1 for IPv6: the plane that the packet belongs to.
func (p *packet) family() int {
	if p.v6 {
		return 1
	}
	return 0
}

// parse looks at the IP packet in buf[start:end] and cuts what trails it. If
// it is multicast data, the packet is complete but for its entry. The reason
// counts only where the verdict is drop.
func (p *packet) parse(buf []byte, start, end int) (verdict, Drop) {
	p.buf, p.start, p.end = buf, start, end
	if start >= end {
		return drop, DropBadHeader
	}
	switch buf[start] >> 4 {
	case 4:
		p.v6 = false
		return p.parse4()
	case 6:
		p.v6 = true
		return p.parse6()
	}
	return drop, DropBadHeader
}

// parse4 is parse for IPv4 (RFC 791 section 3.1, RFC 1812 section 5.2).
func (p *packet) parse4() (verdict, Drop) {
	b := p.ip()
	if len(b) < ipv4HeaderLen {
		return drop, DropBadHeader
	}
	source := binary.BigEndian.Uint32(b[12:])
	group := binary.BigEndian.Uint32(b[16:])
	switch {
	case group>>28 != 0xe:
		return punt, 0
	case group>>8 == 0xe00000:
		// RFC 1112 section 4, RFC 5771 section 4: 224.0.0.0/24 stays on its link.
		return punt, 0
	case b[9] == protocolIGMP, b[9] == protocolPIM:
		return punt, 0
	}
	headerLen := int(b[0]&0x0f) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if headerLen < ipv4HeaderLen || total < headerLen || total > len(b) {
		return drop, DropBadHeader
	}
	// RFC 1812 section 5.2.2: a router verifies the header checksum.
	if sum(b[:headerLen]) != 0xffff {
		return drop, DropBadChecksum
	}
	if !routableSource4(source) {
		return drop, DropBadSource
	}
	p.end = p.start + total
	p.ttl = b[8]
	p.key = key{address{1: uint64(source)}, address{1: uint64(group)}}
	return forward, 0
}

// routableSource4 says whether packets from source may leave their link:
// RFC 1812 section 5.3.7 excludes 0/8, loopback, multicast and broadcast,
// RFC 3927 section 2.7 the link-local 169.254/16.
func routableSource4(source uint32) bool {
	switch first := source >> 24; {
	case first == 0, first == 127, first>>4 == 0xe:
		return false
	}
	return source>>16 != 0xa9fe && source != 0xffffffff
}

// parse6 is parse for IPv6 (RFC 8200 section 3).
func (p *packet) parse6() (verdict, Drop) {
	b := p.ip()
	if len(b) < ipv6HeaderLen {
		return drop, DropBadHeader
	}
	if b[24] != 0xff {
		return punt, 0
	}
	switch scope := b[25] & 0x0f; scope {
	case 0, 1:
		// RFC 4291 section 2.7: packets to the reserved scope 0 are dropped, and
		// interface-local ones never come from a link. F counts as global.
		return drop, DropGroupScope
	case 2:
		return punt, 0
	}
	total := ipv6HeaderLen + int(binary.BigEndian.Uint16(b[4:]))
	if total > len(b) {
		return drop, DropBadHeader
	}
	b = b[:total]
	switch b[6] {
	case protocolPIM:
		return punt, 0
	case protocolHopByHop:
		if v := parseHopByHop(b); v != forward {
			return v, DropBadHeader
		}
	}
	p.key.source = address{binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])}
	p.key.group = address{binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[32:])}
	if !routableSource6(p.key.source) {
		return drop, DropBadSource
	}
	p.end = p.start + total
	p.ttl = b[7]
	return forward, 0
}

// parseHopByHop looks behind the hop-by-hop header of b. MLD always stands
// behind one, as it carries a router alert (RFC 3810 section 5); so does
// nothing else that concerns this router alone.
func parseHopByHop(b []byte) verdict {
	const at = ipv6HeaderLen
	if len(b) < at+8 {
		return drop
	}
	behind := at + 8*(int(b[at+1])+1)
	if behind > len(b) {
		return drop
	}
	switch {
	case b[at] == protocolPIM:
		return punt
	case b[at] != protocolICMPv6 || behind == len(b):
		return forward
	}
	switch b[behind] {
	case 130, 131, 132, 143: // MLD query, report, done; MLDv2 report
		return punt
	}
	return forward
}

// routableSource6 says whether packets from source may leave their link:
// RFC 4291 sections 2.5.2, 2.5.3, 2.5.6 and 2.7 exclude the unspecified
// address, loopback, fe80::/10 and multicast; RFC 4038 section 4.2 keeps
// IPv4-mapped addresses off the wire.
func routableSource6(source address) bool {
	switch high := source[0]; {
	case high>>56 == 0xff, high>>54 == 0xfe80>>6:
		return false
	case high == 0:
		return source[1] > 1 && source[1]>>32 != 0xffff
	}
	return true
}

// sum is the Internet checksum's sum over b, whose length is a multiple of 4
// (RFC 1071): 0xffff where b contains its own, correct checksum.
func sum(b []byte) uint16 {
	var s, carry uint64
	for ; len(b) >= 8; b = b[8:] {
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(b), carry)
	}
	if len(b) >= 4 {
		s, carry = bits.Add64(s, uint64(binary.BigEndian.Uint32(b)), carry)
	}
	s, carry = bits.Add64(s, 0, carry)
	s += carry
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s)
}

// sumAny is sum for any length, as if a zero byte were behind an odd one.
func sumAny(b []byte) uint16 {
	var s, carry uint64
	for ; len(b) >= 32; b = b[32:] {
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(b), 0)
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(b[8:]), carry)
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(b[16:]), carry)
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(b[24:]), carry)
		s, carry = bits.Add64(s, 0, carry)
		s += carry
	}
	var rest [32]byte
	copy(rest[:], b)
	s = s>>32 + s&0xffffffff + uint64(sum(rest[:]))
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s)
}

// decrement takes one from the TTL or hop limit, which is above 1.
func (p *packet) decrement() {
	b := p.buf[p.start:p.end]
	if p.v6 {
		b[7]--
		return
	}
	// RFC 1624 section 3, equation 3: HC' = ~(~HC + ~m + m'), where the word m
	// is the TTL and the protocol, and m' is m - 0x100. So ~m + m' is 0xfeff.
	b[8]--
	s := uint32(^binary.BigEndian.Uint16(b[10:])) + 0xfeff
	binary.BigEndian.PutUint16(b[10:], ^uint16(s>>16+s))
}
