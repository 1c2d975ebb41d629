package stack

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPacketTooBig holds that the source of a packet to a group, and nobody
// else, learns the MTU that was too small for it.
func TestPacketTooBig(t *testing.T) {
	r := newRouter(t, Config{})
	packet := udp6("fd00:1::2", "ff3e::8000:1", 63, make([]byte, 1400))
	r.PacketTooBig(redIndex, packet, 1280)
	quoted := packet[:quoted6]
	// RFC 4443 §3.2: type 2, code 0, and the MTU in the four bytes behind the
	// checksum.
	want := v6{from: "fd00:1::1", to: "fd00:1::2", next: 58,
		payload: icmp6("fd00:1::1", "fd00:1::2", 2, 0,
			append([]byte{0, 0, 0x05, 0x00}, quoted...)...)}.bytes()
	got := r.red.one(t)
	want[7] = got[7] // the hop limit is the stack's own affair
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	r.blue.none(t)
}

func TestPacketTooBigIgnoresTheRest(t *testing.T) {
	r := newRouter(t, Config{})
	for name, packet := range map[string][]byte{
		"empty":           nil,
		"IPv4":            udp4("10.0.1.2", "239.1.1.1", 63, make([]byte, 1400)),
		"cut short":       udp6("fd00:1::2", "ff3e::8000:1", 63, make([]byte, 1400))[:39],
		"to one host":     udp6("fd00:1::2", "fd00:2::2", 63, make([]byte, 1400)),
		"from the router": udp6("fd00:1::1", "ff3e::8000:1", 63, make([]byte, 1400)),
		"no source":       udp6("::", "ff3e::8000:1", 63, make([]byte, 1400)),
		"an error, quoting": v6{from: "fd00:1::2", to: "ff3e::8000:1", next: 58,
			payload: icmp6("fd00:1::2", "ff3e::8000:1", 1, 0, make([]byte, 1300)...)}.bytes(),
	} {
		t.Run(name, func(t *testing.T) {
			r.PacketTooBig(redIndex, packet, 1280)
			r.PacketTooBig(99, packet, 1280)
			r.red.none(t)
			r.blue.none(t)
		})
	}
}
