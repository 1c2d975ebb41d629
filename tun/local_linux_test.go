package tun_test

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

// udp6 is an IPv6 packet with a UDP datagram (RFC 8200 section 8.1).
func udp6(from, to netip.AddrPort, payload string) []byte {
	p := make([]byte, 48, 48+len(payload))
	size := uint16(8 + len(payload))
	p[0], p[6], p[7] = 0x60, 17, 5
	binary.BigEndian.PutUint16(p[4:], size)
	copy(p[8:], from.Addr().AsSlice())
	copy(p[24:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(p[40:], from.Port())
	binary.BigEndian.PutUint16(p[42:], to.Port())
	binary.BigEndian.PutUint16(p[44:], size)
	p = append(p, payload...)
	// The pseudo-header is the addresses, the length and the next header.
	sum := uint32(size) + 17
	for i, octet := range p[8:] {
		sum += uint32(octet) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(p[46:], ^uint16(sum))
	return p
}

// TestFirstAnswersArrive writes to a host as soon as it may, many times over:
// once in two or three the kernel's local route would not be there yet.
func TestFirstAnswersArrive(t *testing.T) {
	to := netip.MustParseAddrPort("[fd00:1::2]:5000")
	packet := udp6(netip.MustParseAddrPort("[fd00:1::1]:4000"), to, "an answer")
	for range 12 {
		host := netnstest.NewHost(t)
		conn := host.ListenUDP("udp6", "[::]:5000")
		link := open(t, peerConfig(host, tun.KindTUN))
		for _, after := range []string{"Open", "EventUp"} {
			if n, err := link.Write([][]byte{packet}); n != 1 || err != nil {
				t.Fatalf("Write after %s: %d, %v", after, n, err)
			}
			// The kernel delivers within the write, or never.
			if got := host.Run("cat", "/proc/net/snmp6"); !hasCounter(got, "Ip6InAddrErrors", "0") {
				t.Fatalf("after %s, a packet to the host was dropped:\n%s", after, got)
			}
			if got := receive(t, conn); got != "an answer" {
				t.Errorf("received %q", got)
			}
			flap(t, host, link)
		}
		link.Close()
	}
}

// hasCounter looks for a line of a name and a value.
func hasCounter(lines, name, value string) bool {
	for line := range strings.Lines(lines) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == name {
			return f[1] == value
		}
	}
	return false
}

// TestAddressThatCannotReceive has a host that takes nothing in at an address.
func TestAddressThatCannotReceive(t *testing.T) {
	host := netnstest.NewHost(t)
	host.Run("ip", "-6", "rule", "add", "pref", "0", "to", "fd00:1::2", "prohibit")
	host.Run("ip", "-6", "rule", "add", "pref", "1", "table", "local")
	host.Run("ip", "-6", "rule", "del", "pref", "0", "table", "local")
	var log bytes.Buffer
	config := peerConfig(host, tun.KindTUN)
	config.Logger = slog.New(slog.NewTextHandler(&log, nil))
	open(t, config)
	if got := strings.Count(log.String(), "cannot receive yet"); got != 1 {
		t.Errorf("%d warnings, want 1: %s", got, log.String())
	}
}
