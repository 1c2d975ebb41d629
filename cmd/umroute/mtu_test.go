package main

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTooLong sends packets that are longer than the MTU of an output: IPv4
// is fragmented there, IPv6 by its source, which has to be told.
//
//	red ──mc0── router ──mc0── blue
//	MTU 1500                   MTU 1280
func TestTooLong(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	blue.more = "mtu: 1280"
	p := startRouter(t, configure(stations...))
	long := strings.Repeat("0123456789", 140)

	group := netip.MustParseAddrPort("239.1.1.1:5001")
	conn := blue.join(group)
	p.awaitJoined("blue", group.Addr())
	red.sendRaw(udpPacket(netip.AddrPortFrom(red.v4, 4000), group, anyTTL, long))
	expect(t, conn, long, red.v4) // which the host has put together

	group = netip.MustParseAddrPort("[ff15::1:1]:5002")
	conn = blue.join(group)
	p.awaitJoined("blue", group.Addr())
	red.send(group, "short", anyTTL)
	expect(t, conn, "short", red.v6)
	w := red.watch(device)
	red.send(group, long, anyTTL)
	told := w.await("Packet Too Big", func(d datagram) bool {
		const packetTooBig = 2 // RFC 4443 section 3.2
		return d.protocol == unix.IPPROTO_ICMPV6 && len(d.payload) >= 8 &&
			d.payload[0] == packetTooBig
	})
	if mtu := binary.BigEndian.Uint32([]byte(told.payload[4:8])); mtu != 1280 {
		t.Errorf("the source was told an MTU of %d, want 1280", mtu)
	}
	p.awaitDrops("blue", "frag_needed", 1)
	r, _ := p.route(red.v6, group.Addr())
	if len(r.OIFs) != 1 || r.OIFs[0].FragNeeded != 1 || r.OIFs[0].Packets != 1 {
		t.Errorf("route %+v: want that one packet was too long, and one was not", r)
	}
	p.stop()
}
