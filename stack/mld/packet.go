package mld

import (
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// ErrNotMLD is what ParsePacket gives besides ErrChecksum and
// io.ErrUnexpectedEOF.
var ErrNotMLD = errors.New("mld: not an IPv6 packet with ICMPv6")

const (
	ipHeaderSize   = 40
	hopByHopSize   = 8
	hopByHop       = 0
	protocolNumber = 58
	linkHopLimit   = 1 // RFC 9777 section 5
)

// Hop-by-Hop options (RFC 8200 section 4.2, RFC 2711 section 2.1).
const (
	optionPad1        = 0
	optionPadN        = 1
	optionRouterAlert = 5
	// unknownSkip: the two highest bits of an unknown option that may be
	// skipped are zero; all others mean that the packet is discarded.
	unknownMask, unknownSkip = 0xc0, 0
	alertMLD                 = 0 // the value for MLD
)

// HeaderSize is how many octets AppendPacket puts before the message: an IPv6
// header, and a Hop-by-Hop header with the Router Alert option.
const HeaderSize = ipHeaderSize + hopByHopSize

// AllNodes, AllRouters and AllV2Routers are the destinations of general
// queries, of MLDv1 done messages and of MLDv2 reports (RFC 9777 section 5).
var (
	AllNodes     = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x01})
	AllRouters   = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x02})
	AllV2Routers = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x16})
)

// Packet is what a receiver has to know about the IPv6 packet that carried a
// message.
type Packet struct {
	Source, Destination netip.Addr
	HopLimit            uint8
	RouterAlert         bool   // with the value for MLD
	Message             []byte // at least 4 octets, part of the packet
}

// ParsePacket takes a complete IPv6 packet apart and verifies the ICMPv6
// checksum. Other extension headers than Hop-by-Hop have no place before MLD
// (RFC 9777 section 5). What follows the payload length is ignored.
// Errors: io.ErrUnexpectedEOF, ErrNotMLD, ErrChecksum.
func ParsePacket(b []byte) (Packet, error) {
	if len(b) < ipHeaderSize {
		return Packet{}, io.ErrUnexpectedEOF
	}
	if b[0]>>4 != 6 {
		return Packet{}, ErrNotMLD
	}
	total := ipHeaderSize + int(binary.BigEndian.Uint16(b[4:]))
	if len(b) < total {
		return Packet{}, io.ErrUnexpectedEOF
	}
	message, next, alert := b[ipHeaderSize:total], b[6], false
	if next == hopByHop {
		if len(message) < hopByHopSize {
			return Packet{}, io.ErrUnexpectedEOF
		}
		size := 8 + int(message[1])*8
		if len(message) < size {
			return Packet{}, io.ErrUnexpectedEOF
		}
		var ok bool
		if alert, ok = parseOptions(message[2:size]); !ok {
			return Packet{}, ErrNotMLD
		}
		message, next = message[size:], message[0]
	}
	if next != protocolNumber {
		return Packet{}, ErrNotMLD
	}
	if len(message) < 4 {
		return Packet{}, io.ErrUnexpectedEOF
	}
	if checksum(b[8:ipHeaderSize], message) != 0 {
		return Packet{}, ErrChecksum
	}
	return Packet{
		Source:      address(b[8:]),
		Destination: address(b[24:]),
		HopLimit:    b[7],
		RouterAlert: alert,
		Message:     message,
	}, nil
}

// parseOptions looks for the Router Alert of MLD in Hop-by-Hop options. It
// returns false if they are malformed or forbid to go on.
func parseOptions(options []byte) (alert, ok bool) {
	for len(options) > 0 {
		if options[0] == optionPad1 {
			options = options[1:]
			continue
		}
		if len(options) < 2 || len(options) < 2+int(options[1]) {
			return false, false
		}
		data := options[2 : 2+int(options[1])]
		switch kind := options[0]; {
		case kind == optionRouterAlert && len(data) == 2:
			alert = binary.BigEndian.Uint16(data) == alertMLD
		case kind != optionPadN && kind&unknownMask != unknownSkip:
			return false, false
		}
		options = options[2+len(data):]
	}
	return alert, true
}

// AppendPacket appends the complete IPv6 packet that carries message: hop
// limit 1, Hop-by-Hop header with Router Alert, ICMPv6 checksum (RFC 9777
// section 5). The zero source is written as ::.
// Errors: those of message, ErrAddress, ErrRange.
func AppendPacket(
	b []byte, source, destination netip.Addr, message encoding.BinaryAppender,
) ([]byte, error) {
	start := len(b)
	b = append(b, 6<<4, 0, 0, 0, 0, 0, hopByHop, linkHopLimit)
	b, err := appendAddress(b, source)
	if err != nil {
		return b[:start], err
	}
	if b, err = appendAddress(b, destination); err != nil {
		return b[:start], err
	}
	b = append(b, protocolNumber, 0, optionRouterAlert, 2, 0, alertMLD, optionPadN, 0)
	if b, err = message.AppendBinary(b); err != nil {
		return b[:start], err
	}
	payload := len(b) - start - ipHeaderSize
	if payload > 0xffff {
		return b[:start], fmt.Errorf("%w: payload of %d octets", ErrRange, payload)
	}
	packet := b[start:]
	binary.BigEndian.PutUint16(packet[4:], uint16(payload))
	body := packet[HeaderSize:]
	binary.BigEndian.PutUint16(body[2:], 0)
	binary.BigEndian.PutUint16(body[2:], checksum(packet[8:ipHeaderSize], body))
	return b, nil
}

// checksum is the ICMPv6 checksum (RFC 4443 section 2.3): over a pseudo-header
// of the two addresses, the length and the protocol, and over the message.
func checksum(addresses, message []byte) uint16 {
	sum := partialSum(addresses) + partialSum(message)
	sum += uint64(len(message)) + protocolNumber
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// partialSum adds eight octets at a time: one's complement sums may be carried
// late, and words of 32 bits sum up to the same as those of 16.
func partialSum(b []byte) uint64 {
	var sum uint64
	for len(b) >= 8 {
		word := binary.BigEndian.Uint64(b)
		sum += word>>32 + word&0xffffffff
		b = b[8:]
	}
	var rest [8]byte
	copy(rest[:], b)
	word := binary.BigEndian.Uint64(rest[:])
	return sum + word>>32 + word&0xffffffff
}
