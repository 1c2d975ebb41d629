package routing

import "encoding/binary"

const ethernetHeaderLen = 14

// The EtherTypes of IP.
const (
	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
)

// parseFrame is parse for an Ethernet frame. Only IP packets to a group
// address can be multicast data (RFC 1112 section 6.4, RFC 2464 section 7).
func (p *packet) parseFrame(buf []byte, start, end int) (verdict, Drop) {
	if end-start < ethernetHeaderLen {
		return drop, DropBadHeader
	}
	b := buf[start:end]
	etherType := binary.BigEndian.Uint16(b[12:])
	broadcast := binary.BigEndian.Uint32(b) == 0xffffffff
	if b[0]&1 == 0 || broadcast || etherType != etherTypeIPv4 && etherType != etherTypeIPv6 {
		return punt, 0
	}
	v, reason := p.parse(buf, start+ethernetHeaderLen, end)
	if v == forward && p.v6 != (etherType == etherTypeIPv6) {
		return drop, DropBadHeader
	}
	return v, reason
}

// isIP says whether an Ethernet header, if there is one, is that of an IP packet
// of this family.
func isIP(header []byte, v6 bool) bool {
	if len(header) == 0 {
		return true
	}
	etherType := binary.BigEndian.Uint16(header[12:])
	return etherType == etherTypeIPv4 && !v6 || etherType == etherTypeIPv6 && v6
}

// putEthernet writes the Ethernet header of a frame whose IP packet, to a
// group, is in place.
func putEthernet(frame []byte, source [6]byte) {
	ip := frame[ethernetHeaderLen:]
	copy(frame[6:], source[:])
	if ip[0]>>4 == 4 {
		// RFC 1112 section 6.4: 01-00-5e and the low 23 bits of the group.
		frame[0], frame[1], frame[2], frame[3] = 0x01, 0x00, 0x5e, ip[17]&0x7f
		copy(frame[4:6], ip[18:20])
		binary.BigEndian.PutUint16(frame[12:], etherTypeIPv4)
		return
	}
	// RFC 2464 section 7: 33-33 and the low 32 bits of the group.
	frame[0], frame[1] = 0x33, 0x33
	copy(frame[2:6], ip[36:40])
	binary.BigEndian.PutUint16(frame[12:], etherTypeIPv6)
}
