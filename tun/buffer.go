package tun

import (
	"encoding/binary"
	"errors"
)

// errNoRoom says that a Read was given nothing to read into.
var errNoRoom = errors.New("read without a buffer and a size for each packet")

// Lengths and types that say how long a frame claims to be.
const (
	ethernetHeaderLen = 14
	vlanTagLen        = 4
	ipv4LenOffset     = 2
	ipv6LenOffset     = 4
	ipv6HeaderLen     = 40

	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
	etherTypeVLAN = 0x8100 // IEEE 802.1Q
)

// truncated reports whether a frame that fills its buffer is shorter than its
// IP header says. The kernel cuts what does not fit and does not tell.
func truncated(kind Kind, frame []byte) bool {
	if !kind.Ethernet() {
		return shorterThanIP(frame)
	}
	offset := ethernetHeaderLen
	if len(frame) < offset {
		return true
	}
	etherType := binary.BigEndian.Uint16(frame[offset-2:])
	if etherType == etherTypeVLAN {
		offset += vlanTagLen
		if len(frame) < offset {
			return true
		}
		etherType = binary.BigEndian.Uint16(frame[offset-2:])
	}
	// Other protocols, ARP for one, are short or none of the router's business.
	if etherType != etherTypeIPv4 && etherType != etherTypeIPv6 {
		return false
	}
	return shorterThanIP(frame[offset:])
}

// shorterThanIP compares a packet with the Total Length of RFC 791 section 3.1
// or the Payload Length of RFC 8200 section 3.
func shorterThanIP(packet []byte) bool {
	if len(packet) < ipv6LenOffset+2 {
		return true
	}
	switch packet[0] >> 4 {
	case 4:
		return len(packet) < int(binary.BigEndian.Uint16(packet[ipv4LenOffset:]))
	case 6:
		length := int(binary.BigEndian.Uint16(packet[ipv6LenOffset:]))
		return len(packet) < ipv6HeaderLen+length
	}
	return false
}
