package routing

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// fragmentsOf gives what the fragmenter makes of a packet, checked for what
// every fragment must be.
func fragmentsOf(t *testing.T, packet []byte, mtu int) [][]byte {
	t.Helper()
	var f fragmenter
	if !f.start(packet, mtu) {
		t.Fatalf("packet of %d bytes not fragmented for MTU %d", len(packet), mtu)
	}
	var all [][]byte
	for frames := f.next(3); len(frames) > 0; frames = f.next(3) {
		for _, b := range frames {
			b = bytes.Clone(b[3:])
			headerLen := int(b[0]&0x0f) * 4
			switch {
			case len(b) > mtu:
				t.Errorf("fragment of %d bytes for MTU %d", len(b), mtu)
			case int(binary.BigEndian.Uint16(b[2:])) != len(b):
				t.Errorf("total length %d of %d bytes", binary.BigEndian.Uint16(b[2:]), len(b))
			case plainChecksum(b[:headerLen]) != 0:
				t.Errorf("checksum wrong in % x", b[:headerLen])
			}
			all = append(all, b)
		}
	}
	return all
}

// reassemble puts fragments together, from the offset that the first one has.
func reassemble(t *testing.T, fragments [][]byte) (payload []byte, more bool) {
	t.Helper()
	start := int(binary.BigEndian.Uint16(fragments[0][6:])&fragmentOffset) * 8
	for i, b := range fragments {
		field := binary.BigEndian.Uint16(b[6:])
		if at := int(field&fragmentOffset) * 8; at != start+len(payload) {
			t.Fatalf("fragment %d at offset %d, want %d", i, at, start+len(payload))
		}
		payload = append(payload, b[int(b[0]&0x0f)*4:]...)
		more = field&flagMoreFragments != 0
		if i < len(fragments)-1 && !more {
			t.Fatalf("fragment %d of %d says it is the last", i, len(fragments))
		}
	}
	return payload, more
}

func TestFragment(t *testing.T) {
	payload := make([]byte, 65000)
	for i := range payload {
		payload[i] = byte(i ^ i>>8)
	}
	for _, size := range []int{1, 8, 9, 48, 1480, 1481, 65000} {
		for _, field := range []uint16{0, flagMoreFragments, 7, flagMoreFragments | 7} {
			for _, mtu := range []int{68, 69, 75, 576, 1499} {
				p := ipv4{source: "10.0.0.1", group: "239.1.1.1", ttl: 4, id: 77,
					field: field, payload: payload[:size]}.bytes()
				fragments := fragmentsOf(t, p, mtu)
				got, more := reassemble(t, fragments)
				if !bytes.Equal(got, payload[:size]) {
					t.Errorf("size %d, field %#x, MTU %d: payload differs", size, field, mtu)
				}
				first := binary.BigEndian.Uint16(fragments[0][6:])
				if more != (field&flagMoreFragments != 0) || first&fragmentOffset != field&fragmentOffset {
					t.Errorf("size %d, field %#x, MTU %d: more %v, first field %#x",
						size, field, mtu, more, first)
				}
				if want := (size + (mtu-20)&^7 - 1) / ((mtu - 20) &^ 7); len(fragments) > want {
					t.Errorf("size %d, MTU %d: %d fragments, want %d", size, mtu, len(fragments), want)
				}
			}
		}
	}
}

func TestFragmentOptions(t *testing.T) {
	tests := []struct {
		name            string
		options, others []byte
	}{
		{"copied", []byte{148, 4, 0, 0}, []byte{148, 4, 0, 0}},
		{"not copied", []byte{7, 4, 0, 0}, nil},
		{"both, padded", []byte{1, 7, 3, 0, 131, 3, 9, 0}, []byte{131, 3, 9, 0}},
		{"behind the end", []byte{0, 148, 4, 0, 0, 0, 0, 0}, nil},
		{"length 1", []byte{148, 1, 0, 0}, nil},
		{"length beyond", []byte{7, 3, 0, 148}, nil},
		{"too long", []byte{148, 5, 0, 0}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := ipv4{source: "10.0.0.1", group: "239.1.1.1", ttl: 4, options: tt.options,
				payload: make([]byte, 200)}.bytes()
			fragments := fragmentsOf(t, p, 100)
			for i, b := range fragments {
				want := tt.others
				if i == 0 {
					want = tt.options
				}
				if got := b[20 : int(b[0]&0x0f)*4]; !bytes.Equal(got, want) {
					t.Errorf("fragment %d has options % x, want % x", i, got, want)
				}
			}
		})
	}
}

func TestFragmentRefused(t *testing.T) {
	packet := func(field uint16, optionLen int) []byte {
		return ipv4{source: "10.0.0.1", group: "239.1.1.1", ttl: 4, field: field,
			options: make([]byte, optionLen), payload: make([]byte, 100)}.bytes()
	}
	tests := []struct {
		name   string
		packet []byte
		mtu    int
		want   bool
	}{
		{"may be", packet(0, 0), 68, true},
		{"don't fragment", packet(flagDontFragment, 0), 68, false},
		{"header fills the MTU", packet(0, 40), 67, false},
		{"8 bytes a fragment", packet(0, 40), 68, true},
		{"beyond the last offset", packet(fragmentOffset-2, 0), 68, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := new(fragmenter).start(tt.packet, tt.mtu); got != tt.want {
				t.Errorf("start says %v, want %v", got, tt.want)
			}
		})
	}
}
