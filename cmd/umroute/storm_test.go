package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umroute/cmd/umroute/internal/control"
)

// stormBound is how much memory a router may take in a storm. Each table has
// a limit; together they stay below a third of this, and the race detector
// needs several times as much.
const stormBound = 768 << 20

// TestStorm has a host send flows and reports of random sources and groups.
// The router's memory must stay bounded, and other links must not notice.
//
//	red   ──mc0──┐
//	storms       router ──mc0── blue
//	green ──mc0──┘              joins afterwards
func TestStorm(t *testing.T) {
	stations := newStations(t, "red", "green", "blue")
	red, green, blue := stations[0], stations[1], stations[2]
	p := startRouter(t, configure(stations...))
	steady := netip.MustParseAddrPort("239.9.9.9:5009")
	receiver := blue.receive(steady)
	p.awaitJoined("blue", steady.Addr())
	st := green.startStream(steady)
	random := rand.New(rand.NewPCG(1, 2))
	for _, storm := range []struct {
		name string
		make func(*rand.Rand) []byte
	}{
		{"flows", randomFlow}, {"IPv6 flows", randomFlow6},
		{"IGMP reports", randomReport}, {"MLD reports", randomReport6},
	} {
		red.flood(p, random, storm.make)
		stats := show[control.Stats](p, "stats")
		t.Logf("after the %s: VmRSS %d MiB, %d flows, %d groups", storm.name,
			p.memory()>>20, stats.Flows, len(show[[]control.Group](p, "groups")))
		if got := p.memory(); got > stormBound {
			t.Errorf("memory %d MiB after %d %s", got>>20, stormPackets, storm.name)
		}
	}
	checkWhole(t, receiver, st.end())
	i := p.iface("red")
	t.Logf("drops %v, IGMP ignored %v, MLD ignored %v", i.Drops, i.IGMP.Ignored, i.MLD.Ignored)
	for n, text := range []string{"239.8.8.8:5001", "[ff15::8:8]:5002", "232.8.8.8:5003"} {
		group := netip.MustParseAddrPort(text)
		var sources []netip.Addr
		if n == 2 {
			sources = []netip.Addr{green.v4}
		}
		conn := blue.join(group, sources...)
		p.awaitJoined("blue", group.Addr())
		green.send(group, "after the storm", anyTTL)
		expect(t, conn, "after the storm", green.address(group.Addr()))
	}
	p.checkAlive(t)
	p.stop()
}

// flood sends in bursts that fit into the queue of the device.
func (s *station) flood(p *process, random *rand.Rand, make func(*rand.Rand) []byte) {
	s.t.Helper()
	const burst = 800
	for range stormPackets / burst {
		var packets [][]byte
		for range burst {
			packets = append(packets, make(random))
		}
		before := p.iface(s.name).RxPackets
		s.sendRaw(packets...)
		eventually(s.t, "the router has read the burst", func() bool {
			return p.iface(s.name).RxPackets >= before+burst
		})
	}
}

// memory is what the router holds in RAM, in bytes.
func (p *process) memory() uint64 {
	p.t.Helper()
	var kilobytes uint64
	if _, err := fmt.Sscan(strings.TrimSuffix(p.status("VmRSS"), " kB"), &kilobytes); err != nil {
		p.t.Fatal(err)
	}
	return kilobytes << 10
}

// randomFlow is a datagram from any address, half the time one of the link.
func randomFlow(random *rand.Rand) []byte {
	source := randomAddress(random, 10, 0, 1)
	if random.IntN(2) == 0 {
		source = randomAddress(random)
	}
	group := randomAddress(random, 224+byte(random.IntN(16)))
	return udpPacket(netip.AddrPortFrom(source, 1), netip.AddrPortFrom(group, 2), anyTTL, "x")
}

func randomFlow6(random *rand.Rand) []byte {
	source := randomAddress6(random, 0xfd, 0, 0, 1, 0, 0, 0, 0)
	if random.IntN(2) == 0 {
		source = randomAddress6(random, 0x20)
	}
	group := randomAddress6(random, 0xff, byte(random.IntN(256)))
	return udpPacket(netip.AddrPortFrom(source, 1), netip.AddrPortFrom(group, 2), anyTTL, "x")
}

// randomAddress is an IPv4 address that begins with these bytes.
func randomAddress(random *rand.Rand, prefix ...byte) netip.Addr {
	var address [4]byte
	binary.BigEndian.PutUint32(address[:], random.Uint32())
	copy(address[:], prefix)
	return netip.AddrFrom4(address)
}

func randomAddress6(random *rand.Rand, prefix ...byte) netip.Addr {
	var address [16]byte
	binary.BigEndian.PutUint64(address[:], random.Uint64())
	binary.BigEndian.PutUint64(address[8:], random.Uint64())
	copy(address[:], prefix)
	return netip.AddrFrom16(address)
}

// routerAlert are the options that reports must have (RFC 2113, RFC 2711).
var (
	routerAlert  = []byte{0x94, 4, 0, 0}
	routerAlert6 = []byte{unix.IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0}
)

// randomReport is an IGMPv3 report with a random record (RFC 9776 section 4.2).
func randomReport(random *rand.Rand) []byte {
	message := []byte{0x22, 0, 0, 0, 0, 0, 0, 1, byte(1 + random.IntN(6)), 0, 0, 0}
	message = append(message, randomAddress(random, 224+byte(random.IntN(16))).AsSlice()...)
	sources := random.IntN(20)
	message[11] = byte(sources)
	for range sources {
		message = append(message, randomAddress(random).AsSlice()...)
	}
	binary.BigEndian.PutUint16(message[2:], ^sum(0, message))
	return ipPacket(randomAddress(random, 10, 0, 1), netip.MustParseAddr("224.0.0.22"),
		unix.IPPROTO_IGMP, 1, routerAlert, message)
}

// randomReport6 is an MLDv2 report with a random record (RFC 9777 section 5.2).
func randomReport6(random *rand.Rand) []byte {
	message := []byte{143, 0, 0, 0, 0, 0, 0, 1, byte(1 + random.IntN(6)), 0, 0, 0}
	group := randomAddress6(random, 0xff, byte(random.IntN(256)))
	message = append(message, group.AsSlice()...)
	sources := random.IntN(20)
	message[11] = byte(sources)
	for range sources {
		message = append(message, randomAddress6(random, 0x20).AsSlice()...)
	}
	from := randomAddress6(random, 0xfe, 0x80, 0, 0, 0, 0, 0, 0)
	to := netip.MustParseAddr("ff02::16")
	binary.BigEndian.PutUint16(message[2:],
		transportChecksum(from, to, unix.IPPROTO_ICMPV6, message))
	return ipPacket(from, to, unix.IPPROTO_ICMPV6, 1, routerAlert6, message)
}
