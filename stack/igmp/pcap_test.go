package igmp

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
	case TypeV1Report, TypeV2Report:
		return new(GroupReport)
	case TypeLeave:
		return new(Leave)
	case TypeV3Report:
		return new(Report)
	}
	return nil
}

// TestCaptures decodes what real hosts and routers sent and encodes it again.
func TestCaptures(t *testing.T) {
	// Packets that were sent wrong on purpose: bad checksums, odd lengths.
	faults := map[string]int{"linux-tun-igmpv3-queries.pcap": 3}
	paths, err := filepath.Glob("testdata/*.pcap")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	whole := 0
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			wrong, same := 0, 0
			for i, b := range capturedPackets(t, path) {
				if b[0]>>4 != 4 || b[9] != protocolNumber {
					continue
				}
				p, err := ParsePacket(b)
				if err != nil {
					wrong++
					continue
				}
				m := newMessage(p.Message)
				if m == nil || m.UnmarshalBinary(p.Message) != nil {
					wrong++
					continue
				}
				got, err := m.AppendBinary(nil)
				if err != nil || !bytes.Equal(got, p.Message) {
					t.Errorf("packet %d: encoded again\n%x, want\n%x (%v)", i, got, p.Message, err)
				}
				same++
				// Identification 0 and DF: the sender's choices are ours.
				if binary.BigEndian.Uint32(b[4:]) != dontFragment || !p.RouterAlert {
					continue
				}
				got, err = AppendPacket(nil, p.Source, p.Destination, m)
				if err != nil || !bytes.Equal(got, b) {
					t.Errorf("packet %d: encoded again\n%x, want\n%x (%v)", i, got, b, err)
				}
				whole++
			}
			if wrong != faults[filepath.Base(path)] || same == 0 {
				t.Errorf("%d packets undecodable, want %d; %d decoded",
					wrong, faults[filepath.Base(path)], same)
			}
		})
	}
	if whole == 0 {
		t.Error("no complete packet was compared")
	}
}
