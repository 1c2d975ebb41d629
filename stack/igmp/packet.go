package igmp

import (
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// Errors of ParsePacket, besides ErrChecksum and io.ErrUnexpectedEOF.
var (
	ErrNotIGMP  = errors.New("igmp: not an IPv4 packet with IGMP")
	ErrFragment = errors.New("igmp: fragment")
)

const (
	ipHeaderSize   = 20
	protocolNumber = 2
	// RFC 9776 section 4: precedence Internetwork Control, TTL 1.
	controlTOS = 0xc0
	linkTTL    = 1
	// dontFragment with identification 0: RFC 6864 section 4.1.
	dontFragment = 0x4000
	// fragmentBits are MF and the fragment offset.
	fragmentBits = 0x3fff
)

// routerAlert is the Router Alert option (RFC 2113), value 0.
const routerAlert = 0x94040000

// HeaderSize is how many octets AppendPacket puts before the message: an IPv4
// header with the Router Alert option.
const HeaderSize = ipHeaderSize + 4

// Destinations that RFC 9776 section 4 names.
var (
	AllSystems   = netip.AddrFrom4([4]byte{224, 0, 0, 1})  // general queries
	AllRouters   = netip.AddrFrom4([4]byte{224, 0, 0, 2})  // leaves
	AllV3Routers = netip.AddrFrom4([4]byte{224, 0, 0, 22}) // IGMPv3 reports
)

// Packet is what a receiver has to know about the IPv4 packet that carried a
// message.
type Packet struct {
	Source, Destination netip.Addr
	TTL                 uint8
	RouterAlert         bool
	Message             []byte // at least 8 octets, part of the packet
}

// ParsePacket takes a complete IPv4 packet apart and verifies both checksums.
// What follows the IP total length, padding of the link, is ignored.
// Errors: io.ErrUnexpectedEOF, ErrNotIGMP, ErrFragment, ErrChecksum.
func ParsePacket(b []byte) (Packet, error) {
	if len(b) < ipHeaderSize {
		return Packet{}, io.ErrUnexpectedEOF
	}
	if b[0]>>4 != 4 || b[9] != protocolNumber {
		return Packet{}, ErrNotIGMP
	}
	header := int(b[0]&0x0f) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if header < ipHeaderSize || total < header {
		return Packet{}, ErrNotIGMP
	}
	if len(b) < total || total < header+shortSize {
		return Packet{}, io.ErrUnexpectedEOF
	}
	if binary.BigEndian.Uint16(b[6:])&fragmentBits != 0 {
		return Packet{}, ErrFragment
	}
	message := b[header:total]
	if checksum(b[:header]) != 0 || !VerifyChecksum(message) {
		return Packet{}, ErrChecksum
	}
	return Packet{
		Source:      address(b[12:]),
		Destination: address(b[16:]),
		TTL:         b[8],
		RouterAlert: hasRouterAlert(b[ipHeaderSize:header]),
		Message:     message,
	}, nil
}

// hasRouterAlert looks for the option in IPv4 options (RFC 791 section 3.1).
func hasRouterAlert(options []byte) bool {
	const end, noOperation = 0, 1
	for len(options) > 0 && options[0] != end {
		if options[0] == noOperation {
			options = options[1:]
			continue
		}
		if len(options) < 2 {
			return false
		}
		size := int(options[1])
		if size < 2 || size > len(options) {
			return false
		}
		if size == 4 && binary.BigEndian.Uint32(options) == routerAlert {
			return true
		}
		options = options[size:]
	}
	return false
}

// AppendPacket appends the complete IPv4 packet that carries message: TTL 1,
// TOS 0xc0, Don't Fragment, Router Alert (RFC 9776 section 4). The zero source
// is written as 0.0.0.0. Errors: those of message, ErrAddress, ErrRange.
func AppendPacket(
	b []byte, source, destination netip.Addr, message encoding.BinaryAppender,
) ([]byte, error) {
	start := len(b)
	b = append(b, 4<<4|HeaderSize/4, controlTOS, 0, 0)
	b = binary.BigEndian.AppendUint32(b, dontFragment)
	b = append(b, linkTTL, protocolNumber, 0, 0)
	b, err := appendAddress(b, source)
	if err != nil {
		return b[:start], err
	}
	if b, err = appendAddress(b, destination); err != nil {
		return b[:start], err
	}
	b = binary.BigEndian.AppendUint32(b, routerAlert)
	if b, err = message.AppendBinary(b); err != nil {
		return b[:start], err
	}
	total := len(b) - start
	if total > 0xffff {
		return b[:start], fmt.Errorf("%w: packet of %d octets", ErrRange, total)
	}
	header := b[start : start+HeaderSize]
	binary.BigEndian.PutUint16(header[2:], uint16(total))
	binary.BigEndian.PutUint16(header[10:], checksum(header))
	return b, nil
}
