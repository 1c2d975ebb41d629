package stack

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestErrors holds the ICMP errors that a router owes (RFC 1812 §4.3.3, RFC 4443 §3).
func TestErrors(t *testing.T) {
	big4 := v4{from: "10.0.1.2", to: "10.0.3.2", proto: 17, flags: dontFragment,
		payload: make([]byte, 1400)}.bytes()
	big6 := v6{from: "fd00:1::2", to: "fd00:3::2", next: 17, payload: make([]byte, 1400)}.bytes()
	for _, tt := range []struct {
		name       string
		packet     []byte
		from       string
		kind, code uint8
		mtu        uint32
		reason     string
	}{
		{"TTL 1", udp4("10.0.1.2", "10.0.2.2", 1, []byte("trace")), "10.0.1.1", 11, 0, 0,
			"ttl-exceeded"},
		{"TTL 1, echo", echo4("10.0.1.2", "10.0.2.2", 1, "trace"), "10.0.1.1", 11, 0, 0,
			"ttl-exceeded"},
		{"TTL 1, no route", udp4("10.0.1.2", "172.16.0.1", 1, nil), "10.0.1.1", 11, 0, 0,
			"ttl-exceeded"},
		{"hop limit 1", udp6("fd00:1::2", "fd00:2::2", 1, []byte("trace")), "fd00:1::1", 3, 0, 0,
			"ttl-exceeded"},
		{"no route", udp4("10.0.1.2", "172.16.0.1", 9, nil), "10.0.1.1", 3, 0, 0, "no-route"},
		{"no IPv6 route", udp6("fd00:1::2", "fd00:9::1", 9, nil), "fd00:1::1", 1, 0, 0, "no-route"},
		{"port", udp4("10.0.1.2", "10.0.1.1", 9, nil), "10.0.1.1", 3, 3, 0, ""},
		{"IPv6 port", udp6("fd00:1::2", "fd00:1::1", 9, nil), "fd00:1::1", 1, 4, 0, ""},
		{"port on the other link", udp4("10.0.1.2", "10.0.2.1", 1, nil), "10.0.2.1", 3, 3, 0, ""},
		{"protocol", v4{from: "10.0.1.2", to: "10.0.1.1", proto: 6,
			payload: make([]byte, 20)}.bytes(), "10.0.1.1", 3, 2, 0, ""},
		{"fragmentation needed", big4, "10.0.1.1", 3, 4, 1300, "too-big"},
		{"packet too big", big6, "fd00:1::1", 2, 0, 1300, "too-big"},
		{"nobody there", udp4("10.0.1.2", "10.0.1.77", 9, nil), "10.0.1.1", 3, 1, 0, "on-link"},
		{"nobody there, IPv6", udp6("fd00:1::2", "fd00:1::77", 9, nil), "fd00:1::1", 1, 3, 0,
			"on-link"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRouter(t, Config{})
			add(t, r.Stack, InterfaceConfig{Index: 3, Name: "small", Device: &device{}, MTU: 1300,
				Addresses: prefixes("10.0.3.1/24", "fd00:3::1/64")})
			r.Deliver(redIndex, tt.packet)
			got := r.red.one(t)
			n, limit := 20, 576
			if got[0]>>4 == 6 {
				n, limit = 40, 1280
			}
			want := append([]byte{tt.kind, tt.code, got[n+2], got[n+3]},
				binary.BigEndian.AppendUint32(nil, tt.mtu)...)
			want = append(want, tt.packet...)
			want = want[:min(len(want), limit-n)]
			if diff := cmp.Diff(want, got[n:]); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if !sound(got) {
				t.Errorf("checksum is wrong: %x", got)
			}
			from, to := addresses(got)
			source, _ := addresses(tt.packet)
			if from != addr(tt.from) || to != source {
				t.Errorf("sent from %s to %s, want %s to %s", from, to, tt.from, source)
			}
			wantDrop(t, r.Stack, redIndex, tt.reason, 1)
		})
	}
}

func addresses(b []byte) (from, to netip.Addr) {
	if b[0]>>4 == 4 {
		return netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	}
	return netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
}

// TestNoErrors holds what must not be answered (RFC 1812 §4.3.2.7, RFC 4443 §2.4).
func TestNoErrors(t *testing.T) {
	quoted := udp4("10.0.1.2", "10.0.2.2", 64, nil)
	badHeader := udp4("10.0.1.2", "10.0.2.2", 1, nil)
	badHeader[10] ^= 1
	for name, packet := range map[string][]byte{
		"an error": v4{from: "10.0.1.2", to: "10.0.2.2", proto: 1, ttl: 1,
			payload: icmp4(3, 1, append(make([]byte, 4), quoted...)...)}.bytes(),
		"a truncated ICMP": v4{from: "10.0.1.2", to: "10.0.2.2", proto: 1, ttl: 1,
			payload: []byte{8, 0}}.bytes(),
		"a later fragment": v4{from: "10.0.1.2", to: "10.0.2.2", proto: 17, ttl: 1, flags: 8,
			payload: make([]byte, 8)}.bytes(),
		"a broadcast source": udp4("10.0.1.255", "10.0.2.2", 1, nil),
		"a bad header":       badHeader,
		"an IPv6 error": v6{from: "fd00:1::2", to: "fd00:1::77", next: 58, payload: icmp6(
			"fd00:1::2", "fd00:1::77", 1, 0, make([]byte, 44)...)}.bytes(),
		"an IPv6 error, hop limit": v6{from: "fd00:1::2", to: "fd00:2::2", next: 58, hops: 1,
			payload: icmp6("fd00:1::2", "fd00:2::2", 1, 0, make([]byte, 44)...)}.bytes(),
		"a group": udp4("10.0.1.2", "239.1.1.1", 1, nil),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRouter(t, Config{})
			r.Deliver(redIndex, packet)
			r.red.none(t)
			r.blue.none(t)
		})
	}
}

// TestErrorRate shows that a flood is not answered by a flood.
func TestErrorRate(t *testing.T) {
	r := newRouter(t, Config{})
	const n = 5000
	for range n {
		r.Deliver(redIndex, udp4("10.0.1.2", "10.0.2.2", 1, nil))
	}
	if got := len(r.red.take()); got == 0 || got >= n {
		t.Errorf("%d packets out of time made %d errors", n, got)
	}
	wantDrop(t, r.Stack, redIndex, "ttl-exceeded", n)
}
