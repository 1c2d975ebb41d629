package routing

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"umroute/tun"
)

// edgeRouter has interface 1 as input, and 2 and 3 as outputs of the flows of
// both families, with a jumbo MTU.
func edgeRouter(t *testing.T, offload tun.Offload, config Config) *router {
	r := newRouter(t, config)
	for index := range uint32(3) {
		l := newLink(tun.KindTUN, maxMTU)
		l.offload = offload
		r.addLink(InterfaceConfig{Index: index + 1, MTU: maxMTU}, l)
	}
	r.set(mfe(flow4, 1, 2, 3))
	r.set(mfe(flow6, 1, 2, 3))
	return r
}

var flow6 = flowOf("fd00::2", "ff0e::1")

// anyProtocol is a packet of a test flow with n bytes of payload.
func anyProtocol(v6 bool, protocol byte, ttl byte, n int) []byte {
	payload := bytes.Repeat([]byte{protocol, 0x45, 0x60}, n/3+1)[:n]
	if v6 {
		return ipv6{source: "fd00::2", group: "ff0e::1", hops: ttl, next: protocol,
			payload: payload}.bytes()
	}
	return ipv4{source: "10.0.1.2", group: "239.1.1.1", ttl: ttl, protocol: protocol,
		payload: payload}.bytes()
}

// TestAnyProtocol forwards multicast data that is no UDP: nothing but the TTL,
// and with it the header checksum, may change.
func TestAnyProtocol(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, offload := range []tun.Offload{tun.OffloadNone, tun.OffloadSegmentation} {
			r := edgeRouter(t, offload, Config{})
			head := make([]byte, r.links[1].header())
			var sent, want [][]byte
			// ICMP, IP in IP, TCP, IPv6 in IP, GRE, ESP, SCTP, UDP-Lite, not assigned
			for _, protocol := range []byte{1, 4, 6, 41, 47, 50, 132, 136, 253} {
				for _, n := range []int{1, 40, 1200} {
					sent = append(sent, append(head[:len(head):len(head)],
						anyProtocol(v6, protocol, 9, n)...))
					want = append(want, append(head[:len(head):len(head)],
						anyProtocol(v6, protocol, 8, n)...))
				}
			}
			r.deliver(1, sent...)
			for index := range uint32(2) {
				if diff := cmp.Diff(want, r.links[index+2].take()); diff != "" {
					t.Errorf("IPv6 %v, offload %v, output %d (-want +got):\n%s", v6, offload, index+2, diff)
				}
			}
		}
	}
}

// TestJumbo forwards the largest packets there are, whole where the MTU allows
// it and in fragments, or not at all, where not.
func TestJumbo(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprint("IPv6 ", v6), func(t *testing.T) {
			var tooBig []int
			r := edgeRouter(t, tun.OffloadNone, Config{
				TooBig: func(_ uint32, _ []byte, mtu int) { tooBig = append(tooBig, mtu) },
			})
			if err := r.UpdateInterface(InterfaceConfig{Index: 3, MTU: maxMTU - 1}); err != nil {
				t.Fatal(err)
			}
			header := ipv4HeaderLen
			if v6 {
				header = ipv6HeaderLen
			}
			r.deliver(1, anyProtocol(v6, 17, 9, maxMTU-header),
				anyProtocol(v6, 17, 9, maxMTU-1-header))
			whole, fits := anyProtocol(v6, 17, 8, maxMTU-header), anyProtocol(v6, 17, 8, maxMTU-1-header)
			if !slicesEqual(r.links[2].take(), whole, fits) {
				t.Error("not both packets left whole")
			}
			got := r.links[3].take()
			if v6 {
				if !slicesEqual(got, fits) || !cmp.Equal(tooBig, []int{maxMTU - 1}) {
					t.Errorf("%d packets left, told of MTUs %v", len(got), tooBig)
				}
				return
			}
			if len(got) != 3 || !bytes.Equal(got[2], fits) {
				t.Fatalf("%d packets left", len(got))
			}
			if payload, more := reassemble(t, got[:2]); more || !bytes.Equal(payload, whole[20:]) {
				t.Error("the fragments do not make the packet")
			}
		})
	}
}

func slicesEqual(got [][]byte, want ...[]byte) bool {
	for i := range got {
		if i >= len(want) || !bytes.Equal(got[i], want[i]) {
			return false
		}
	}
	return len(got) == len(want)
}

// TestJumboSuperPacket forwards the longest super-packets to links that take
// them and to one that gets each datagram by itself.
func TestJumboSuperPacket(t *testing.T) {
	for _, f := range []struct{ source, group string }{
		{"10.0.1.2", "239.1.1.1"}, {"fd00::2", "ff0e::1"},
	} {
		r := edgeRouter(t, tun.OffloadSegmentation, Config{})
		err := r.UpdateInterface(InterfaceConfig{Index: 3, MTU: maxMTU, Separate: true})
		if err != nil {
			t.Fatal(err)
		}
		u := udp{source: f.source, group: f.group, ttl: 9, checksum: "unfinished",
			payload: bytes.Repeat([]byte("0123456"), 9355), segment: 1400}
		r.deliver(1, append(u.virtioHeader(0), u.bytes()...))
		u.ttl = 8
		want := u.datagrams()
		for index, writes := range map[uint32]int{2: 1, 3: len(want)} {
			l := r.links[index]
			sent := l.take()
			if len(sent) != writes || !slicesEqual(l.single(t, sent), want...) {
				t.Errorf("%s: output %d got %d frames", f.group, index, len(sent))
			}
		}
	}
}

// TestMember has the router itself be a member of a group: it gets what arrives,
// datagram by datagram and complete, and all others get it as well.
func TestMember(t *testing.T) {
	for _, f := range []struct{ source, group, other string }{
		{"10.0.1.2", "239.1.1.1", "239.1.1.2"}, {"fd00::2", "ff0e::1", "ff0e::2"},
	} {
		var punted [][]byte
		r := edgeRouter(t, tun.OffloadSegmentation, Config{
			Punt: func(_ uint32, b []byte) { punted = append(punted, bytes.Clone(b)) },
		})
		config := InterfaceConfig{Index: 1, MTU: maxMTU,
			Members: prefixes(f.group + map[bool]string{true: "/32", false: "/128"}[f.group[0] == '2'])}
		if err := r.UpdateInterface(config); err != nil {
			t.Fatal(err)
		}
		r.set(mfe(flowOf(f.source, f.other), 1, 2))
		var want, forwarded [][]byte
		send := func(u udp) {
			r.deliver(1, append(u.virtioHeader(0), u.bytes()...))
			want = append(want, u.datagrams()...)
			u.ttl--
			forwarded = append(forwarded, u.datagrams()...)
		}
		u := udp{source: f.source, group: f.group, ttl: 9, checksum: "unfinished",
			payload: bytes.Repeat([]byte("x"), 1000), segment: 300}
		send(u)
		u.segment = 0
		send(u)
		u.checksum = "right"
		send(u)
		if !slicesEqual(punted, want...) {
			t.Errorf("%s: the router got %d packets, not the %d sent", f.group, len(punted), len(want))
		}
		punted = nil
		for _, index := range []uint32{2, 3} {
			l := r.links[index]
			if !slicesEqual(l.single(t, l.take()), forwarded...) {
				t.Errorf("%s: output %d got something else", f.group, index)
			}
		}
		u.group = f.other
		send(u)
		if len(punted) > 0 {
			t.Errorf("%s: the router, no member, got %d packets", f.other, len(punted))
		}
	}
	config := InterfaceConfig{Index: 1, Device: newLink(tun.KindTUN, 1500),
		Members: prefixes("10.0.0.1/32")}
	if _, err := New(Config{}).AddInterface(config); err == nil {
		t.Error("membership of a host is taken")
	}
}
