package stack

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestARP resolves both ways (RFC 826), with two hosts on the link.
func TestARP(t *testing.T) {
	r := newRouter(t, Config{})
	l := newLAN(t, r.Stack)
	hosts := map[byte]string{2: "10.0.3.2", 3: "10.0.3.3"}

	for host, ip := range hosts { // a host asks for the router
		l.Deliver(lanIndex, ethernet(broadcastMAC, mac(host), 0x0806,
			arpPacket(1, mac(host), ip, make([]byte, 6), "10.0.3.1")))
		want := ethernet(mac(host), mac(1), 0x0806, arpPacket(2, mac(1), "10.0.3.1", mac(host), ip))
		if diff := cmp.Diff(want, l.device.one(t)); diff != "" {
			t.Errorf("answer to %s (-want +got):\n%s", ip, diff)
		}
	}
	l.Deliver(lanIndex, ethernet(broadcastMAC, mac(2), 0x0806,
		arpPacket(1, mac(2), "10.0.3.2", make([]byte, 6), "10.0.3.9")))
	l.device.none(t)

	for host, ip := range hosts { // and is known from then on
		packet := udp4("10.0.1.2", ip, 64, []byte{host})
		r.Deliver(redIndex, packet)
		want := ethernet(mac(host), mac(1), 0x0800, hop(packet))
		if diff := cmp.Diff(want, l.device.one(t)); diff != "" {
			t.Errorf("frame to %s (-want +got):\n%s", ip, diff)
		}
	}
}

// TestResolve has packets wait for their next hop's MAC address.
func TestResolve(t *testing.T) {
	for _, tt := range []struct {
		name, host    string
		packet        func(to string) []byte
		etherType     uint16
		ask, announce []byte
	}{
		{
			name: "IPv4", host: "10.0.3.2", etherType: 0x0800,
			packet: func(to string) []byte { return udp4("10.0.1.2", to, 64, []byte("x")) },
			ask: ethernet(broadcastMAC, mac(1), 0x0806,
				arpPacket(1, mac(1), "10.0.3.1", make([]byte, 6), "10.0.3.2")),
			announce: ethernet(mac(1), mac(2), 0x0806,
				arpPacket(2, mac(2), "10.0.3.2", mac(1), "10.0.3.1")),
		},
		{
			name: "IPv6", host: "fd00:3::2", etherType: 0x86dd,
			packet: func(to string) []byte { return udp6("fd00:1::2", to, 64, []byte("x")) },
			ask: ethernet([]byte{0x33, 0x33, 0xff, 0, 0, 2}, mac(1), 0x86dd,
				solicit(1, "fe80::1", "ff02::1:ff00:2", "fd00:3::2")),
			announce: ethernet(mac(1), mac(2), 0x86dd,
				advertise(2, 0x60, "fd00:3::2", "fe80::1", "fd00:3::2")),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRouter(t, Config{})
				l := newLAN(t, r.Stack)
				packet := tt.packet(tt.host)
				r.Deliver(redIndex, packet)
				r.Deliver(redIndex, packet)
				synctest.Wait()
				if diff := cmp.Diff(tt.ask, l.device.one(t)); diff != "" {
					t.Fatalf("question (-want +got):\n%s", diff)
				}
				l.Deliver(lanIndex, tt.announce)
				synctest.Wait()
				frame := ethernet(mac(2), mac(1), tt.etherType, hop(packet))
				if diff := cmp.Diff([][]byte{frame, frame}, l.device.take()); diff != "" {
					t.Errorf("after the answer (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestUnresolved tells a sender that nobody answers for an address.
func TestUnresolved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t, Config{})
		l := newLAN(t, r.Stack)
		packets := map[byte][]byte{
			4: udp4("10.0.1.2", "10.0.3.9", 64, nil),
			6: udp6("fd00:1::2", "fd00:3::9", 64, nil),
		}
		for _, p := range packets {
			r.Deliver(redIndex, p)
		}
		time.Sleep(5 * time.Second) // of the bubble: three questions, a second apart
		if got := len(l.device.take()); got != 6 {
			t.Errorf("%d questions, want 3 of each family", got)
		}
		for _, got := range r.red.take() {
			at, kind := 20, byte(3)
			if got[0]>>4 == 6 {
				at, kind = 40, 1
			}
			if got[at] != kind || !sound(got) {
				t.Errorf("error: %x", got)
			}
			delete(packets, got[0]>>4)
		}
		if len(packets) != 0 {
			t.Errorf("no error for %x", packets)
		}
	})
}

// TestUnresolvedBound holds that what waits for a MAC address has a bound.
func TestUnresolvedBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t, Config{})
		newLAN(t, r.Stack)
		const n = unresolvedRate + 500
		for range n {
			r.Deliver(redIndex, udp4("10.0.1.2", "10.0.3.9", 64, nil))
		}
		wantDrop(t, r.Stack, redIndex, "unresolved", n-unresolvedRate)
	})
}

// TestStaleNeighbor asks again for an address that has not been heard of lately.
func TestStaleNeighbor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t, Config{})
		l := newLAN(t, r.Stack)
		l.Deliver(lanIndex, ethernet(broadcastMAC, mac(2), 0x0806,
			arpPacket(1, mac(2), "10.0.3.2", make([]byte, 6), "10.0.3.1")))
		l.device.one(t)
		packet := udp4("10.0.1.2", "10.0.3.2", 64, nil)
		r.Deliver(redIndex, packet)
		l.device.one(t)
		time.Sleep(6 * time.Second) // DELAY_FIRST_PROBE_TIME (RFC 4861 §10) and a bit
		want := ethernet(mac(2), mac(1), 0x0806,
			arpPacket(1, mac(1), "10.0.3.1", make([]byte, 6), "10.0.3.2"))
		if diff := cmp.Diff(want, l.device.take()[0]); diff != "" {
			t.Errorf("question (-want +got):\n%s", diff)
		}
		// The host has another MAC address by now.
		l.Deliver(lanIndex, ethernet(mac(1), mac(7), 0x0806,
			arpPacket(2, mac(7), "10.0.3.2", mac(1), "10.0.3.1")))
		r.Deliver(redIndex, packet)
		r.Deliver(redIndex, packet)
		time.Sleep(10 * time.Second)
		l.device.take()
		l.Deliver(lanIndex, ethernet(broadcastMAC, mac(7), 0x0806,
			arpPacket(1, mac(7), "10.0.3.2", make([]byte, 6), "10.0.3.1")))
		l.device.one(t)
		r.Deliver(redIndex, packet)
		if diff := cmp.Diff(ethernet(mac(7), mac(1), 0x0800, hop(packet)),
			l.device.one(t)); diff != "" {
			t.Errorf("to the new address (-want +got):\n%s", diff)
		}
	})
}

// TestEthernetGateway sends to a gateway's MAC address, with and without options.
func TestEthernetGateway(t *testing.T) {
	r := newRouter(t, Config{})
	l := newLAN(t, r.Stack)
	r.SetRoutes([]Route{route("172.16.0.0/12", "10.0.3.2", 0), route("::/0", "fe80::2", lanIndex)})
	l.Deliver(lanIndex, ethernet(broadcastMAC, mac(2), 0x0806,
		arpPacket(1, mac(2), "10.0.3.2", make([]byte, 6), "10.0.3.1")))
	l.frame(2, solicit(2, "fe80::2", "fe80::1", "fe80::1"))
	l.device.take()
	for _, p := range [][]byte{
		udp4("10.0.1.2", "172.16.1.1", 64, []byte("x")),
		v4{from: "10.0.1.2", to: "172.16.1.1", proto: 46, options: []byte{148, 4, 0, 0}}.bytes(),
		udp6("fd00:1::2", "fd00:9::1", 64, []byte("x")),
		v6{from: "fd00:1::2", to: "fd00:9::1", next: 0,
			extensions: []byte{59, 0, 1, 4, 0, 0, 0, 0}}.bytes(),
	} {
		r.Deliver(redIndex, p)
		etherType := uint16(0x0800)
		if p[0]>>4 == 6 {
			etherType = 0x86dd
		}
		want := ethernet(mac(2), mac(1), etherType, hop(p))
		if diff := cmp.Diff(want, l.device.one(t)); diff != "" {
			t.Errorf("to the gateway (-want +got):\n%s", diff)
		}
	}
}

// solicit is a neighbor solicitation (RFC 4861 §4.3) from a host.
func solicit(host byte, from, to, target string) []byte {
	body := append(make([]byte, 4), addr(target).AsSlice()...)
	body = append(append(body, 1, 1), mac(host)...)
	return v6{from: from, to: to, next: 58, hops: 255,
		payload: icmp6(from, to, 135, 0, body...)}.bytes()
}

// advertise is a neighbor advertisement (RFC 4861 §4.4).
func advertise(host byte, flags byte, from, to, target string) []byte {
	body := append([]byte{flags, 0, 0, 0}, addr(target).AsSlice()...)
	body = append(append(body, 2, 1), mac(host)...)
	return v6{from: from, to: to, next: 58, hops: 255,
		payload: icmp6(from, to, 136, 0, body...)}.bytes()
}

// solicited is the frame address and group of RFC 4861 §7.2.1 for fd00:3::1.
var solicited = []byte{0x33, 0x33, 0xff, 0, 0, 1}

func TestNeighborDiscovery(t *testing.T) {
	r := newRouter(t, Config{})
	l := newLAN(t, r.Stack)
	hosts := map[byte]string{2: "fd00:3::2", 3: "fd00:3::3"}

	for host, ip := range hosts {
		l.Deliver(lanIndex, ethernet(solicited, mac(host), 0x86dd,
			solicit(host, ip, "ff02::1:ff00:1", "fd00:3::1")))
		// Router, solicited, override (RFC 4861 §7.2.4).
		want := ethernet(mac(host), mac(1), 0x86dd,
			advertise(1, 0xe0, "fd00:3::1", ip, "fd00:3::1"))
		if diff := cmp.Diff(want, l.device.one(t)); diff != "" {
			t.Errorf("answer to %s (-want +got):\n%s", ip, diff)
		}
	}
	for host, ip := range hosts {
		packet := udp6("fd00:1::2", ip, 64, []byte{host})
		r.Deliver(redIndex, packet)
		want := ethernet(mac(host), mac(1), 0x86dd, hop(packet))
		if diff := cmp.Diff(want, l.device.one(t)); diff != "" {
			t.Errorf("frame to %s (-want +got):\n%s", ip, diff)
		}
	}
}
