package stack

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"umroute/tun"
)

const lanIndex = 3

// lan is a TAP link (10.0.3.0/24, fd00:3::/64) with the hosts .2, MAC ...:02, and
// .3, MAC ...:03; the router is .1, MAC ...:01.
type lan struct {
	*Stack
	device *device
}

func newLAN(t testing.TB, s *Stack) lan {
	t.Helper()
	d := &device{kind: tun.KindTAP}
	add(t, s, InterfaceConfig{Index: lanIndex, Name: "lan", Device: d, HardwareAddr: mac(1),
		Addresses: prefixes("10.0.3.1/24", "fd00:3::1/64", "fe80::1/64")})
	return lan{s, d}
}

// frame delivers an IP packet from a host to the router's MAC.
func (l lan) frame(host byte, packet []byte) {
	etherType := uint16(0x0800)
	if packet[0]>>4 == 6 {
		etherType = 0x86dd
	}
	l.Deliver(lanIndex, ethernet(mac(1), mac(host), etherType, packet))
}

var broadcastMAC = []byte{255, 255, 255, 255, 255, 255}

// TestSendToHost sends to one host of an Ethernet, with and without an answer.
func TestSendToHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t, Config{})
		l := newLAN(t, r.Stack)
		packet := v4{from: "10.0.3.1", to: "10.0.3.2", proto: 103, payload: []byte("abc")}.bytes()
		if err := r.Send(lanIndex, packet); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l.device.one(t) // the question
		l.Deliver(lanIndex, ethernet(mac(1), mac(2), 0x0806,
			arpPacket(2, mac(2), "10.0.3.2", mac(1), "10.0.3.1")))
		synctest.Wait()
		want := ethernet(mac(2), mac(1), 0x0800, packet)
		if diff := cmp.Diff(want, l.device.one(t)); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		nobody := v4{from: "10.0.3.1", to: "10.0.3.9", proto: 103}.bytes()
		if err := r.Send(lanIndex, nobody); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		wantDrop(t, r.Stack, lanIndex, "unresolved", 1)
	})
}

func TestFrames(t *testing.T) {
	packet := udp4("10.0.3.2", "10.0.1.2", 64, nil)
	group := []byte{0x01, 0, 0x5e, 1, 1, 1}
	for _, tt := range []struct {
		name   string
		frame  []byte
		reason string // "" where the packet is forwarded
	}{
		{"to us", ethernet(mac(1), mac(2), 0x0800, packet), ""},
		{"with padding", append(ethernet(mac(1), mac(2), 0x0800, packet), make([]byte, 18)...), ""},
		{"to another host", ethernet(mac(3), mac(2), 0x0800, packet), "other-host"},
		{"from our own MAC", ethernet(mac(1), mac(1), 0x0800, packet), "source-mac"},
		{"from a group", ethernet(mac(1), group, 0x0800, packet), "source-mac"},
		{"unicast in a broadcast", ethernet(broadcastMAC, mac(2), 0x0800, packet), "group-frame"},
		{"unicast to a group's MAC", ethernet(group, mac(2), 0x0800, packet), "group-frame"},
		{"VLAN", ethernet(mac(1), mac(2), 0x8100, packet), "ethertype"},
		{"IPv6 in a frame of IPv4", ethernet(mac(1), mac(2), 0x0800,
			udp6("fd00:3::2", "fd00:1::2", 64, nil)), "version"},
		{"IPv4 in a frame of IPv6", ethernet(mac(1), mac(2), 0x86dd,
			v4{from: "10.0.3.2", to: "10.0.1.2", payload: make([]byte, 40)}.bytes()), "version"},
		{"13 bytes", make([]byte, 13), "short"},
		{"header alone", ethernet(mac(1), mac(2), 0x0800, nil), "short"},
		{"half an ARP", ethernet(broadcastMAC, mac(2), 0x0806, make([]byte, 27)), "short"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRouter(t, Config{})
			l := newLAN(t, r.Stack)
			l.Deliver(lanIndex, tt.frame)
			if tt.reason == "" {
				if diff := cmp.Diff(hop(packet), r.red.one(t)); diff != "" {
					t.Errorf("forwarded (-want +got):\n%s", diff)
				}
				return
			}
			r.red.none(t)
			l.device.none(t)
			wantDrop(t, r.Stack, lanIndex, tt.reason, 1)
		})
	}
}

// TestGroupFrames shows that all groups reach the taps on Ethernet.
func TestGroupFrames(t *testing.T) {
	config, got := recorder()
	r := newRouter(t, config)
	l := newLAN(t, r.Stack)
	report := v4{from: "10.0.3.2", to: "239.129.1.1", proto: 2, ttl: 1,
		payload: icmp4(0x16, 0, 239, 129, 1, 1)}.bytes()
	l.Deliver(lanIndex, ethernet([]byte{0x01, 0, 0x5e, 1, 1, 1}, mac(2), 0x0800, report))
	done := mld("fe80::2", "ff02::2", 132)
	l.Deliver(lanIndex, ethernet([]byte{0x33, 0x33, 0, 0, 0, 2}, mac(2), 0x86dd, done))
	want := []tapped{{"IGMP", lanIndex, report}, {"MLD", lanIndex, done}}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("tapped (-want +got):\n%s", diff)
	}
}

func TestSend(t *testing.T) {
	r := newRouter(t, Config{})
	l := newLAN(t, r.Stack)
	query4 := v4{from: "1.2.3.4", to: "224.0.0.1", proto: 2, ttl: 1, id: 0,
		options: []byte{148, 4, 0, 0}, payload: icmp4(0x11, 100, 0, 0, 0, 0)}.bytes()
	query6 := mld("fe80::1", "ff3e:40:2001:db8::1234:5678", 130)
	for _, tt := range []struct {
		name   string
		packet []byte
		mac    []byte
	}{
		{"IPv4 group", query4, []byte{0x01, 0, 0x5e, 0, 0, 1}},
		{"23 bits of an IPv4 group", v4{from: "10.0.3.1", to: "239.255.2.3", proto: 2}.bytes(),
			[]byte{0x01, 0, 0x5e, 0x7f, 2, 3}},
		{"IPv6 group", query6, []byte{0x33, 0x33, 0x12, 0x34, 0x56, 0x78}},
		{"broadcast", udp4("10.0.3.1", "255.255.255.255", 1, nil), broadcastMAC},
	} {
		t.Run(tt.name, func(t *testing.T) {
			etherType := uint16(0x0800)
			if tt.packet[0]>>4 == 6 {
				etherType = 0x86dd
			}
			for index, sent := range map[uint32]struct {
				device *device
				want   []byte
			}{
				redIndex: {r.red, tt.packet},
				lanIndex: {l.device, ethernet(tt.mac, mac(1), etherType, tt.packet)},
			} {
				if err := r.Send(index, tt.packet); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(sent.want, sent.device.one(t)); diff != "" {
					t.Errorf("sent on %d (-want +got):\n%s", index, diff)
				}
			}
		})
	}
}

func TestSendErrors(t *testing.T) {
	r := newRouter(t, Config{})
	whole := udp4("10.0.1.1", "224.0.0.1", 1, []byte("x"))
	for name, err := range map[string]error{
		"unknown interface": r.Send(9, whole),
		"nothing":           r.Send(redIndex, nil),
		"truncated":         r.Send(redIndex, whole[:len(whole)-1]),
		"truncated IPv6":    r.Send(redIndex, udp6("fe80::1", "ff02::1", 1, nil)[:39]),
		"too big":           r.Send(redIndex, udp4("10.0.1.1", "224.0.0.1", 1, make([]byte, 1473))),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	r.SetUp(redIndex, false)
	if err := r.Send(redIndex, whole); err == nil {
		t.Error("sent on an interface that is down")
	}
	r.red.none(t)
}
