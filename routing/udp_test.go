package routing

import (
	"bytes"
	"encoding/binary"
)

// udp is a datagram to be, with the state in which its checksum is.
type udp struct {
	source, group string
	ttl, tos      byte
	field         uint16
	id            uint16
	ports         uint32
	checksum      string // "right", "wrong", "zero", "unfinished"
	payload       []byte
	segment       int // of a super-packet, whose checksum is unfinished
}

// bytes gives the IP packet.
func (u udp) bytes() []byte {
	b := binary.BigEndian.AppendUint32(nil, u.ports)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(u.payload)))
	b = append(append(b, 0, 0), u.payload...)
	var ip []byte
	if flowOf(u.source, u.group).Group.Is4() {
		ip = ipv4{source: u.source, group: u.group, ttl: u.ttl, id: u.id, field: u.field,
			payload: b}.bytes()
		ip[1] = u.tos
		setChecksum(ip)
	} else {
		ip = ipv6{source: u.source, group: u.group, hops: u.ttl, payload: b}.bytes()
		ip[1] = u.tos
	}
	at := udpOffset(ip) + 6
	switch u.checksum {
	case "right":
		binary.BigEndian.PutUint16(ip[at:], plainUDPChecksum(ip))
	case "wrong":
		binary.BigEndian.PutUint16(ip[at:], plainUDPChecksum(ip)^0x1111)
	case "unfinished":
		binary.BigEndian.PutUint16(ip[at:], ^plainChecksum(pseudoHeader(ip)))
	}
	return ip
}

func udpOffset(ip []byte) int {
	if ip[0]>>4 == 6 {
		return 40
	}
	return int(ip[0]%16) * 4
}

func pseudoHeader(ip []byte) []byte {
	addresses := ip[12:20]
	if ip[0]>>4 == 6 {
		addresses = ip[8:40]
	}
	length := uint16(len(ip) - udpOffset(ip))
	return binary.BigEndian.AppendUint16(append(bytes.Clone(addresses), 0, 17), length)
}

// plainUDPChecksum is what the checksum of a datagram should be.
func plainUDPChecksum(ip []byte) uint16 {
	b := append(pseudoHeader(ip), ip[udpOffset(ip):]...)
	at := len(pseudoHeader(ip)) + 6
	b[at], b[at+1] = 0, 0
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	if s := plainChecksum(b); s != 0 {
		return s
	}
	return 0xffff
}

// virtioHeader is the header of u on a link with offloads.
func (u udp) virtioHeader(ethernet int) []byte {
	b := make([]byte, 10)
	if u.checksum != "unfinished" {
		return b
	}
	at := udpOffset(u.bytes())
	b[0] = 1
	binary.NativeEndian.PutUint16(b[6:], uint16(ethernet+at))
	binary.NativeEndian.PutUint16(b[8:], 6)
	if u.segment != 0 {
		b[1] = 5
		binary.NativeEndian.PutUint16(b[2:], uint16(ethernet+at+8))
		binary.NativeEndian.PutUint16(b[4:], uint16(u.segment))
	}
	return b
}

// datagrams are what u is on a wire.
func (u udp) datagrams() (all [][]byte) {
	if u.checksum == "unfinished" {
		u.checksum = "right"
	}
	rest, segment := u.payload, u.segment
	if segment == 0 {
		return [][]byte{u.bytes()}
	}
	for ; len(rest) > 0; u.id++ {
		u.payload = rest[:min(segment, len(rest))]
		rest = rest[len(u.payload):]
		all = append(all, u.bytes())
	}
	return all
}
