package stack

import (
	"encoding/binary"
	"net/netip"
)

// The packets of the tests are made here by hand, from the RFCs, so that gVisor
// does not check its own work.

func sum16(sum uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// v4 describes an IPv4 packet. A zero ttl means 64.
type v4 struct {
	from, to string
	proto    uint8
	ttl      uint8
	id       uint16
	flags    uint16 // with the fragment offset in units of 8 bytes
	options  []byte
	payload  []byte
}

const dontFragment, moreFragments = 0x4000, 0x2000

func (p v4) bytes() []byte {
	if p.ttl == 0 {
		p.ttl = 64
	}
	n := 20 + len(p.options)
	b := make([]byte, 12, n+len(p.payload))
	b[0] = 0x40 | uint8(n/4)
	binary.BigEndian.PutUint16(b[2:], uint16(n+len(p.payload)))
	binary.BigEndian.PutUint16(b[4:], p.id)
	binary.BigEndian.PutUint16(b[6:], p.flags)
	b[8], b[9] = p.ttl, p.proto
	b = append(b, addr(p.from).AsSlice()...)
	b = append(b, addr(p.to).AsSlice()...)
	b = append(b, p.options...)
	binary.BigEndian.PutUint16(b[10:], fold(sum16(0, b)))
	return append(b, p.payload...)
}

// v6 describes an IPv6 packet. A zero hops means 64. The extension headers are
// complete but for what the first one's type is, which next says.
type v6 struct {
	from, to   string
	next       uint8
	hops       uint8
	extensions []byte
	payload    []byte
}

func (p v6) bytes() []byte {
	if p.hops == 0 {
		p.hops = 64
	}
	b := make([]byte, 8, 40+len(p.extensions)+len(p.payload))
	b[0] = 0x60
	binary.BigEndian.PutUint16(b[4:], uint16(len(p.extensions)+len(p.payload)))
	b[6], b[7] = p.next, p.hops
	b = append(b, addr(p.from).AsSlice()...)
	b = append(b, addr(p.to).AsSlice()...)
	b = append(b, p.extensions...)
	return append(b, p.payload...)
}

// pseudo is the sum of the pseudo header of UDP and ICMPv6 (RFC 8200 §8.1).
func pseudo(from, to string, proto uint8, length int) uint32 {
	b := append(addr(from).AsSlice(), addr(to).AsSlice()...)
	return sum16(uint32(proto)+uint32(length), b)
}

func datagram(from, to string, port uint16, data []byte) []byte {
	b := make([]byte, 8, 8+len(data))
	binary.BigEndian.PutUint16(b, 40000)
	binary.BigEndian.PutUint16(b[2:], port)
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(data)))
	b = append(b, data...)
	binary.BigEndian.PutUint16(b[6:], fold(sum16(pseudo(from, to, 17, len(b)), b)))
	return b
}

// icmp4 is an ICMP message with its checksum: IGMP's is the same.
func icmp4(kind, code uint8, body ...byte) []byte {
	b := append([]byte{kind, code, 0, 0}, body...)
	binary.BigEndian.PutUint16(b[2:], fold(sum16(0, b)))
	return b
}

func icmp6(from, to string, kind, code uint8, body ...byte) []byte {
	b := append([]byte{kind, code, 0, 0}, body...)
	binary.BigEndian.PutUint16(b[2:], fold(sum16(pseudo(from, to, 58, len(b)), b)))
	return b
}

func echo4(from, to string, ttl uint8, data string) []byte {
	body := append([]byte{0, 7, 0, 1}, data...)
	return v4{from: from, to: to, proto: 1, ttl: ttl, payload: icmp4(8, 0, body...)}.bytes()
}

func echo6(from, to string, hops uint8, data string) []byte {
	body := append([]byte{0, 7, 0, 1}, data...)
	return v6{from: from, to: to, next: 58, hops: hops,
		payload: icmp6(from, to, 128, 0, body...)}.bytes()
}

func udp4(from, to string, ttl uint8, data []byte) []byte {
	return v4{from: from, to: to, proto: 17, ttl: ttl,
		payload: datagram(from, to, 33434, data)}.bytes()
}

func udp6(from, to string, hops uint8, data []byte) []byte {
	return v6{from: from, to: to, next: 17, hops: hops,
		payload: datagram(from, to, 33434, data)}.bytes()
}

// routerAlert6 is a Hop-by-Hop Options header with a Router Alert for MLD.
func routerAlert6(next uint8) []byte { return []byte{next, 0, 5, 2, 0, 0, 1, 0} }

// hop decrements a copy's TTL or hop limit, as a router has to.
func hop(packet []byte) []byte {
	b := append([]byte(nil), packet...)
	if b[0]>>4 == 6 {
		b[7]--
		return b
	}
	b[8]--
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], fold(sum16(0, b[:b[0]&0xf*4])))
	return b
}

// sound checks every checksum of a packet that the stack made.
func sound(b []byte) bool {
	if b[0]>>4 == 4 {
		n := int(b[0]&0xf) * 4
		if fold(sum16(0, b[:n])) != 0 {
			return false
		}
		return b[9] != 1 || fold(sum16(0, b[n:])) == 0
	}
	if b[6] != 58 {
		return true
	}
	from, to := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	return fold(sum16(pseudo(from.String(), to.String(), 58, len(b)-40), b[40:])) == 0
}

func mac(last byte) []byte { return []byte{2, 0, 0, 0, 0, last} }

func ethernet(to, from []byte, etherType uint16, payload []byte) []byte {
	b := append(append([]byte(nil), to...), from...)
	return append(binary.BigEndian.AppendUint16(b, etherType), payload...)
}

// arpPacket is an ARP message (RFC 826): 1 asks, 2 answers.
func arpPacket(op uint8, fromMAC []byte, from string, toMAC []byte, to string) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, op}
	b = append(append(b, fromMAC...), addr(from).AsSlice()...)
	return append(append(b, toMAC...), addr(to).AsSlice()...)
}
