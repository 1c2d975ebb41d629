package tun_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

// patience is how long a test waits for what must come. Nothing is measured.
const patience = 10 * time.Second

// udp4 is an IPv4 packet with a UDP datagram without checksum (RFC 768).
func udp4(from, to netip.AddrPort, ttl byte, payload string) []byte {
	p := make([]byte, 28, 28+len(payload))
	p[0], p[8], p[9] = 0x45, ttl, 17
	binary.BigEndian.PutUint16(p[2:], uint16(28+len(payload)))
	copy(p[12:], from.Addr().AsSlice())
	copy(p[16:], to.Addr().AsSlice())
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(p[10:], ^uint16(sum))
	binary.BigEndian.PutUint16(p[20:], from.Port())
	binary.BigEndian.PutUint16(p[22:], to.Port())
	binary.BigEndian.PutUint16(p[24:], uint16(8+len(payload)))
	return append(p, payload...)
}

// open opens a link that ends with the test, and never hangs it.
func open(t *testing.T, config tun.Config) *tun.Link {
	t.Helper()
	link, err := tun.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, link)
	return link
}

// keep closes a device with the test, or when it has taken far too long.
func keep(t *testing.T, device tun.Device) {
	late := time.AfterFunc(patience, func() { device.Close() })
	t.Cleanup(func() {
		late.Stop()
		if err := device.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Errorf("close: %v", err)
		}
	})
}

// readFrom reads packets until one contains the text.
func readFrom(device tun.Device, text string) ([]byte, error) {
	bufs, sizes := make([][]byte, 8), make([]int, 8)
	for i := range bufs {
		bufs[i] = make([]byte, 2048)
	}
	for {
		n, err := device.Read(bufs, sizes)
		if err != nil {
			return nil, err
		}
		for i := range n {
			if packet := bufs[i][:sizes[i]]; bytes.Contains(packet, []byte(text)) {
				return packet, nil
			}
		}
	}
}

func mustRead(t *testing.T, device tun.Device, text string) []byte {
	t.Helper()
	packet, err := readFrom(device, text)
	if err != nil {
		t.Fatalf("no packet with %q: %v", text, err)
	}
	return packet
}

// send sends a datagram from a host to a group, with nothing but the routes to
// say where it leaves.
func send(t *testing.T, host *netnstest.Host, network, to, text string) {
	t.Helper()
	host.Do(func() error {
		conn, err := net.Dial(network, to)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte(text))
		return err
	})
}

// receive takes one datagram from a socket.
func receive(t *testing.T, conn *net.UDPConn) string {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 2048)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// peerConfig is a device in a host, as a router's configuration has it.
func peerConfig(host *netnstest.Host, kind tun.Kind) tun.Config {
	return tun.Config{
		Kind:          kind,
		Netns:         host.Netns(),
		Addresses:     prefixes("10.0.1.1/24", "fd00:1::1/64"),
		PeerAddresses: prefixes("10.0.1.2/24", "fd00:1::2/64"),
		PeerRoutes:    true,
	}
}
