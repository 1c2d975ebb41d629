package routing

import (
	"encoding/binary"

	"umroute/tun"
)

// Values of struct virtio_net_hdr (virtio 1.2 section 5.1.6.1): flags and kinds
// of super-packets.
const (
	virtioNeedsChecksum = 1
	virtioDataValid     = 2

	virtioUDP = 5
	virtioECN = 0x80
)

// udpChecksum is where the checksum is in a UDP header, and udpHeaderLen how
// long that is (RFC 768).
const (
	protocolUDP  = 17
	udpChecksum  = 6
	udpHeaderLen = 8
)

// checksum says what is known of a packet's transport checksum.
type checksum uint8

const (
	checksumUnknown    checksum = iota // complete, as it came
	checksumRight                      // complete and verified
	checksumWrong                      // complete and wrong
	checksumUnfinished                 // the sum of the pseudo-header alone
)

// accept takes the virtio-net header that was read in front of a packet, which
// stands at p.start behind ethernet bytes. It says whether the packet is one
// that this router asked for.
func (p *packet) accept(header []byte, ethernet int) bool {
	flags, kind := header[0], header[1]&^virtioECN
	switch {
	case flags&virtioNeedsChecksum != 0:
		transport := int(binary.NativeEndian.Uint16(header[6:])) - ethernet
		field := int(binary.NativeEndian.Uint16(header[8:]))
		if transport < 0 || p.start+transport+field+2 > p.end {
			return false
		}
		p.checksum = checksumUnfinished
		p.transport, p.field = uint16(transport), uint16(field)
	case flags&virtioDataValid != 0:
		p.checksum = checksumRight
	}
	if kind == 0 {
		return true
	}
	p.segment = binary.NativeEndian.Uint16(header[4:])
	return kind == virtioUDP && p.segment != 0 && p.checksum == checksumUnfinished &&
		p.field == udpChecksum && p.transport >= ipv4HeaderLen &&
		p.start+p.headers() < p.end
}

// sound says whether the checksum of p, which is not finished, and its
// datagrams, if there are several, are where IP has them. It sets the family.
func (p *packet) sound() bool {
	b := p.buf[p.start:max(p.start, p.end)]
	if len(b) < ipv4HeaderLen || p.start+int(p.transport)+int(p.field)+2 > p.end {
		return false
	}
	if p.segment == 0 {
		return true // it may be that of a packet in a tunnel
	}
	field := binary.BigEndian.Uint16(b[6:])
	switch p.v6 = b[0]>>4 == 6; {
	case p.v6:
		return p.transport >= ipv6HeaderLen &&
			int(binary.BigEndian.Uint16(b[4:])) == len(b)-ipv6HeaderLen
	case b[0]>>4 != 4, int(b[0]&0x0f)*4 != int(p.transport), b[9] != protocolUDP:
		return false
	}
	return field&^flagDontFragment == 0 && int(binary.BigEndian.Uint16(b[2:])) == len(b)
}

// headers is the length of a super-packet's IP and UDP headers, which all of
// its datagrams have.
func (p *packet) headers() int { return int(p.transport) + udpHeaderLen }

// measure finds out how many datagrams there are in a packet whose end is
// known, and how long the longest of them is.
func (p *packet) measure() {
	p.count, p.size = 1, int32(p.end-p.start)
	if p.segment == 0 {
		return
	}
	payload, segment := p.size-int32(p.headers()), int32(p.segment)
	if payload <= segment {
		p.segment = 0
		return
	}
	p.count = (payload + segment - 1) / segment
	p.size = int32(p.headers()) + segment
}

// octets is the length of all datagrams of p, with extra bytes before each.
func (p *packet) octets(extra int) uint64 {
	n := max(0, p.end-p.start+extra)
	if p.segment != 0 {
		n += int(p.count-1) * (p.headers() + extra)
	}
	return uint64(n)
}

// datagrams is how many datagrams there are in p and what p is linked to.
func (p *packet) datagrams() (n int) {
	for d := p; d != nil; d = d.next {
		n += int(d.count)
	}
	return n
}

// passable says whether a super-packet can be written as it is: any device
// takes one with nothing but the shortest headers.
func (p *packet) passable() bool {
	return p.transport == ipv4HeaderLen && !p.v6 ||
		p.transport == ipv6HeaderLen && p.v6 && p.buf[p.start+6] == protocolUDP
}

// putHeader writes the virtio-net header of p, which will stand behind it and
// ethernet bytes.
func (p *packet) putHeader(b []byte, ethernet int) {
	b = b[:tun.VirtioHeaderLen]
	clear(b)
	if p.checksum != checksumUnfinished {
		return
	}
	b[0] = virtioNeedsChecksum
	binary.NativeEndian.PutUint16(b[6:], p.transport+uint16(ethernet))
	binary.NativeEndian.PutUint16(b[8:], p.field)
	if p.segment != 0 {
		b[1] = virtioUDP
		binary.NativeEndian.PutUint16(b[2:], uint16(p.headers()+ethernet))
		binary.NativeEndian.PutUint16(b[4:], p.segment)
	}
}

// finish completes the transport checksum of a packet that is not a
// super-packet.
func (p *packet) finish() {
	if p.checksum != checksumUnfinished {
		return
	}
	b := p.buf[p.start+int(p.transport) : p.end]
	s := ^sumAny(b)
	if s == 0 {
		s = 0xffff // RFC 768: 0 says that there is none
	}
	binary.BigEndian.PutUint16(b[p.field:], s)
	p.checksum = checksumRight
}

// verified says whether the checksum of p, a UDP datagram without extension
// headers that has one, can be left to the receiver's kernel, which would not
// look at it again: it comes from this host or is right.
func (p *packet) verified() bool {
	if p.checksum == checksumUnknown {
		p.checksum = checksumWrong
		udp := p.buf[p.start+int(p.transport) : p.end]
		s := uint32(sumAny(udp)) + uint32(p.pseudoSum(len(udp)))
		if s == 0xffff || s == 2*0xffff {
			p.checksum = checksumRight
		}
	}
	return p.checksum != checksumWrong
}

// pseudoSum is the sum of the pseudo-header of UDP with a length (RFC 768, RFC
// 8200 section 8.1).
func (p *packet) pseudoSum(length int) uint16 {
	addresses := p.buf[p.start+12 : p.start+20]
	if p.v6 {
		addresses = p.buf[p.start+8 : p.start+40]
	}
	s := uint32(sum(addresses)) + protocolUDP + uint32(length)
	return uint16(s>>16 + s&0xffff)
}
