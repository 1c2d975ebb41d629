package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// The sizes of a datagram, as UDP payload in bytes.
const (
	MinSize = 32
	MaxSize = 65507 // over IPv4; RFC 768 and RFC 791 leave this much
)

const (
	magic   = 0x756d7274 // "umrt"
	version = 1
)

// What a payload is when it is no datagram of ours.
var (
	ErrForeign = errors.New("load: not test traffic") // no magic
	ErrCorrupt = errors.New("load: corrupt datagram") // magic, and something wrong
)

// Datagram is one numbered datagram of a stream. On the wire, big-endian:
//
//	 0  magic "umrt"
//	 4  version, 1
//	 5  zero
//	 6  size of the whole
//	 8  stream
//	16  sequence number
//	24  time of sending, nanoseconds since 1970
//	32  padding: bytes that count up from the XOR of all before them
type Datagram struct {
	Stream   StreamID
	Sequence uint64
	Sent     time.Time // wall clock, 1678 to 2262
	Size     int       // bytes, MinSize to MaxSize
}

// StreamID tells one run of one sender from all others. It is random.
type StreamID uint64

// String returns 16 hexadecimal digits.
func (s StreamID) String() string { return fmt.Sprintf("%016x", uint64(s)) }

// MarshalText returns String: JSON numbers don't hold 64 bits everywhere.
func (s StreamID) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *StreamID) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 16, 64)
	if err != nil || len(text) != 16 {
		return fmt.Errorf("load: stream %q is not 16 hexadecimal digits", text)
	}
	*s = StreamID(v)
	return nil
}

// AppendBinary appends the datagram to b. It fails where Size is out of range.
func (d Datagram) AppendBinary(b []byte) ([]byte, error) {
	if d.Size < MinSize || d.Size > MaxSize {
		return b, fmt.Errorf("load: size %d is not in %d to %d", d.Size, MinSize, MaxSize)
	}
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, magic)
	b = append(b, version, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(d.Size))
	b = binary.BigEndian.AppendUint64(b, uint64(d.Stream))
	b = binary.BigEndian.AppendUint64(b, d.Sequence)
	b = binary.BigEndian.AppendUint64(b, uint64(d.Sent.UnixNano()))
	// The padding depends on the header, so that a damaged header shows and
	// fragments of two datagrams don't fit together.
	pad := paddingFrom(fold(b[start:]))
	for rest := d.Size - MinSize; rest > 0; rest -= len(pad) {
		b = append(b, pad[:min(rest, len(pad))]...)
	}
	return b, nil
}

// ParseDatagram reads a UDP payload. The error is ErrForeign or wraps
// ErrCorrupt.
func ParseDatagram(b []byte) (Datagram, error) {
	if len(b) < 4 || binary.BigEndian.Uint32(b) != magic {
		return Datagram{}, ErrForeign
	}
	if len(b) < MinSize {
		return Datagram{}, fmt.Errorf("%w: %d bytes, less than %d", ErrCorrupt, len(b), MinSize)
	}
	if b[4] != version || b[5] != 0 {
		return Datagram{}, fmt.Errorf("%w: version %d.%d", ErrCorrupt, b[4], b[5])
	}
	if size := int(binary.BigEndian.Uint16(b[6:])); size != len(b) || size > MaxSize {
		return Datagram{}, fmt.Errorf("%w: %d bytes of %d", ErrCorrupt, len(b), size)
	}
	pad := paddingFrom(fold(b[:MinSize]))
	for at := MinSize; at < len(b); at += len(pad) {
		part := b[at:min(at+len(pad), len(b))]
		if !bytes.Equal(part, pad[:len(part)]) {
			return Datagram{}, fmt.Errorf("%w: padding behind byte %d", ErrCorrupt, at)
		}
	}
	return Datagram{
		Stream:   streamID(b),
		Sequence: binary.BigEndian.Uint64(b[16:]),
		Sent:     time.Unix(0, int64(binary.BigEndian.Uint64(b[24:]))),
		Size:     len(b),
	}, nil
}

// counting holds all bytes in order, twice, so that the 256 from any byte on
// are one slice: padding is compared and written by the word.
var counting = func() (b [512]byte) {
	for i := range b {
		b[i] = byte(i)
	}
	return b
}()

// paddingFrom returns the first 256 bytes of padding; then it repeats.
func paddingFrom(first byte) []byte { return counting[first : int(first)+256] }

func fold(b []byte) (x byte) {
	for _, c := range b {
		x ^= c
	}
	return x
}

// streamID reads where the stream stands, whatever else is wrong.
func streamID(b []byte) StreamID { return StreamID(binary.BigEndian.Uint64(b[8:16])) }
