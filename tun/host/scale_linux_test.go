package host_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"umroute/tun/host"
)

// TestManyGroups joins more groups than the kernel lets one socket have.
func TestManyGroups(t *testing.T) {
	l := newLAN(t)
	d := open(t, host.Config{Ports: []uint16{5004}})
	r := read(t, d)
	const groups = 300
	group := func(i int) netip.AddrPort {
		b := [4]byte{239, 5}
		binary.BigEndian.PutUint16(b[2:], uint16(i))
		return netip.AddrPortFrom(netip.AddrFrom4(b), 5004)
	}
	for i := range groups {
		if err := d.SetFilter(group(i).Addr(), true, nil); err != nil {
			t.Fatal(err)
		}
	}
	conn := dial(t, l.Host, netip.AddrPortFrom(lanV4, 0), 9, 0)
	heard := make(map[string]string)
	for i := range groups {
		send(t, conn, group(i), fmt.Sprint(i))
		s := look(t, r.next())
		heard[s.Group] = s.Payload
	}
	for i := range groups {
		if got := heard[group(i).String()]; got != fmt.Sprint(i) {
			t.Fatalf("%s brought %q", group(i), got)
		}
	}
	for i := range groups - 1 {
		if err := d.SetFilter(group(i).Addr(), false, nil); err != nil {
			t.Fatal(err)
		}
	}
	for i := range groups {
		send(t, conn, group(i), fmt.Sprint(i))
	}
	if got := look(t, r.next()).Payload; got != fmt.Sprint(groups-1) {
		t.Errorf("a group that was left brought %q", got)
	}
}

// TestAllocations holds that the packet path takes no memory.
func TestAllocations(t *testing.T) {
	l := newLAN(t)
	d := open(t, host.Config{Ports: []uint16{5004}})
	bufs, sizes := make([][]byte, 16), make([]int, 16)
	for i := range bufs {
		bufs[i] = make([]byte, 1<<16+64)
	}
	for _, group := range groups {
		if err := d.SetFilter(group.Addr(), true, nil); err != nil {
			t.Fatal(err)
		}
		source := netip.AddrPortFrom(address(group.Addr()), 4711)
		conn, payload := dial(t, l.Host, source, 9, 0), make([]byte, 512)
		reading := testing.AllocsPerRun(100, func() {
			if _, err := conn.WriteToUDPAddrPort(payload, group); err != nil {
				t.Fatal(err)
			}
			if n, err := d.Read(bufs, sizes); n != 1 || err != nil {
				t.Fatalf("Read: %d, %v", n, err)
			}
		})
		out := netip.AddrPortFrom(group.Addr().Next(), 6000)
		packet := pack(netip.AddrPortFrom(inner(group.Addr()), 4711), out, 9, 0, 0, "hello")
		packets := [][]byte{packet, packet, packet, packet}
		writing := testing.AllocsPerRun(100, func() { write(t, d, packets...) })
		if reading >= 1 || writing >= 1 {
			t.Errorf("%s: %v allocations for a Read, %v for a Write", group, reading, writing)
		}
	}
}
