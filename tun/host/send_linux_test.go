package host_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"umroute/tun"
	"umroute/tun/host"
)

// Containers, whose addresses the LAN never sees.
var (
	innerV4 = netip.MustParseAddr("10.0.1.2")
	innerV6 = netip.MustParseAddr("fd00:1::2")
)

func inner(group netip.Addr) netip.Addr {
	if group.Is4() {
		return innerV4
	}
	return innerV6
}

// pack is a packet with a virtio-net header as a forwarder writes it: complete,
// or with segments of a length for the kernel to finish.
func pack(source, group netip.AddrPort, ttl, tos, segment int, payload string) []byte {
	udp := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(udp, source.Port())
	binary.BigEndian.PutUint16(udp[2:], group.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(payload)))
	udp = append(udp, payload...)
	var ip []byte
	if group.Addr().Is4() {
		ip = []byte{0x45, byte(tos), 0, 0, 0, 0, 0, 0, byte(ttl), 17, 0, 0}
		binary.BigEndian.PutUint16(ip[2:], uint16(20+len(udp)))
	} else {
		ip = binary.BigEndian.AppendUint32(nil, 6<<28|uint32(tos)<<20)
		ip = binary.BigEndian.AppendUint16(ip, uint16(len(udp)))
		ip = append(ip, 17, byte(ttl))
	}
	addresses := append(source.Addr().AsSlice(), group.Addr().AsSlice()...)
	ip = append(ip, addresses...)
	pseudo := binary.BigEndian.AppendUint16(append(addresses, 0, 17), uint16(len(udp)))
	virtio := make([]byte, tun.VirtioHeaderLen)
	if segment != 0 {
		virtio[0], virtio[1] = 1, 5
		binary.NativeEndian.PutUint16(virtio[4:], uint16(segment))
		binary.BigEndian.PutUint16(udp[6:], checksum(pseudo))
	} else {
		all := append(pseudo, udp...)
		if len(all)%2 == 1 {
			all = append(all, 0)
		}
		binary.BigEndian.PutUint16(udp[6:], ^checksum(all))
	}
	return append(append(virtio, ip...), udp...)
}

func write(t testing.TB, d tun.Device, packets ...[]byte) {
	t.Helper()
	if n, err := d.Write(packets); n != len(packets) || err != nil {
		t.Fatalf("Write: %d of %d, %v", n, len(packets), err)
	}
}

// listen opens a socket on the LAN's host that has joined a group.
func (l *lan) listen(group netip.AddrPort) *net.UDPConn {
	l.t.Helper()
	conn := l.ListenUDP(network(group.Addr()), fmt.Sprintf(":%d", group.Port()))
	l.Join(conn, lanDevice, group.Addr())
	tell(l.t, conn, group.Addr().Is6())
	return conn
}

// own is the address of the router's host of a group's family.
func own(group netip.Addr) netip.Addr {
	if group.Is4() {
		return hostV4
	}
	return hostV6
}

func TestSendsAsItCame(t *testing.T) {
	l := newLAN(t)
	d := open(t, host.Config{})
	for _, group := range groups {
		conn := l.listen(group)
		source := netip.AddrPortFrom(inner(group.Addr()), 4711)
		write(t, d, pack(source, group, 9, 0x48, 0, "hello"), pack(source, group, 9, 0x48, 0, ""),
			pack(source, group, 200, 0, 0, "other TTL"))
		from := netip.AddrPortFrom(own(group.Addr()), 4711)
		for _, want := range []received{
			{"hello", from, 9, 0x48}, {"", from, 9, 0x48}, {"other TTL", from, 200, 0},
		} {
			if diff := cmp.Diff(want, receive(t, conn), cmp.Comparer(equal)); diff != "" {
				t.Error("-want +got\n", diff)
			}
		}
	}
}

func equal(a, b netip.AddrPort) bool { return a == b }

// TestSuperPackets has the kernel cut what is sent, and put together what comes.
func TestSuperPackets(t *testing.T) {
	l := newLAN(t)
	d := open(t, host.Config{Ports: []uint16{5004}})
	r := read(t, d)
	for _, group := range groups {
		conn := l.listen(group)
		source := netip.AddrPortFrom(inner(group.Addr()), 4711)
		payload := strings.Repeat("0123456789", 350) + "end"
		write(t, d, pack(source, group, 9, 0, 1000, payload))
		for at := 0; at < len(payload); at += 1000 {
			want := payload[at:min(at+1000, len(payload))]
			if got := receive(t, conn); got.Text != want || got.TTL != 9 {
				t.Errorf("at %d: %q with TTL %d", at, got.Text, got.TTL)
			}
		}

		if err := d.SetFilter(group.Addr(), true, nil); err != nil {
			t.Fatal(err)
		}
		from := netip.AddrPortFrom(address(group.Addr()), 4711)
		sender := dial(t, l.Host, from, 9, 0)
		set(t, sender, func(fd int) error {
			return unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, 1000)
		})
		send(t, sender, group, payload)
		want := seen{Source: from.String(), Group: group.String(), TTL: 9, Segment: 1000,
			Payload: payload}
		if diff := cmp.Diff(want, look(t, r.next())); diff != "" {
			t.Error("-want +got\n", diff)
		}
	}
}

// TestLongDatagrams receives datagrams that are longer than the MTU.
func TestLongDatagrams(t *testing.T) {
	l := newLAN(t)
	d := open(t, host.Config{Ports: []uint16{5004}})
	r := read(t, d)
	for _, group := range groups {
		if err := d.SetFilter(group.Addr(), true, nil); err != nil {
			t.Fatal(err)
		}
		from := netip.AddrPortFrom(address(group.Addr()), 4711)
		payload := strings.Repeat("0123456789", 800)
		send(t, dial(t, l.Host, from, 9, 0), group, payload)
		if got := look(t, r.next()); got.Payload != payload || got.Segment != 0 {
			t.Errorf("%d bytes in segments of %d", len(got.Payload), got.Segment)
		}
	}
}

// TestSendsFragments sends a datagram that came in fragments.
func TestSendsFragments(t *testing.T) {
	l := newLAN(t)
	d := open(t, host.Config{})
	for _, group := range groups {
		conn := l.listen(group)
		payload := strings.Repeat("0123456789", 800)
		source := netip.AddrPortFrom(inner(group.Addr()), 4711)
		write(t, d, fragment(pack(source, group, 9, 0x48, 0, payload), 1400)...)
		want := received{payload, netip.AddrPortFrom(own(group.Addr()), 4711), 9, 0x48}
		if diff := cmp.Diff(want, receive(t, conn), cmp.Comparer(equal)); diff != "" {
			t.Error("-want +got\n", diff)
		}
	}
}

// fragment cuts a packet with a virtio-net header as a sending host does.
func fragment(packet []byte, size int) (fragments [][]byte) {
	virtio, ip := packet[:tun.VirtioHeaderLen], packet[tun.VirtioHeaderLen:]
	header := 20
	if ip[0]>>4 == 6 {
		header = 40
	}
	data := ip[header:]
	for at := 0; at < len(data); at += size {
		part := data[at:min(at+size, len(data))]
		more := uint16(0)
		if at+size < len(data) {
			more = 1
		}
		f := append(append([]byte(nil), virtio...), ip[:header]...)
		head := f[tun.VirtioHeaderLen:]
		if header == 20 {
			binary.BigEndian.PutUint16(head[2:], uint16(20+len(part)))
			binary.BigEndian.PutUint16(head[6:], more<<13|uint16(at/8))
		} else {
			binary.BigEndian.PutUint16(head[4:], uint16(8+len(part)))
			head[6] = 44
			f = append(f, 17, 0)
			f = binary.BigEndian.AppendUint16(f, uint16(at)|more)
			f = append(f, 0, 0, 0, 7)
		}
		fragments = append(fragments, append(f, part...))
	}
	return fragments
}

func TestRefusesWhatSocketsCannotSend(t *testing.T) {
	newLAN(t)
	d := open(t, host.Config{})
	source := netip.AddrPortFrom(innerV4, 4711)
	good := pack(source, groups[0], 9, 0, 0, "hello")
	change := func(at int, value byte) []byte {
		b := append([]byte(nil), good...)
		b[tun.VirtioHeaderLen+at] = value
		return b
	}
	for _, test := range []struct {
		packet []byte
		why    string
	}{
		{change(9, 2), "not_udp"},
		{change(16, 10), "not_udp"},
		{change(6, 0x20), "fragment"}, // of 13 octets, and not the last
		{change(30, 'x'), "bad_checksum"},
		{change(25, 9), "bad_header"},
		{change(0, 0x4f), "bad_header"},
		{change(0, 0x55), "bad_header"},
		{good[:20], "bad_header"},
		{nil, "bad_header"},
	} {
		before := d.Drops()[test.why]
		if n, err := d.Write([][]byte{test.packet}); n != 0 || err == nil {
			t.Errorf("%s: Write gave %d, %v", test.why, n, err)
		}
		if got := d.Drops()[test.why] - before; got != 1 {
			t.Errorf("%s was counted %d times: %v", test.why, got, d.Drops())
		}
	}
}
