package multicast

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"umroute/tun"
)

var (
	source = netip.MustParseAddr("10.0.1.2")
	group  = netip.MustParseAddr("239.1.1.1")
)

// packet is a UDP packet of the flow, or to another destination.
func packet(to netip.Addr, ttl byte) []byte {
	b := make([]byte, 20+8+32)
	b[0], b[8], b[9] = 0x45, ttl, 17
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], source.AsSlice())
	copy(b[16:], to.AsSlice())
	header.IPv4(b).SetChecksum(^header.IPv4(b).CalculateChecksum())
	binary.BigEndian.PutUint16(b[24:], 40)
	return b
}

// TestRouter sends packets through three pipes.
func TestRouter(t *testing.T) {
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var hosts []tun.Device
	for i := range 3 {
		router, host := tun.Pipe(tun.PipeConfig{Kind: tun.KindTUN})
		hosts = append(hosts, host)
		defer router.Close()
		address := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i + 1), 1}), 24)
		if err := r.Add(uint32(i+1), router, []netip.Prefix{address}); err != nil {
			t.Fatal(err)
		}
		go r.Run(uint32(i + 1))
	}
	if err := r.Route(source, group, 1, []uint32{2, 3}); err != nil {
		t.Fatal(err)
	}
	unicast := netip.MustParseAddr("10.0.3.2")
	hosts[0].Write([][]byte{packet(group, 1), packet(group, 8), packet(unicast, 9)})
	for i, want := range [][]netip.Addr{{group}, {group, unicast}} {
		for n, to := range want {
			b, sizes := [][]byte{make([]byte, 2048)}, make([]int, 1)
			if _, err := hosts[i+1].Read(b, sizes); err != nil {
				t.Fatal(err)
			}
			got := header.IPv4(b[0][:sizes[0]])
			if netip.AddrFrom4([4]byte(b[0][16:20])) != to || got.TTL() != byte(7+n) ||
				!got.IsChecksumValid() {
				t.Errorf("output %d, packet %d: % x", i, n, b[0][:20])
			}
		}
	}
	for deadline := time.Now().Add(10 * time.Second); r.Dropped()["ttl"] != 2; {
		if time.Now().After(deadline) {
			t.Fatalf("dropped %v", r.Dropped())
		}
	}
	if err := r.Run(9); err == nil {
		t.Error("ran an interface that is not there")
	}
}
