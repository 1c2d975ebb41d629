package mld

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"
)

// RecordType is the kind of an address record (RFC 9777 section 5.2). Records
// of a type outside 1 to 6 are to be ignored.
type RecordType uint8

// The record types, by the names RFC 9777 section 5.2 gives them.
const (
	IsInclude RecordType = 1 + iota // IS_IN: current filter, INCLUDE
	IsExclude                       // IS_EX: current filter, EXCLUDE
	ToInclude                       // TO_IN: filter changed to INCLUDE
	ToExclude                       // TO_EX: filter changed to EXCLUDE
	Allow                           // ALLOW: further sources wanted
	Block                           // BLOCK: sources no longer wanted
)

// String returns the short name of RFC 9777 section 5.2.
func (t RecordType) String() string {
	switch t {
	case IsInclude:
		return "IS_IN"
	case IsExclude:
		return "IS_EX"
	case ToInclude:
		return "TO_IN"
	case ToExclude:
		return "TO_EX"
	case Allow:
		return "ALLOW"
	case Block:
		return "BLOCK"
	}
	return fmt.Sprintf("record type %d", uint8(t))
}

// Record is an address record: what a host says about one group.
type Record struct {
	Type    RecordType
	Group   netip.Addr
	Sources []netip.Addr
}

// Report is the listener report of MLDv2 (RFC 9777 section 5.2).
type Report struct {
	Records []Record

	sources []netip.Addr // of all records, so that decoding reuses one slice
}

// AppendBinary appends the message to b, checksum zero, without auxiliary data
// (RFC 9777 section 5.2 defines none). Errors: ErrAddress, ErrRange.
func (r *Report) AppendBinary(b []byte) ([]byte, error) {
	if len(r.Records) > 0xffff {
		return b, fmt.Errorf("%w: %d records", ErrRange, len(r.Records))
	}
	start := len(b)
	b = append(b, byte(TypeV2Report), 0, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Records)))
	var err error
	for i := range r.Records {
		if b, err = r.Records[i].append(b); err != nil {
			return b[:start], err
		}
	}
	return b, nil
}

func (r *Record) append(b []byte) ([]byte, error) {
	if len(r.Sources) > 0xffff {
		return b, fmt.Errorf("%w: %d sources", ErrRange, len(r.Sources))
	}
	b = append(b, byte(r.Type), 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Sources)))
	b, err := appendAddress(b, r.Group)
	if err != nil {
		return b, err
	}
	for _, s := range r.Sources {
		if b, err = appendAddress(b, s); err != nil {
			return b, err
		}
	}
	return b, nil
}

// UnmarshalBinary reads the message in b. It reuses the memory of an earlier
// call, so earlier records are overwritten. Auxiliary data and what follows the
// records are skipped (RFC 9777 section 5.2).
// Errors: io.ErrUnexpectedEOF, ErrType.
func (r *Report) UnmarshalBinary(b []byte) error {
	if len(b) < reportSize {
		return io.ErrUnexpectedEOF
	}
	if Type(b[0]) != TypeV2Report {
		return ErrType
	}
	count := int(binary.BigEndian.Uint16(b[6:]))
	total, ok := countSources(b[reportSize:], count)
	if !ok {
		return io.ErrUnexpectedEOF
	}
	records := slices.Grow(r.Records[:0], count)
	sources := slices.Grow(r.sources[:0], total)
	b = b[reportSize:]
	for range count {
		n := int(binary.BigEndian.Uint16(b[2:]))
		skip := int(b[1]) * auxiliaryWord
		first := len(sources)
		sources = appendAddresses(sources, b[recordSize:], n)
		records = append(records, Record{
			Type:    RecordType(b[0]),
			Group:   address(b[4:]),
			Sources: sources[first:len(sources):len(sources)],
		})
		b = b[recordSize+n*addressSize+skip:]
	}
	*r = Report{Records: records, sources: sources}
	return nil
}

// countSources returns how many sources the count records at the start of b
// have, or false if b ends before they do.
func countSources(b []byte, count int) (total int, ok bool) {
	for range count {
		if len(b) < recordSize {
			return 0, false
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		size := recordSize + n*addressSize + int(b[1])*auxiliaryWord
		if len(b) < size {
			return 0, false
		}
		total += n
		b = b[size:]
	}
	return total, true
}
