package mld

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

// reportPacket is a captured form: Linux reports ff1e::1:1 with MLDv1.
var reportPacket = wire(append(wire([]byte{0x60, 0, 0, 0, 0, 32, 0, 1}, hostA, groupA),
	58, 0, 5, 2, 0, 0, 1, 0, 131, 0, 0, 0, 0, 0, 0, 0), groupA)

// withSum returns a copy of the packet with a right ICMPv6 checksum.
func withSum(packet []byte) []byte {
	b := slices.Clone(packet)
	body := b[HeaderSize:]
	binary.BigEndian.PutUint16(body[2:], 0)
	binary.BigEndian.PutUint16(body[2:], checksum(b[8:ipHeaderSize], body))
	return b
}

// changed returns a copy of the packet with one octet changed.
func changed(packet []byte, offset int, octet byte) []byte {
	b := slices.Clone(packet)
	b[offset] = octet
	return b
}

func TestPacket(t *testing.T) {
	wire := withSum(reportPacket)
	got, err := AppendPacket(nil, hostA, groupA, &GroupReport{Group: groupA})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wire, got); diff != "" {
		t.Errorf("octets (-want +got)\n%s", diff)
	}
	want := Packet{Source: hostA, Destination: groupA, HopLimit: 1, RouterAlert: true,
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
	good := withSum(reportPacket)
	for _, tt := range []struct {
		name   string
		packet []byte
		want   error
	}{
		{"good", good, nil},
		{"IPv4", changed(good, 0, 0x45), ErrNotMLD},
		{"UDP", changed(good, 6, 17), ErrNotMLD},
		{"UDP behind Hop-by-Hop", changed(good, 40, 17), ErrNotMLD},
		{"Hop-by-Hop longer than the packet", changed(good, 41, 200), io.ErrUnexpectedEOF},
		{"no room for Hop-by-Hop", changed(good, 5, 7), io.ErrUnexpectedEOF},
		{"no room for a message", changed(good, 5, 11), io.ErrUnexpectedEOF},
		{"option longer than the header", changed(good, 43, 5), ErrNotMLD},
		{"unknown option that forbids", changed(good, 42, 0x85), ErrNotMLD},
		{"another group", changed(good, 39, 2), ErrChecksum},
		{"another type", changed(good, 48, 132), ErrChecksum},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParsePacket(tt.packet); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

// MLD without Hop-by-Hop header decodes, so that the caller can count it.
func TestPacketWithoutHopByHop(t *testing.T) {
	full := withSum(reportPacket)
	b := append(slices.Clone(full[:ipHeaderSize]), full[HeaderSize:]...)
	b[5], b[6] = byte(len(b)-ipHeaderSize), protocolNumber
	p, err := ParsePacket(b)
	if err != nil || p.RouterAlert {
		t.Errorf("%+v, error %v", p, err)
	}
}

func TestRouterAlert(t *testing.T) {
	for _, tt := range []struct {
		name      string
		options   []byte
		alert, ok bool
	}{
		{"padding alone", []byte{1, 4, 0, 0, 0, 0}, false, true},
		{"before padding", []byte{5, 2, 0, 0, 1, 0}, true, true},
		{"after padding", []byte{0, 0, 5, 2, 0, 0}, true, true},
		{"for RSVP", []byte{5, 2, 0, 1, 1, 0}, false, true},
		{"of 3 octets", []byte{5, 3, 0, 0, 0, 0}, false, true},
		{"unknown option to be skipped", []byte{0x1e, 0, 5, 2, 0, 0}, true, true},
		{"unknown option to be refused", []byte{0x5e, 0, 5, 2, 0, 0}, false, false},
		{"cut after the type", []byte{0, 0, 0, 0, 0, 5}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if alert, ok := parseOptions(tt.options); alert != tt.alert || ok != tt.ok {
				t.Errorf("%v %v, want %v %v", alert, ok, tt.alert, tt.ok)
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
	again := newMessage(first)
	if err := again.UnmarshalBinary(first); err != nil {
		t.Fatalf("%x does not decode: %v", first, err)
	}
	second, err := again.AppendBinary(nil)
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("encoded twice\n%x\n%x (%v)", first, second, err)
	}
}
