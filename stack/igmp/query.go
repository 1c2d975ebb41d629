package igmp

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"time"
)

const (
	suppressFlag   = 0x08
	robustnessMask = 0x07
)

// Query is the membership query of all three versions (RFC 9776 section 4.1).
// Without a group it is a general query, without sources a group-specific one.
type Query struct {
	Version     uint8         // 1, 2 or 3; on the wire it follows from the length
	Group       netip.Addr    // the zero Addr in a general query
	MaxResponse time.Duration // 0 to MaxResponse; 10 s in version 1
	Suppress    bool          // S: routers leave their timers alone; version 3
	Robustness  uint8         // QRV, 0 to 7, 0 = above 7; version 3
	Interval    time.Duration // QQI, 0 to MaxInterval; version 3
	Sources     []netip.Addr  // version 3
}

// AppendBinary appends the message to b. Durations are rounded down to what
// their codes can express. Errors: ErrAddress, ErrRange.
func (q *Query) AppendBinary(b []byte) ([]byte, error) {
	switch q.Version {
	case 1:
		// RFC 9776 section 7.3.1: the code that makes it a query of IGMPv1.
		return appendShort(b, TypeQuery, 0, q.Group)
	case 2:
		units, ok := quantity(q.MaxResponse, responseUnit, MaxResponseV2)
		if !ok {
			return b, fmt.Errorf("%w: max response time %s", ErrRange, q.MaxResponse)
		}
		return appendShort(b, TypeQuery, uint8(units), q.Group)
	case 3:
		return q.appendV3(b)
	}
	return b, fmt.Errorf("%w: query of version %d", ErrRange, q.Version)
}

func (q *Query) appendV3(b []byte) ([]byte, error) {
	response, ok := quantity(q.MaxResponse, responseUnit, MaxResponse)
	if !ok {
		return b, fmt.Errorf("%w: max response time %s", ErrRange, q.MaxResponse)
	}
	interval, ok := quantity(q.Interval, intervalUnit, MaxInterval)
	if !ok {
		return b, fmt.Errorf("%w: query interval %s", ErrRange, q.Interval)
	}
	if q.Robustness > robustnessMask || len(q.Sources) > 0xffff {
		return b, fmt.Errorf("%w: robustness %d, %d sources",
			ErrRange, q.Robustness, len(q.Sources))
	}
	start := len(b)
	b = append(b, byte(TypeQuery), encodeCode(response), 0, 0)
	b, err := appendAddress(b, q.Group)
	if err != nil {
		return b[:start], err
	}
	flags := q.Robustness
	if q.Suppress {
		flags |= suppressFlag
	}
	b = append(b, flags, encodeCode(interval))
	b = binary.BigEndian.AppendUint16(b, uint16(len(q.Sources)))
	for _, s := range q.Sources {
		if b, err = appendAddress(b, s); err != nil {
			return b[:start], err
		}
	}
	putChecksum(b[start:])
	return b, nil
}

// UnmarshalBinary reads the message in b, whose checksum was verified, and
// reuses Sources. What follows the sources is skipped (RFC 9776 section
// 4.1). Errors: io.ErrUnexpectedEOF, ErrType, ErrLength.
func (q *Query) UnmarshalBinary(b []byte) error {
	if len(b) < shortSize {
		return io.ErrUnexpectedEOF
	}
	if Type(b[0]) != TypeQuery {
		return ErrType
	}
	group := address(b[4:])
	if group.IsUnspecified() {
		group = netip.Addr{}
	}
	// RFC 9776 section 7.1: the version follows from the length and the code;
	// lengths that no version has, 10 octets say, are to be ignored silently.
	switch {
	case len(b) == shortSize && b[1] == 0:
		*q = Query{Version: 1, Group: group, MaxResponse: v1Response, Sources: q.Sources[:0]}
		return nil
	case len(b) == shortSize:
		response := time.Duration(b[1]) * responseUnit
		*q = Query{Version: 2, Group: group, MaxResponse: response, Sources: q.Sources[:0]}
		return nil
	case len(b) < queryV3Size:
		return ErrLength
	}
	count := int(binary.BigEndian.Uint16(b[10:]))
	if len(b) < queryV3Size+count*addressSize {
		return io.ErrUnexpectedEOF
	}
	*q = Query{
		Version:     3,
		Group:       group,
		MaxResponse: time.Duration(decodeCode(b[1])) * responseUnit,
		Suppress:    b[8]&suppressFlag != 0,
		Robustness:  b[8] & robustnessMask,
		Interval:    time.Duration(decodeCode(b[9])) * intervalUnit,
		Sources:     appendAddresses(q.Sources[:0], b[queryV3Size:], count),
	}
	return nil
}

// appendAddresses appends the count addresses at the start of b to list.
func appendAddresses(list []netip.Addr, b []byte, count int) []netip.Addr {
	for range count {
		list = append(list, address(b))
		b = b[addressSize:]
	}
	return list
}
