package tun

import "testing"

// Whole packets of 44 octets, and frames around them.
var (
	wholeIPv4 = append([]byte{0x45, 0, 0, 44}, make([]byte, 40)...)
	wholeIPv6 = append([]byte{0x60, 0, 0, 0, 0, 4}, make([]byte, 38)...)
)

func frame(header ...byte) []byte { return append(make([]byte, 12), header...) }

func TestTruncated(t *testing.T) {
	tests := []struct {
		name   string
		kind   Kind
		packet []byte
	}{
		{"IPv4", KindTUN, wholeIPv4},
		{"IPv6", KindTUN, wholeIPv6},
		{"IPv4 in a frame", KindTAP, append(frame(0x08, 0x00), wholeIPv4...)},
		{"IPv6 in a frame", KindTAP, append(frame(0x86, 0xdd), wholeIPv6...)},
		{"IPv4 with a tag", KindTAP, append(frame(0x81, 0, 0, 5, 0x08, 0x00), wholeIPv4...)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if truncated(test.kind, test.packet) {
				t.Error("a whole packet is taken for a cut one")
			}
			padded := append([]byte{}, test.packet...)
			if truncated(test.kind, append(padded, 0, 0)) {
				t.Error("a padded packet is taken for a cut one")
			}
			for n := range len(test.packet) {
				if !truncated(test.kind, test.packet[:n]) {
					t.Fatalf("cut to %d octets is taken for a whole one", n)
				}
			}
		})
	}
}

func TestTruncatedCannotTell(t *testing.T) {
	arp := append(frame(0x08, 0x06), make([]byte, 28)...)
	if truncated(KindTAP, arp) {
		t.Error("ARP has no length to compare with")
	}
	if truncated(KindTUN, make([]byte, 20)) {
		t.Error("what is not IP has no length to compare with")
	}
}

func FuzzTruncated(f *testing.F) {
	f.Add(wholeIPv4, false)
	f.Add(append(frame(0x81, 0), 1, 2), true)
	f.Fuzz(func(t *testing.T, packet []byte, tap bool) {
		kind := KindTUN
		if tap {
			kind = KindTAP
		}
		// What is cut stays so when more of it is missing.
		for n := range len(packet) {
			if truncated(kind, packet) && !truncated(kind, packet[:n]) {
				t.Errorf("%x: cut, and not when %d octets long", packet, n)
			}
		}
	})
}
