package mld

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// Type is the ICMPv6 type of an MLD message (RFC 9777 section 5).
type Type uint8

// The message types of MLD.
const (
	TypeQuery    Type = 130 // both versions; their lengths differ
	TypeV1Report Type = 131 // RFC 2710
	TypeDone     Type = 132 // RFC 2710
	TypeV2Report Type = 143 // RFC 9777
)

// String returns the name of the type as RFC 9777 section 5 has it.
func (t Type) String() string {
	switch t {
	case TypeQuery:
		return "multicast listener query"
	case TypeV1Report:
		return "version 1 multicast listener report"
	case TypeDone:
		return "version 1 multicast listener done"
	case TypeV2Report:
		return "version 2 multicast listener report"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Errors of the decoders. A message or packet that ends too early gives
// io.ErrUnexpectedEOF instead.
var (
	ErrChecksum = errors.New("mld: wrong checksum")
	ErrType     = errors.New("mld: another message type")
	ErrLength   = errors.New("mld: length that no version has")
)

// Errors of the encoders.
var (
	ErrAddress = errors.New("mld: not an IPv6 address")
	ErrRange   = errors.New("mld: value does not fit the message")
)

const (
	shortSize     = 24 // every message of MLDv1
	queryV2Size   = 28 // an MLDv2 query without sources
	reportSize    = 8  // an MLDv2 report without records
	recordSize    = 20 // an address record without sources
	addressSize   = 16
	auxiliaryWord = 4 // the unit of a record's auxiliary data length
)

// GroupReport is the listener report of MLDv1: a host wants Group from any
// source.
type GroupReport struct {
	Group netip.Addr
}

// AppendBinary appends the message to b, checksum zero. Errors: ErrAddress.
func (r *GroupReport) AppendBinary(b []byte) ([]byte, error) {
	return appendShort(b, TypeV1Report, 0, r.Group)
}

// UnmarshalBinary reads the message in b.
// Errors: io.ErrUnexpectedEOF, ErrType.
func (r *GroupReport) UnmarshalBinary(b []byte) error {
	group, err := parseShort(b, TypeV1Report)
	if err == nil {
		*r = GroupReport{Group: group}
	}
	return err
}

// Done is the message of MLDv1 with which a host that answered last for Group
// says that it wants it no more.
type Done struct {
	Group netip.Addr
}

// AppendBinary appends the message to b, checksum zero. Errors: ErrAddress.
func (d *Done) AppendBinary(b []byte) ([]byte, error) {
	return appendShort(b, TypeDone, 0, d.Group)
}

// UnmarshalBinary reads the message in b.
// Errors: io.ErrUnexpectedEOF, ErrType.
func (d *Done) UnmarshalBinary(b []byte) error {
	group, err := parseShort(b, TypeDone)
	if err == nil {
		*d = Done{Group: group}
	}
	return err
}

func parseShort(b []byte, t Type) (group netip.Addr, err error) {
	if len(b) < shortSize {
		return netip.Addr{}, io.ErrUnexpectedEOF
	}
	if Type(b[0]) != t {
		return netip.Addr{}, ErrType
	}
	return address(b[8:]), nil
}

// appendShort appends a message of the MLDv1 form. The zero Addr is written
// as ::, the group of a general query.
func appendShort(b []byte, t Type, delay uint16, group netip.Addr) ([]byte, error) {
	start := len(b)
	b = append(b, byte(t), 0, 0, 0, byte(delay>>8), byte(delay), 0, 0)
	b, err := appendAddress(b, group)
	if err != nil {
		return b[:start], err
	}
	return b, nil
}

func appendAddress(b []byte, a netip.Addr) ([]byte, error) {
	if a.IsValid() && !a.Is6() {
		return b, fmt.Errorf("%w: %s", ErrAddress, a)
	}
	var octets [addressSize]byte
	if a.IsValid() {
		octets = a.As16()
	}
	return append(b, octets[:]...), nil
}

func address(b []byte) netip.Addr {
	return netip.AddrFrom16([addressSize]byte(b))
}
