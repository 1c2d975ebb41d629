package igmp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var joinPacket = []byte{
	0x46, 0xc0, 0, 32, 0, 0, 0x40, 0, 1, 2, 0, 0, 10, 9, 0, 2, 239, 1, 1, 1,
	0x94, 4, 0, 0,
	0x16, 0, 0xf9, 0xfc, 239, 1, 1, 1,
}

// withSums returns a copy of the packet with right checksums.
func withSums(packet []byte) []byte {
	b := slices.Clone(packet)
	header := b[:int(b[0]&0x0f)*4]
	binary.BigEndian.PutUint16(header[10:], 0)
	binary.BigEndian.PutUint16(header[10:], checksum(header))
	putChecksum(b[len(header):])
	return b
}

// changed returns a copy of the packet with one octet changed and right sums.
func changed(packet []byte, offset int, octet byte) []byte {
	b := slices.Clone(packet)
	b[offset] = octet
	return withSums(b)
}

func TestPacket(t *testing.T) {
	wire := withSums(joinPacket)
	got, err := AppendPacket(nil, hostA, groupA, &GroupReport{Version: 2, Group: groupA})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wire, got); diff != "" {
		t.Errorf("octets (-want +got)\n%s", diff)
	}
	want := Packet{Source: hostA, Destination: groupA, TTL: 1, RouterAlert: true,
		Message: wire[HeaderSize:]}
	p, err := ParsePacket(append(wire, "padding of the link"...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, p, ignoreMemory...); diff != "" {
		t.Errorf("packet (-want +got)\n%s", diff)
	}
	for n := range wire {
		if _, err := ParsePacket(wire[:n]); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("first %d octets: %v", n, err)
		}
	}
}

func TestPacketErrors(t *testing.T) {
	good := withSums(joinPacket)
	for _, tt := range []struct {
		name   string
		packet []byte
		want   error
	}{
		{"good", good, nil},
		{"IPv6", changed(good, 0, 0x66), ErrNotIGMP},
		{"UDP", changed(good, 9, 17), ErrNotIGMP},
		{"header of 16 octets", changed(good, 0, 0x44), ErrNotIGMP},
		{"total shorter than the header", changed(good, 3, 23), ErrNotIGMP},
		{"total without a message", changed(good, 3, 31), io.ErrUnexpectedEOF},
		{"more fragments", changed(good, 6, 0x20), ErrFragment},
		{"fragment offset", changed(good, 7, 1), ErrFragment},
		{"header sum", func() []byte {
			b := slices.Clone(good)
			b[8] = 2
			return b
		}(), ErrChecksum},
		{"message sum", func() []byte {
			b := slices.Clone(good)
			b[31] = 2
			return b
		}(), ErrChecksum},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParsePacket(tt.packet); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestRouterAlert(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options []byte
		want    bool
	}{
		{"none", nil, false},
		{"alone", []byte{0x94, 4, 0, 0}, true},
		{"after no-operations", []byte{1, 1, 1, 1, 0x94, 4, 0, 0}, true},
		{"after another option", []byte{0x44, 4, 5, 0, 0x94, 4, 0, 0}, true},
		{"after the end of options", []byte{0, 0, 0, 0, 0x94, 4, 0, 0}, false},
		{"another value", []byte{0x94, 4, 0, 1}, false},
		{"length 0", []byte{0x44, 0, 0, 0, 0x94, 4, 0, 0}, false},
		{"length beyond the header", []byte{0x94, 8, 0, 0}, false},
		{"cut", []byte{1, 1, 1, 0x94}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := hasRouterAlert(tt.options); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func FuzzPacket(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.pcap")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		for _, b := range capturedPackets(f, path) {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePacket(b)
		if err != nil {
			return
		}
		checkMessage(t, p.Message)
	})
}

func FuzzMessage(f *testing.F) {
	for _, tt := range messages {
		f.Add(tt.wire)
	}
	f.Fuzz(checkMessage)
}

// checkMessage decodes b and, where that works, demands that encoding and
// decoding once more changes nothing.
func checkMessage(t *testing.T, b []byte) {
	if len(b) == 0 {
		return
	}
	m := newMessage(b)
	if m == nil || m.UnmarshalBinary(b) != nil {
		return
	}
	first, err := m.AppendBinary(nil)
	if err != nil {
		t.Fatalf("%+v does not encode: %v", m, err)
	}
	if !VerifyChecksum(first) {
		t.Fatalf("%x: wrong checksum", first)
	}
	again := newMessage(first)
	if err := again.UnmarshalBinary(first); err != nil {
		t.Fatalf("%x does not decode: %v", first, err)
	}
	second, err := again.AppendBinary(nil)
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("encoded twice\n%x\n%x (%v)", first, second, err)
	}
}
