package mld

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

// Query is the listener query of both versions (RFC 9777 section 5.1). Without
// a group it is a general query, without sources an address-specific one.
type Query struct {
	Version     uint8         // 1 or 2; on the wire it follows from the length
	Group       netip.Addr    // the zero Addr in a general query
	MaxResponse time.Duration // 0 to MaxResponse
	Suppress    bool          // S: routers leave their timers alone; version 2
	Robustness  uint8         // QRV, 0 to 7, 0 = above 7; version 2
	Interval    time.Duration // QQI, 0 to MaxInterval; version 2
	Sources     []netip.Addr  // version 2
}

// AppendBinary appends the message to b, checksum zero. Durations are rounded
// down to what their codes can express. Errors: ErrAddress, ErrRange.
func (q *Query) AppendBinary(b []byte) ([]byte, error) {
	switch q.Version {
	case 1:
		units, ok := quantity(q.MaxResponse, responseUnit, MaxResponseV1)
		if !ok {
			return b, fmt.Errorf("%w: maximum response delay %s", ErrRange, q.MaxResponse)
		}
		return appendShort(b, TypeQuery, uint16(units), q.Group)
	case 2:
		return q.appendV2(b)
	}
	return b, fmt.Errorf("%w: query of version %d", ErrRange, q.Version)
}

func (q *Query) appendV2(b []byte) ([]byte, error) {
	response, ok := quantity(q.MaxResponse, responseUnit, MaxResponse)
	if !ok {
		return b, fmt.Errorf("%w: maximum response delay %s", ErrRange, q.MaxResponse)
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
	b, err := appendShort(b, TypeQuery, encodeResponse(response), q.Group)
	if err != nil {
		return b, err
	}
	flags := q.Robustness
	if q.Suppress {
		flags |= suppressFlag
	}
	b = append(b, flags, encodeInterval(interval))
	b = binary.BigEndian.AppendUint16(b, uint16(len(q.Sources)))
	for _, s := range q.Sources {
		if b, err = appendAddress(b, s); err != nil {
			return b[:start], err
		}
	}
	return b, nil
}

// UnmarshalBinary reads the message in b and reuses Sources. What follows the
// sources is skipped (RFC 9777 section 5.1).
// Errors: io.ErrUnexpectedEOF, ErrType, ErrLength.
func (q *Query) UnmarshalBinary(b []byte) error {
	if len(b) < shortSize {
		return io.ErrUnexpectedEOF
	}
	if Type(b[0]) != TypeQuery {
		return ErrType
	}
	group := address(b[8:])
	if group.IsUnspecified() {
		group = netip.Addr{}
	}
	// RFC 9777 section 8.1: the version follows from the length;
	// lengths that no version has, 26 octets say, are to be ignored silently.
	code := binary.BigEndian.Uint16(b[4:])
	switch {
	case len(b) == shortSize:
		response := time.Duration(code) * responseUnit
		*q = Query{Version: 1, Group: group, MaxResponse: response, Sources: q.Sources[:0]}
		return nil
	case len(b) < queryV2Size:
		return ErrLength
	}
	count := int(binary.BigEndian.Uint16(b[26:]))
	if len(b) < queryV2Size+count*addressSize {
		return io.ErrUnexpectedEOF
	}
	*q = Query{
		Version:     2,
		Group:       group,
		MaxResponse: decodeResponse(code),
		Suppress:    b[24]&suppressFlag != 0,
		Robustness:  b[24] & robustnessMask,
		Interval:    decodeInterval(b[25]),
		Sources:     appendAddresses(q.Sources[:0], b[queryV2Size:], count),
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
