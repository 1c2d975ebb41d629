package host

import (
	"encoding/binary"
	"net/netip"

	"umroute/tun"
)

// datagram is a packet to send: a UDP datagram, or several of one length.
type datagram struct {
	port    uint16 // the source's
	group   netip.AddrPort
	ttl     uint8
	tos     uint8
	segment uint16 // payload bytes of each datagram where there are several
	payload []byte
}

// parse reads a packet with a virtio-net header in front. Only what ordinary
// sockets can send is accepted: whole UDP datagrams to a group.
func (d *datagram) parse(frame []byte) (why Drop, ok bool) {
	if len(frame) <= tun.VirtioHeaderLen {
		return DropBadHeader, false
	}
	ip := frame[tun.VirtioHeaderLen:]
	var header int
	switch ip[0] >> 4 {
	case 4:
		header, why, ok = d.parseIPv4(&ip)
	case 6:
		header, why, ok = d.parseIPv6(&ip)
	default:
		return DropBadHeader, false
	}
	if !ok {
		return why, false
	}
	udp := ip[header:]
	if len(udp) < udpHeaderLen || int(binary.BigEndian.Uint16(udp[4:])) != len(udp) {
		return DropBadHeader, false
	}
	d.port = binary.BigEndian.Uint16(udp)
	d.group = netip.AddrPortFrom(d.group.Addr(), binary.BigEndian.Uint16(udp[2:]))
	d.payload = udp[udpHeaderLen:]
	d.segment = 0
	virtio := frame[:tun.VirtioHeaderLen]
	switch {
	case virtio[0]&virtioNeedsChecksum != 0:
		if virtio[1] == virtioUDP {
			d.segment = binary.NativeEndian.Uint16(virtio[4:])
		}
	// The kernel computes the checksum anew, which must not make a datagram
	// right that was damaged on its way here.
	case virtio[0]&virtioDataValid == 0 && !checked(ip, udp):
		return DropBadChecksum, false
	}
	return 0, true
}

// checked verifies a UDP checksum; 0 says that an IPv4 datagram has none.
func checked(ip, udp []byte) bool {
	v6 := ip[0]>>4 == 6
	if binary.BigEndian.Uint16(udp[udpChecksumField:]) == 0 {
		return !v6
	}
	return fold(sum(udp)+uint64(pseudoSum(ip, v6, len(udp)))) == 0xffff
}

// parseIPv4 cuts what trails the packet and returns the length of its header.
func (d *datagram) parseIPv4(packet *[]byte) (header int, why Drop, ok bool) {
	ip := *packet
	if len(ip) < ipv4HeaderLen {
		return 0, DropBadHeader, false
	}
	header = int(ip[0]&0x0f) * 4
	total := int(binary.BigEndian.Uint16(ip[2:]))
	group := netip.AddrFrom4([4]byte(ip[16:20]))
	switch {
	case header < ipv4HeaderLen, total < header, total > len(ip):
		return 0, DropBadHeader, false
	case ip[9] != protocolUDP, !group.IsMulticast():
		return 0, DropNotUDP, false
	// RFC 791 section 3.1: more fragments, or an offset.
	case binary.BigEndian.Uint16(ip[6:])&0x3fff != 0:
		return 0, DropFragment, false
	}
	*packet = ip[:total]
	d.group = netip.AddrPortFrom(group, 0)
	d.tos, d.ttl = ip[1], ip[8]
	return header, 0, true
}

// parseIPv6 is parseIPv4 for IPv6. Extension headers cannot be sent.
func (d *datagram) parseIPv6(packet *[]byte) (header int, why Drop, ok bool) {
	ip := *packet
	if len(ip) < ipv6HeaderLen {
		return 0, DropBadHeader, false
	}
	total := ipv6HeaderLen + int(binary.BigEndian.Uint16(ip[4:]))
	group := netip.AddrFrom16([16]byte(ip[24:40]))
	switch {
	case total > len(ip):
		return 0, DropBadHeader, false
	case ip[6] == protocolFragment:
		return 0, DropFragment, false
	case ip[6] != protocolUDP, !group.IsMulticast():
		return 0, DropNotUDP, false
	}
	*packet = ip[:total]
	d.group = netip.AddrPortFrom(group, 0)
	d.tos, d.ttl = uint8(binary.BigEndian.Uint16(ip)>>4), ip[7]
	return ipv6HeaderLen, 0, true
}
