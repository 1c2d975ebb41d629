package host

import (
	"encoding/binary"
	"net/netip"

	"umroute/tun"
)

const (
	ipv4HeaderLen = 20
	ipv6HeaderLen = 40
	udpHeaderLen  = 8
	protocolUDP   = 17

	// Values of struct virtio_net_hdr (virtio 1.2 section 5.1.6.1).
	virtioNeedsChecksum = 1
	virtioDataValid     = 2
	virtioUDP           = 5

	udpChecksumField = 6 // of the UDP header
)

// headerLen is the length of all headers in front of a datagram's payload.
func headerLen(v6 bool) int { return tun.VirtioHeaderLen + ipHeaderLen(v6) + udpHeaderLen }

func ipHeaderLen(v6 bool) int {
	if v6 {
		return ipv6HeaderLen
	}
	return ipv4HeaderLen
}

// arrival is what the kernel tells of a datagram that it received.
type arrival struct {
	source  netip.AddrPort
	group   netip.AddrPort
	ttl     uint8
	tos     uint8
	segment uint16 // payload bytes of each datagram where there are several
}

// putHeaders writes the headers of a payload of this length into b, in front of
// it. The UDP checksum is left to whoever takes the packet: it was right when
// the kernel looked at it. The IPv4 identification is that of the first of the
// datagrams.
func (a *arrival) putHeaders(b []byte, payload int, id uint16) {
	v6 := a.group.Addr().Is6()
	ip := b[tun.VirtioHeaderLen:]
	udp := ip[ipHeaderLen(v6):]
	length := udpHeaderLen + payload
	if v6 {
		a.putIPv6(ip, length)
	} else {
		a.putIPv4(ip, length, id)
	}
	binary.BigEndian.PutUint16(udp, a.source.Port())
	binary.BigEndian.PutUint16(udp[2:], a.group.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(length))
	binary.BigEndian.PutUint16(udp[udpChecksumField:], pseudoSum(ip, v6, length))
	a.putVirtio(b[:tun.VirtioHeaderLen], payload, v6)
}

// putIPv4 writes an IPv4 header (RFC 791 section 3.1). Whether the sender allowed
// fragments is not known; they do no harm.
func (a *arrival) putIPv4(ip []byte, length int, id uint16) {
	header := ip[:ipv4HeaderLen]
	source, group := a.source.Addr().As4(), a.group.Addr().As4()
	header[0], header[1] = 0x45, a.tos
	binary.BigEndian.PutUint16(header[2:], uint16(ipv4HeaderLen+length))
	binary.BigEndian.PutUint16(header[4:], id)
	binary.BigEndian.PutUint16(header[6:], 0)
	header[8], header[9] = a.ttl, protocolUDP
	binary.BigEndian.PutUint16(header[10:], 0)
	copy(header[12:], source[:])
	copy(header[16:], group[:])
	binary.BigEndian.PutUint16(header[10:], ^fold(sum(header)))
}

// putIPv6 writes an IPv6 header (RFC 8200 section 3), without a flow label, which
// the kernel does not tell.
func (a *arrival) putIPv6(ip []byte, length int) {
	source, group := a.source.Addr().As16(), a.group.Addr().As16()
	binary.BigEndian.PutUint32(ip, 6<<28|uint32(a.tos)<<20)
	binary.BigEndian.PutUint16(ip[4:], uint16(length))
	ip[6], ip[7] = protocolUDP, a.ttl
	copy(ip[8:], source[:])
	copy(ip[24:], group[:])
}

// putVirtio says that the checksum is to be finished, and that the payload is
// that of several datagrams where it is.
func (a *arrival) putVirtio(b []byte, payload int, v6 bool) {
	clear(b)
	ip := ipHeaderLen(v6)
	b[0] = virtioNeedsChecksum
	binary.NativeEndian.PutUint16(b[6:], uint16(ip))
	binary.NativeEndian.PutUint16(b[8:], udpChecksumField)
	if a.segment != 0 && payload > int(a.segment) {
		b[1] = virtioUDP
		binary.NativeEndian.PutUint16(b[2:], uint16(ip+udpHeaderLen))
		binary.NativeEndian.PutUint16(b[4:], a.segment)
	}
}

// pseudoSum is the sum of UDP's pseudo-header (RFC 768, RFC 8200 section 8.1).
func pseudoSum(ip []byte, v6 bool, length int) uint16 {
	addresses := ip[12:20]
	if v6 {
		addresses = ip[8:40]
	}
	return fold(sum(addresses) + protocolUDP + uint64(length))
}

// sum adds up 16-bit words as RFC 1071 does, with a zero byte behind an odd one.
// It is good for 65,535 bytes and more.
func sum(b []byte) (s uint64) {
	for ; len(b) >= 16; b = b[16:] {
		first, second := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
		s += first>>32 + first&0xffffffff + second>>32 + second&0xffffffff
	}
	for ; len(b) >= 2; b = b[2:] {
		s += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
