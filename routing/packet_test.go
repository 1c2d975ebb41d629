package routing

import (
	"bytes"
	"testing"
)

// changed gives b with some bytes replaced, and a correct IPv4 header
// checksum unless that was among them.
func changed(b []byte, at int, with ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], with)
	headerLen := int(b[0]&0x0f) * 4
	if b[0]>>4 == 4 && at != 10 && headerLen >= 20 && headerLen <= len(b) {
		b[10], b[11] = 0, 0
		s := plainChecksum(b[:headerLen])
		b[10], b[11] = byte(s>>8), byte(s)
	}
	return b
}

// What a row of the tests of parse wants besides a reason to drop.
const (
	isData = Drop(255) // to be forwarded
	isHost = Drop(254) // to be punted
)

// parseTest is a packet and what parse is to say of it.
type parseTest struct {
	name   string
	packet []byte
	want   Drop
}

func runParseTests(t *testing.T, tests []parseTest) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p packet
			buf := append(make([]byte, headroom), tt.packet...)
			v, reason := p.parse(buf, headroom, len(buf))
			want := map[Drop]verdict{isData: forward, isHost: punt}[tt.want]
			if tt.want < drops {
				want = drop
			}
			if v != want || v == drop && reason != tt.want {
				t.Errorf("verdict %d, reason %v, want %d", v, reason, tt.want)
			}
		})
	}
}

func TestParse4(t *testing.T) {
	v4 := func(source, group string) []byte {
		return ipv4{source: source, group: group, ttl: 9, payload: []byte("payload!")}.bytes()
	}
	good4 := v4("10.0.0.1", "239.1.1.1")
	runParseTests(t, []parseTest{
		{"IPv4", good4, isData},
		{"IPv4, trailing bytes", append(bytes.Clone(good4), 0, 0, 0), isData},
		{"IPv4, options", ipv4{source: "10.0.0.1", group: "239.1.1.1", ttl: 9,
			options: []byte{148, 4, 0, 0}}.bytes(), isData},
		{"IPv4, fragment", ipv4{source: "10.0.0.1", group: "239.1.1.1", ttl: 9,
			field: flagMoreFragments | 5}.bytes(), isData},
		{"IPv4, TTL 0", changed(good4, 8, 0), isData},
		{"IPv4, source-specific group", v4("192.0.2.1", "232.0.0.1"), isData},
		{"IPv4, internetwork control block", v4("10.0.0.1", "224.0.1.1"), isData},
		{"IPv4, broadcast", v4("10.0.0.1", "255.255.255.255"), isHost},
		{"IPv4, unicast", v4("10.0.0.1", "10.0.0.2"), isHost},
		{"IPv4, unicast with a wrong checksum", changed(v4("10.0.0.1", "10.0.0.2"), 10, 0), isHost},
		{"IPv4, link-local group", v4("10.0.0.1", "224.0.0.251"), isHost},
		{"IGMP to a group", changed(good4, 9, 2), isHost},
		{"PIM to a group", changed(good4, 9, 103), isHost},
		{"IPv4, header length 16", changed(good4, 0, 0x44), DropBadHeader},
		{"IPv4, header longer than packet", changed(good4, 0, 0x4f), DropBadHeader},
		{"IPv4, total length below header", changed(good4, 2, 0, 19), DropBadHeader},
		{"IPv4, total length beyond packet", changed(good4, 2, 0, 29), DropBadHeader},
		{"IPv4, checksum", changed(good4, 10, 0xde, 0xad), DropBadChecksum},
		{"IPv4, source 0.0.0.0", v4("0.0.0.0", "239.1.1.1"), DropBadSource},
		{"IPv4, source loopback", v4("127.0.0.1", "239.1.1.1"), DropBadSource},
		{"IPv4, source multicast", v4("224.1.1.1", "239.1.1.1"), DropBadSource},
		{"IPv4, source link-local", v4("169.254.1.1", "239.1.1.1"), DropBadSource},
		{"IPv4, source broadcast", v4("255.255.255.255", "239.1.1.1"), DropBadSource},
		{"IPv4, source next to link-local", v4("169.255.1.1", "239.1.1.1"), isData},
		{"nothing", nil, DropBadHeader},
		{"version 5", changed(good4, 0, 0x50), DropBadHeader},
	})
}

func TestParse6(t *testing.T) {
	v6 := func(source, group string) []byte {
		return ipv6{source: source, group: group, hops: 9, payload: []byte("payload!")}.bytes()
	}
	hop := func(next byte, payload ...byte) []byte {
		return ipv6{source: "fd00::1", group: "ff0e::1", hops: 9,
			hopByHop: []byte{next, 0, 5, 2, 0, 0, 1, 0}, payload: payload}.bytes()
	}
	good6 := v6("fd00::1", "ff0e::1")
	runParseTests(t, []parseTest{
		{"IPv6", good6, isData},
		{"IPv6, trailing bytes", append(bytes.Clone(good6), 0), isData},
		{"IPv6, scope 3", v6("fd00::1", "ff33::1"), isData},
		{"IPv6, scope f counts as global", v6("fd00::1", "ff0f::1"), isData},
		{"IPv6, scope 0", v6("fd00::1", "ff00::1"), DropGroupScope},
		{"IPv6, scope 1", v6("fd00::1", "ff11::1"), DropGroupScope},
		{"IPv6, scope 2", v6("fd00::1", "ff02::1"), isHost},
		{"IPv6, scope 2 by prefix", v6("fd00::1", "ff32::1"), isHost},
		{"IPv6, unicast", v6("fd00::1", "fd00::2"), isHost},
		{"IPv6, PIM", changed(good6, 6, 103), isHost},
		{"IPv6, payload length beyond packet", changed(good6, 4, 0, 9), DropBadHeader},
		{"IPv6, source unspecified", v6("::", "ff0e::1"), DropBadSource},
		{"IPv6, source loopback", v6("::1", "ff0e::1"), DropBadSource},
		{"IPv6, source multicast", v6("ff0e::2", "ff0e::1"), DropBadSource},
		{"IPv6, source link-local", v6("fe80::1", "ff0e::1"), DropBadSource},
		{"IPv6, source end of fe80::/10", v6("febf::1", "ff0e::1"), DropBadSource},
		{"IPv6, source behind fe80::/10", v6("fec0::1", "ff0e::1"), isData},
		{"IPv6, source IPv4-mapped", v6("::ffff:10.0.0.1", "ff0e::1"), DropBadSource},

		{"MLD report to its group", hop(58, 131, 0, 0, 0), isHost},
		{"MLDv2 report", hop(58, 143, 0, 0, 0), isHost},
		{"other ICMPv6 with a hop-by-hop header", hop(58, 128, 0, 0, 0), isData},
		{"UDP with a hop-by-hop header", hop(17, 131, 0, 0, 0), isData},
		{"PIM with a hop-by-hop header", hop(103, 0x20), isHost},
		{"ICMPv6 without a type", hop(58), isData},
		{"hop-by-hop header cut", changed(good6, 6, 0)[:44], DropBadHeader},
		{"hop-by-hop header too long", changed(hop(17), 41, 1), DropBadHeader},
		{"jumbogram", changed(hop(17), 4, 0, 0), DropBadHeader},
	})
}

// TestParsePrefixes holds that no prefix of a sound packet is forwarded.
func TestParsePrefixes(t *testing.T) {
	for _, b := range [][]byte{
		ipv4{source: "10.0.0.1", group: "239.1.1.1", ttl: 9, payload: make([]byte, 9)}.bytes(),
		ipv4{source: "10.0.0.1", group: "239.1.1.1", ttl: 9, options: make([]byte, 8)}.bytes(),
		ipv6{source: "fd00::1", group: "ff0e::1", hops: 9, hopByHop: []byte{58, 0, 1, 4, 0, 0, 0, 0},
			payload: []byte{128, 0}}.bytes(),
	} {
		for n := range b {
			var p packet
			buf := append(make([]byte, headroom), b[:n]...)
			if v, reason := p.parse(buf, headroom, len(buf)); v != drop || reason != DropBadHeader {
				t.Errorf("%d of %d bytes: verdict %d for %v", n, len(b), v, reason)
			}
		}
	}
}

func TestParseFrame(t *testing.T) {
	const group, unicast = "\x01\x00\x5e\x01\x01\x01", "\x02\x00\x00\x00\x00\x01"
	four := ipv4{source: "10.0.0.1", group: "239.1.1.1", ttl: 9}.bytes()
	six := ipv6{source: "fd00::1", group: "ff0e::1", hops: 9}.bytes()
	tests := []struct {
		name  string
		frame []byte
		want  verdict
	}{
		{"IPv4", frame(group, etherTypeIPv4, four), forward},
		{"IPv4, padded", frame(group, etherTypeIPv4, append(bytes.Clone(four), 0, 0)), forward},
		{"IPv6", frame("\x33\x33\x00\x00\x00\x01", etherTypeIPv6, six), forward},
		{"to a unicast address", frame(unicast, etherTypeIPv4, four), punt},
		{"broadcast", frame("\xff\xff\xff\xff\xff\xff", etherTypeIPv4, four), punt},
		{"ARP", frame(group, 0x0806, four), punt},
		{"VLAN", frame(group, 0x8100, four), punt},
		{"type does not match", frame(group, etherTypeIPv4, six), drop},
		{"type does not match", frame(group, etherTypeIPv6, four), drop},
		{"header alone", frame(group, etherTypeIPv4, nil), drop},
		{"cut", frame(group, etherTypeIPv4, nil)[:13], drop},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p packet
			buf := append(make([]byte, headroom), tt.frame...)
			if v, _ := p.parseFrame(buf, headroom, len(buf)); v != tt.want {
				t.Errorf("verdict %d, want %d", v, tt.want)
			}
		})
	}
}

// TestDecrement holds that the incremental checksum is the full one, for every
// TTL and for checksums around the two zeros of one's complement.
func TestDecrement(t *testing.T) {
	for ttl := 2; ttl < 256; ttl++ {
		for id := range 0x10000 {
			if id > 0x200 && id < 0xfe00 && id%509 != 0 {
				continue
			}
			b := ipv4Header(byte(ttl), uint16(id))
			p := packet{buf: b[:], end: len(b)}
			p.decrement()
			if s := sum(b[:]); s != 0xffff || b[8] != byte(ttl-1) {
				t.Fatalf("TTL %d, ID %#x: TTL %d, sum %#x after", ttl, id, b[8], s)
			}
			if again := plainChecksumOf(b); again != [2]byte{b[10], b[11]} {
				t.Fatalf("TTL %d, ID %#x: checksum %x, want %x", ttl, id, b[10:12], again)
			}
		}
	}
}

// ipv4Header is a header that takes every checksum as the ID takes every value.
func ipv4Header(ttl byte, id uint16) [20]byte {
	b := [20]byte{0: 0x45, 3: 20, 4: byte(id >> 8), 5: byte(id), 8: ttl, 9: 17,
		12: 10, 15: 1, 16: 239, 19: 1}
	s := plainChecksumOf(b)
	b[10], b[11] = s[0], s[1]
	return b
}

func plainChecksumOf(b [20]byte) [2]byte {
	b[10], b[11] = 0, 0
	s := plainChecksum(b[:])
	return [2]byte{byte(s >> 8), byte(s)}
}

// TestSum compares the sum with the plain one for every header length.
func TestSum(t *testing.T) {
	b := make([]byte, 60)
	for i := range b {
		b[i] = byte(i*37 + 201)
	}
	for n := 4; n <= len(b); n += 4 {
		if got, want := ^sum(b[:n]), plainChecksum(b[:n]); got != want {
			t.Errorf("%d bytes: checksum %#x, want %#x", n, got, want)
		}
	}
	ones := bytes.Repeat([]byte{0xff}, 60)
	if got := sum(ones); got != 0xffff {
		t.Errorf("sum of ones is %#x", got)
	}
}
