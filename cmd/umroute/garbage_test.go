package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// garbage is a packet that no host should send, and where it is counted.
type garbage struct {
	name   string
	packet []byte
	reason string // among the drops
}

// garbagePackets are wrong in one way each.
func garbagePackets() []garbage {
	from := netip.MustParseAddrPort("10.0.1.2:4000")
	to := netip.MustParseAddrPort("239.1.1.1:5000")
	from6 := netip.MustParseAddrPort("[fd00:1::2]:4000")
	to6 := netip.MustParseAddrPort("[ff15::1:1]:5000")
	good := func() []byte { return udpPacket(from, to, anyTTL, "garbage") }
	good6 := func() []byte { return udpPacket(from6, to6, anyTTL, "garbage") }
	with := func(packet []byte, at int, value byte) []byte {
		packet[at] = value
		if packet[0]>>4 == 4 && at != 10 { // keep the header checksum right
			copy(packet[10:], []byte{0, 0})
			header := packet[:max(20, min(int(packet[0]&15)*4, len(packet)))]
			binary.BigEndian.PutUint16(packet[10:], ^sum(0, header))
		}
		return packet
	}
	source := func(text string) []byte {
		return udpPacket(netip.AddrPortFrom(netip.MustParseAddr(text), 4000), to, anyTTL, "garbage")
	}
	source6 := func(text string) []byte {
		return udpPacket(netip.AddrPortFrom(netip.MustParseAddr(text), 4000), to6, anyTTL, "garbage")
	}
	return []garbage{
		{"one byte", []byte{0x45}, "bad_header"},
		{"half an IPv4 header", good()[:10], "bad_header"},
		{"half an IPv6 header", good6()[:20], "bad_header"},
		{"IP version 5", with(good(), 0, 0x55), "bad_header"},
		{"IPv4 header length 16", with(good(), 0, 0x44), "bad_header"},
		{"IPv4 header longer than the packet", with(good(), 0, 0x4f), "bad_header"},
		{"IPv4 longer than it is", with(good(), 3, 200), "bad_header"},
		{"IPv4 shorter than its header", with(good(), 3, 8), "bad_header"},
		{"IPv4 checksum", with(good(), 10, 0x12), "bad_checksum"},
		{"IPv6 longer than it is", with(good6(), 5, 200), "bad_header"},
		{"loopback source", source("127.0.0.1"), "bad_source"},
		{"group as source", source("239.1.1.2"), "bad_source"},
		{"broadcast source", source("255.255.255.255"), "bad_source"},
		{"unspecified source", source("0.0.0.0"), "bad_source"},
		{"IPv4 link-local source", source("169.254.1.1"), "bad_source"},
		{"IPv6 link-local source", source6("fe80::1"), "bad_source"},
		{"IPv6 group as source", source6("ff15::1"), "bad_source"},
		{"IPv6 loopback source", source6("::1"), "bad_source"},
		{"IPv6 unspecified source", source6("::"), "bad_source"},
	}
}

// TestGarbage sends each of them and looks where it was counted.
//
//	red ──mc0── router ──mc0── blue
//	sends garbage              hears nothing of it
func TestGarbage(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	p := startRouter(t, configure(stations...))
	for _, text := range []string{"239.1.1.1:5000", "[ff15::1:1]:5000"} {
		group := netip.MustParseAddrPort(text)
		blue.join(group)
		p.awaitJoined("blue", group.Addr())
	}
	w := blue.watch(device)
	for _, g := range garbagePackets() {
		t.Log("#", g.name)
		before := p.iface("red").Drops
		red.sendRaw(g.packet)
		var drops map[string]uint64
		eventually(t, "a count of "+g.name, func() bool {
			drops = p.iface("red").Drops
			return total(drops) > total(before)
		})
		if drops[g.reason] == before[g.reason] {
			t.Errorf("%s counts in %v, before %v; want %s", g.name, drops, before, g.reason)
		}
	}
	passThrough(p, red, blue, w)
	if got := w.seen(carrying("garbage")); len(got) != 0 {
		t.Errorf("garbage was forwarded: %+v", got)
	}
	p.stop()
}

// seeds are valid packets of every kind, for mutations.
func seeds(random *rand.Rand) [][]byte {
	host, router := netip.MustParseAddr("10.0.1.2"), netip.MustParseAddr("10.0.1.1")
	host6, router6 := netip.MustParseAddr("fd00:1::2"), netip.MustParseAddr("fd00:1::1")
	echo := []byte{8, 0, 0, 0, 0, 1, 0, 1}
	binary.BigEndian.PutUint16(echo[2:], ^sum(0, echo))
	echo6 := []byte{128, 0, 0, 0, 0, 1, 0, 1}
	binary.BigEndian.PutUint16(echo6[2:],
		transportChecksum(host6, router6, unix.IPPROTO_ICMPV6, echo6))
	fragment := randomFlow(random)
	fragment[6] = 0x20 // more fragments
	binary.BigEndian.PutUint16(fragment[10:], 0)
	binary.BigEndian.PutUint16(fragment[10:], ^sum(0, fragment[:20]))
	group6 := netip.MustParseAddr("ff15::1:1")
	return [][]byte{
		randomFlow(random), randomFlow6(random), randomReport(random), randomReport6(random),
		fragment,
		ipPacket(host, router, unix.IPPROTO_ICMP, 64, nil, echo),
		ipPacket(host6, router6, unix.IPPROTO_ICMPV6, 64, nil, echo6),
		ipPacket(host, netip.MustParseAddr("10.0.2.2"), unix.IPPROTO_ICMP, 64, nil, echo),
		igmpMessage(host, 0x16), igmpMessage(host, 0x17), igmpMessage(host, 0x11),
		// Extension headers: destination options, routing, fragment, and a
		// chain of hop-by-hop options that is too long.
		ipPacket(host6, group6, unix.IPPROTO_DSTOPTS, 16, nil,
			[]byte{unix.IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0, 0, 1, 0, 2, 0, 8, 0, 0}),
		ipPacket(host6, router6, unix.IPPROTO_ROUTING, 16, nil,
			[]byte{unix.IPPROTO_UDP, 2, 0, 1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 8, 0, 0}),
		ipPacket(host6, group6, unix.IPPROTO_FRAGMENT, 16, nil,
			[]byte{unix.IPPROTO_UDP, 0, 0, 1, 0, 0, 0, 9, 0, 1, 0, 2, 0, 8, 0, 0}),
		ipPacket(host6, group6, unix.IPPROTO_HOPOPTS, 16, nil,
			slices.Repeat([]byte{unix.IPPROTO_HOPOPTS, 0, 1, 4, 0, 0, 0, 0}, 100)),
	}
}

// igmpMessage is an IGMPv2 message to the group it is about.
func igmpMessage(from netip.Addr, kind byte) []byte {
	group := netip.MustParseAddr("239.1.1.1")
	message := append([]byte{kind, 10, 0, 0}, group.AsSlice()...)
	binary.BigEndian.PutUint16(message[2:], ^sum(0, message))
	return ipPacket(from, group, unix.IPPROTO_IGMP, 1, routerAlert, message)
}

// TestMutations sends packets that are wrong in random ways, and noise.
//
//	red ──mc0── router ──mc0── blue
//	sends garbage              joins afterwards
func TestMutations(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	p := startRouter(t, configure(stations...))
	random := rand.New(rand.NewPCG(3, 4))
	const rounds, burst = 40, 500
	for range rounds {
		before := p.iface("red").RxPackets
		var packets [][]byte
		for range burst {
			packets = append(packets, mutate(random))
		}
		red.sendRaw(packets...)
		eventually(t, "the router has read the burst", func() bool {
			return p.iface("red").RxPackets >= before+burst
		})
	}
	i := p.iface("red")
	t.Logf("drops %v, IGMP ignored %v, MLD ignored %v", i.Drops, i.IGMP.Ignored, i.MLD.Ignored)
	if len(i.Drops) < 5 || len(i.IGMP.Ignored) == 0 || len(i.MLD.Ignored) == 0 {
		t.Error("hardly any of it is counted")
	}
	for _, text := range []string{"239.7.7.7:5001", "[ff15::7:7]:5002"} {
		checkJoinWorks(p, red, blue, netip.MustParseAddrPort(text))
	}
	if strings.Contains(p.log.String(), "panic") {
		t.Error("the log speaks of a panic")
	}
	p.stop()
}

// mutate changes bytes of a valid packet, cuts it, or makes noise.
func mutate(random *rand.Rand) []byte {
	all := seeds(random)
	packet := all[random.IntN(len(all))]
	switch random.IntN(8) {
	case 0:
		packet = make([]byte, 1+random.IntN(200))
		for i := range packet {
			packet[i] = byte(random.Uint32())
		}
		packet[0] = []byte{0x45, 0x60, packet[0]}[random.IntN(3)]
	case 1:
		packet = packet[:1+random.IntN(len(packet))]
	default:
		for range 1 + random.IntN(4) {
			packet[random.IntN(len(packet))] ^= 1 << random.IntN(8)
		}
	}
	if packet[0]>>4 == 4 && len(packet) >= 20 && random.IntN(4) > 0 {
		// Most get a right header checksum, so that they come further.
		header := packet[:min(max(20, int(packet[0]&15)*4), len(packet))]
		binary.BigEndian.PutUint16(packet[10:], 0)
		binary.BigEndian.PutUint16(packet[10:], ^sum(0, header))
	}
	return packet
}
