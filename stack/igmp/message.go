package igmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// Type is the first octet of every IGMP message (RFC 9776 section 4).
type Type uint8

// The message types a router meets. Others, DVMRP and PIMv1 among them, share
// the protocol number and are to be ignored (RFC 9776 section 4).
const (
	TypeQuery    Type = 0x11 // all versions; their lengths differ
	TypeV1Report Type = 0x12 // RFC 1112
	TypeV2Report Type = 0x16 // RFC 2236
	TypeLeave    Type = 0x17 // RFC 2236
	TypeV3Report Type = 0x22 // RFC 9776
)

// String returns the name of the type as RFC 9776 section 4 has it.
func (t Type) String() string {
	switch t {
	case TypeQuery:
		return "membership query"
	case TypeV1Report:
		return "version 1 membership report"
	case TypeV2Report:
		return "version 2 membership report"
	case TypeLeave:
		return "version 2 leave group"
	case TypeV3Report:
		return "version 3 membership report"
	}
	return fmt.Sprintf("type 0x%02x", uint8(t))
}

// Errors of the decoders. A message or packet that ends too early gives
// io.ErrUnexpectedEOF instead.
var (
	ErrChecksum = errors.New("igmp: wrong checksum")
	ErrType     = errors.New("igmp: another message type")
	ErrLength   = errors.New("igmp: length that no version has")
)

// Errors of the encoders.
var (
	ErrAddress = errors.New("igmp: not an IPv4 address")
	ErrRange   = errors.New("igmp: value does not fit the message")
)

const (
	shortSize     = 8  // every message of IGMPv1 and IGMPv2
	queryV3Size   = 12 // an IGMPv3 query without sources
	reportSize    = 8  // an IGMPv3 report without records
	recordSize    = 8  // a group record without sources
	addressSize   = 4
	auxiliaryWord = 4 // the unit of a record's auxiliary data length
)

// GroupReport is the membership report of IGMPv1 and IGMPv2: a host wants
// Group from any source.
type GroupReport struct {
	Version uint8 // 1 or 2
	Group   netip.Addr
}

// AppendBinary appends the message to b. Errors: ErrAddress, ErrRange.
func (r *GroupReport) AppendBinary(b []byte) ([]byte, error) {
	switch r.Version {
	case 1:
		return appendShort(b, TypeV1Report, 0, r.Group)
	case 2:
		return appendShort(b, TypeV2Report, 0, r.Group)
	}
	return b, fmt.Errorf("%w: group report of version %d", ErrRange, r.Version)
}

// UnmarshalBinary reads the message in b, whose checksum was verified.
// Errors: io.ErrUnexpectedEOF, ErrType.
func (r *GroupReport) UnmarshalBinary(b []byte) error {
	if len(b) < shortSize {
		return io.ErrUnexpectedEOF
	}
	version := uint8(2)
	switch Type(b[0]) {
	case TypeV1Report:
		version = 1
	case TypeV2Report:
	default:
		return ErrType
	}
	*r = GroupReport{Version: version, Group: address(b[4:])}
	return nil
}

// Leave is the leave message of IGMPv2: a host that answered last for Group
// wants it no more.
type Leave struct {
	Group netip.Addr
}

// AppendBinary appends the message to b. Errors: ErrAddress.
func (l *Leave) AppendBinary(b []byte) ([]byte, error) {
	return appendShort(b, TypeLeave, 0, l.Group)
}

// UnmarshalBinary reads the message in b, whose checksum was verified.
// Errors: io.ErrUnexpectedEOF, ErrType.
func (l *Leave) UnmarshalBinary(b []byte) error {
	if len(b) < shortSize {
		return io.ErrUnexpectedEOF
	}
	if Type(b[0]) != TypeLeave {
		return ErrType
	}
	*l = Leave{Group: address(b[4:])}
	return nil
}

// appendShort appends an eight-octet message. The zero Addr is written as
// 0.0.0.0, the group of a general query.
func appendShort(b []byte, t Type, code uint8, group netip.Addr) ([]byte, error) {
	start := len(b)
	b = append(b, byte(t), code, 0, 0)
	b, err := appendAddress(b, group)
	if err != nil {
		return b[:start], err
	}
	putChecksum(b[start:])
	return b, nil
}

func appendAddress(b []byte, a netip.Addr) ([]byte, error) {
	if !a.IsValid() {
		return append(b, 0, 0, 0, 0), nil
	}
	if !a.Is4() {
		return b, fmt.Errorf("%w: %s", ErrAddress, a)
	}
	octets := a.As4()
	return append(b, octets[:]...), nil
}

func address(b []byte) netip.Addr {
	return netip.AddrFrom4([addressSize]byte(b))
}

// VerifyChecksum reports whether the whole message b sums up to what RFC 9776
// section 4 asks for.
func VerifyChecksum(b []byte) bool { return checksum(b) == 0 }

func putChecksum(message []byte) {
	binary.BigEndian.PutUint16(message[2:], 0)
	binary.BigEndian.PutUint16(message[2:], checksum(message))
}

// checksum is the Internet checksum (RFC 1071) of b: eight octets at a time,
// folded at the end, since one's complement sums may be carried late.
func checksum(b []byte) uint16 {
	var sum uint64
	for len(b) >= 8 {
		word := binary.BigEndian.Uint64(b)
		sum += word>>32 + word&0xffffffff
		b = b[8:]
	}
	var rest [8]byte
	copy(rest[:], b)
	word := binary.BigEndian.Uint64(rest[:])
	sum += word>>32 + word&0xffffffff
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
