package host_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"umroute/tun"
	"umroute/tun/host"
)

// seen is a packet in short.
type seen struct {
	Source, Group string
	TTL, TOS      int
	Segment       int
	Payload       string
}

// look reads a packet with a virtio-net header, and checks what cannot be seen.
func look(t testing.TB, frame []byte) seen {
	t.Helper()
	ip := frame[tun.VirtioHeaderLen:]
	var s seen
	var source, group netip.Addr
	header, pseudo := 20, []byte(nil)
	if ip[0]>>4 == 4 {
		source, group = netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20]))
		s.TTL, s.TOS = int(ip[8]), int(ip[1])
		pseudo = ip[12:20]
		if got := checksum(ip[:20]); got != 0xffff {
			t.Errorf("sum of the IPv4 header %#x", got)
		}
		if got := int(binary.BigEndian.Uint16(ip[2:])); got != len(ip) {
			t.Errorf("total length %d of %d", got, len(ip))
		}
	} else {
		source, group = netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40]))
		s.TTL, s.TOS = int(ip[7]), int(binary.BigEndian.Uint16(ip)>>4)&0xff
		header, pseudo = 40, ip[8:40]
		if got := int(binary.BigEndian.Uint16(ip[4:])); got != len(ip)-40 {
			t.Errorf("payload length %d of %d", got, len(ip)-40)
		}
	}
	udp := ip[header:]
	if got := int(binary.BigEndian.Uint16(udp[4:])); got != len(udp) {
		t.Errorf("UDP length %d of %d", got, len(udp))
	}
	tail := binary.BigEndian.AppendUint16([]byte{0, 17}, uint16(len(udp)))
	if got, want := binary.BigEndian.Uint16(udp[6:]), checksum(append(bytes.Clone(pseudo),
		tail...)); got != want || frame[0] != 1 {
		t.Errorf("UDP checksum %#x with flags %d, want an unfinished %#x", got, frame[0], want)
	}
	if frame[1] != 0 {
		s.Segment = int(binary.NativeEndian.Uint16(frame[4:]))
	}
	s.Source = netip.AddrPortFrom(source, binary.BigEndian.Uint16(udp)).String()
	s.Group = netip.AddrPortFrom(group, binary.BigEndian.Uint16(udp[2:])).String()
	s.Payload = string(udp[8:])
	return s
}

// checksum is the sum of RFC 1071, in the plainest way.
func checksum(b []byte) uint16 {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

func TestReceivesAsItWasSent(t *testing.T) {
	l := newLAN(t)
	d := open(t, host.Config{Ports: []uint16{5004}})
	r := read(t, d)
	for _, group := range groups {
		t.Run(network(group.Addr()), func(t *testing.T) {
			if err := d.SetFilter(group.Addr(), true, nil); err != nil {
				t.Fatal(err)
			}
			source := netip.AddrPortFrom(address(group.Addr()), 4711)
			conn := dial(t, l.Host, source, 9, 0x48)
			for _, text := range []string{"hello", "", "odd"} {
				send(t, conn, group, text)
				want := seen{Source: source.String(), Group: group.String(), TTL: 9, TOS: 0x48,
					Payload: text}
				if diff := cmp.Diff(want, look(t, r.next())); diff != "" {
					t.Error("-want +got\n", diff)
				}
			}
		})
	}
}

// until gives the payloads of all that has been sent before it is called. What mark
// sends arrives by another socket, which may be read first; but when a second one
// has come, all sockets have been read.
func (r *reader) until(mark func()) (payloads []string) {
	r.t.Helper()
	for range 2 {
		mark()
		for {
			p := look(r.t, r.next()).Payload
			if p == "mark" {
				break
			}
			payloads = append(payloads, p)
		}
	}
	return payloads
}

// TestFilterIsHonoured changes the filter of a group, and sends from two sources
// each time. A group that is received all the time tells when all has come.
func TestFilterIsHonoured(t *testing.T) {
	l := newLAN(t)
	l.addAddress(lanV4.Next())
	l.addAddress(lanV6.Next())
	d := open(t, host.Config{Ports: []uint16{5004}})
	r := read(t, d)
	for _, group := range groups {
		first := address(group.Addr())
		second := first.Next()
		mark := netip.AddrPortFrom(group.Addr().Next(), group.Port())
		if err := d.SetFilter(mark.Addr(), true, nil); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			exclude bool
			sources []netip.Addr
			want    []string
		}{
			{false, []netip.Addr{first}, []string{"from first"}},
			{false, []netip.Addr{first, second}, []string{"from first", "from second"}},
			{false, []netip.Addr{second}, []string{"from second"}},
			{true, []netip.Addr{second}, []string{"from first"}},
			{true, nil, []string{"from first", "from second"}},
			{false, nil, nil},
			{true, []netip.Addr{first}, []string{"from second"}},
			{false, []netip.Addr{first}, []string{"from first"}},
		} {
			name := fmt.Sprintf("%s exclude=%v %v", network(group.Addr()), test.exclude,
				test.sources)
			t.Run(name, func(t *testing.T) {
				if err := d.SetFilter(group.Addr(), test.exclude, test.sources); err != nil {
					t.Fatal(err)
				}
				conn := dial(t, l.Host, netip.AddrPortFrom(first, 0), 1, 0)
				send(t, conn, group, "from first")
				send(t, dial(t, l.Host, netip.AddrPortFrom(second, 0), 1, 0), group, "from second")
				got := r.until(func() { send(t, conn, mark, "mark") })
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Error("-want +got\n", diff)
				}
			})
		}
	}
}

// TestMembersTogether has two want something of one group.
func TestMembersTogether(t *testing.T) {
	l := newLAN(t)
	d := open(t, host.Config{Ports: []uint16{5004}})
	other, r := d.Device.Member(), read(t, d)
	group, sources := groups[0], []netip.Addr{lanV4, lanV4.Next(), lanV4.Next().Next()}
	l.addAddress(sources[1])
	l.addAddress(sources[2])
	mark := netip.AddrPortFrom(group.Addr().Next(), group.Port())
	if err := d.SetFilter(mark.Addr(), true, nil); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		member  *host.Member
		exclude bool
		sources []netip.Addr
		want    string // the numbers of those that are heard
	}{
		{d.Member, false, sources[:1], "0"},
		{other, false, sources[1:2], "01"},
		{d.Member, true, sources[1:], "01"},
		{other, true, sources[:2], "02"},
		{d.Member, false, nil, "2"},
		{other, false, sources[:1], "0"},
		{other, false, nil, ""},
	} {
		if err := test.member.SetFilter(group.Addr(), test.exclude, test.sources); err != nil {
			t.Fatal(err)
		}
		var conn *net.UDPConn
		for i, source := range sources {
			conn = dial(t, l.Host, netip.AddrPortFrom(source, 0), 9, 0)
			send(t, conn, group, fmt.Sprint(i))
		}
		got := r.until(func() { send(t, conn, mark, "mark") })
		if got := strings.Join(got, ""); got != test.want {
			t.Errorf("%+v: heard %q", test, got)
		}
	}
}

// TestManySources includes more sources than the kernel lets one socket have.
func TestManySources(t *testing.T) {
	l := newLAN(t)
	d := open(t, host.Config{Ports: []uint16{5004}})
	r := read(t, d)
	for _, group := range groups {
		var sources []netip.Addr
		for a := address(group.Addr()); len(sources) < 25; a = a.Next() {
			sources = append(sources, a)
			if len(sources) > 1 {
				l.addAddress(a)
			}
		}
		for _, n := range []int{25, 7, 19} {
			if err := d.SetFilter(group.Addr(), false, sources[25-n:]); err != nil {
				t.Fatal(err)
			}
			var want, got []string
			for i, source := range sources {
				to := netip.AddrPortFrom(source, 4711)
				conn := l.ListenUDP(network(source), to.String())
				send(t, conn, group, fmt.Sprint(i))
				conn.Close()
				if i >= 25-n {
					want = append(want, to.String())
				}
			}
			for range want {
				got = append(got, look(t, r.next()).Source)
			}
			slices.Sort(got) // they come by several sockets
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%d sources: -want +got\n%s", n, diff)
			}
		}
	}
}
