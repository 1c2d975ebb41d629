package mld

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// capturedPackets returns the IP packets of a capture file, Ethernet headers
// removed.
func capturedPackets(tb testing.TB, path string) [][]byte {
	tb.Helper()
	const fileHeader, packetHeader, linkEthernet, ethernetHeader = 24, 16, 1, 14
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	skip := 0
	if binary.LittleEndian.Uint32(b[20:]) == linkEthernet {
		skip = ethernetHeader
	}
	var packets [][]byte
	for b = b[fileHeader:]; len(b) > 0; {
		size := int(binary.LittleEndian.Uint32(b[8:]))
		packets = append(packets, b[packetHeader+skip:packetHeader+size])
		b = b[packetHeader+size:]
	}
	return packets
}

type message interface {
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

// newMessage returns an empty message of the type that b begins with.
func newMessage(b []byte) message {
	switch Type(b[0]) {
	case TypeQuery:
		return new(Query)
	case TypeV1Report:
		return new(GroupReport)
	case TypeDone:
		return new(Done)
	case TypeV2Report:
		return new(Report)
	}
	return nil
}

// TestCaptures decodes what real hosts and routers sent and encodes it again.
func TestCaptures(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.pcap")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			same := 0
			for i, b := range capturedPackets(t, path) {
				if b[0]>>4 != 6 || b[6] != hopByHop {
					continue
				}
				p, err := ParsePacket(b)
				if err != nil {
					t.Errorf("packet %d: %v", i, err)
					continue
				}
				m := newMessage(p.Message)
				if err := m.UnmarshalBinary(p.Message); err != nil {
					t.Errorf("packet %d: %v", i, err)
					continue
				}
				got, err := AppendPacket(nil, p.Source, p.Destination, m)
				if err != nil || !bytes.Equal(got, canonical(b)) {
					t.Errorf("packet %d: encoded again\n%x, want\n%x (%v)", i, got, b, err)
				}
				same++
			}
			if same == 0 {
				t.Error("no packet was compared")
			}
		})
	}
}

// canonical returns a copy of the packet with what senders choose freely set to
// our choice: traffic class, flow label, hop limit, and where padding stands or
// whether there is a Router Alert at all.
func canonical(packet []byte) []byte {
	b := bytes.Clone(packet)
	b[0], b[1], b[2], b[3], b[7] = 6<<4, 0, 0, 0, linkHopLimit
	copy(b[ipHeaderSize:], []byte{protocolNumber, 0, optionRouterAlert, 2, 0, 0, optionPadN, 0})
	return b
}
