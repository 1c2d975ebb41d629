package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUnicast has hosts ping the router, each of its addresses, and one
// another.
//
//	red ──mc0── router ──mc0── blue
func TestUnicast(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	p := startRouter(t, configure(stations...))
	for _, text := range []string{"10.0.1.1", "fd00:1::1", "10.0.2.1", "fd00:2::1"} {
		red.ping(netip.MustParseAddr(text))
	}
	red.ping(blue.v4)
	red.ping(blue.v6)
	blue.ping(red.v4)
	blue.ping(red.v6)
	for _, to := range []netip.Addr{blue.v4, blue.v6} {
		address := netip.AddrPortFrom(to, 7000)
		conn := blue.listen(address)
		red.send(address, "one to one", anyTTL)
		expect(t, conn, "one to one", red.address(to))
	}
	p.stop()
}

// TestUnicastOff has a router that forwards multicast alone.
//
//	red ──mc0── router ─┤├─mc0── blue
func TestUnicastOff(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	p := startRouter(t, "unicast: {forward: false}\n"+configure(stations...))
	w := blue.watch(device)
	for i, to := range []netip.Addr{blue.v4, blue.v6} {
		red.send(netip.AddrPortFrom(to, 7000), "one to one", anyTTL)
		p.awaitDrops("red", "not-for-us", uint64(i+1))
	}
	red.ping(netip.MustParseAddr("10.0.1.1"))
	red.ping(netip.MustParseAddr("fd00:1::1"))
	passThrough(p, red, blue, w)
	if got := w.seen(carrying("one to one")); len(got) != 0 {
		t.Errorf("unicast was forwarded: %+v", got)
	}
	p.stop()
}

// ping sends an echo request and waits for the reply (RFC 792, RFC 4443
// section 4).
func (s *station) ping(to netip.Addr) {
	s.t.Helper()
	network, protocol, local, request, reply := "ip4:icmp", byte(unix.IPPROTO_ICMP), "0.0.0.0",
		byte(8), byte(0)
	if to.Is6() {
		network, protocol, local, request, reply = "ip6:ipv6-icmp", unix.IPPROTO_ICMPV6, "::",
			128, 129
	}
	var conn net.PacketConn
	s.Do(func() (err error) {
		conn, err = net.ListenPacket(network, local)
		return err
	})
	defer conn.Close()
	message := append([]byte{request, 0, 0, 0}, fmt.Sprintf("%016x", rand.Uint64())...)
	if protocol == unix.IPPROTO_ICMP { // the kernel computes the other
		binary.BigEndian.PutUint16(message[2:], ^sum(0, message))
	}
	if _, err := conn.WriteTo(message, &net.IPAddr{IP: to.AsSlice()}); err != nil {
		s.t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			s.t.Fatalf("%s pings %s: %v", s.v4, to, err)
		}
		if n < len(message) || buf[0] != reply || string(buf[4:n]) != string(message[4:]) {
			continue
		}
		if got, _ := netip.ParseAddr(from.String()); got != to {
			s.t.Errorf("ping to %s was answered by %s", to, from)
		}
		return
	}
}
