package stack

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tapped is a message that a tap took.
type tapped struct {
	Tap    string
	Index  uint32
	Packet []byte
}

// recorder makes a Config whose taps append to what it returns.
func recorder() (Config, *[]tapped) {
	var all []tapped
	record := func(name string) Tap {
		return func(index uint32, packet []byte) {
			all = append(all, tapped{name, index, packet})
		}
	}
	return Config{IGMP: record("IGMP"), MLD: record("MLD"), PIM: record("PIM")}, &all
}

func mld(from, to string, kind uint8) []byte {
	return v6{from: from, to: to, next: 0, hops: 1, extensions: routerAlert6(58),
		payload: icmp6(from, to, kind, 0, make([]byte, 20)...)}.bytes()
}

func TestTaps(t *testing.T) {
	alert := []byte{148, 4, 0, 0} // RFC 2113 §2.1
	report3 := icmp4(0x22, 0, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 1, 1)
	hello := icmp4(0x20, 0, 0, 1, 0, 2, 0, 105)
	register := icmp4(0x21, 0, make([]byte, 8)...)
	for _, tt := range []struct {
		name   string
		tap    string // "" for none
		packet []byte
	}{
		{"IGMPv1 report", "IGMP", v4{from: "10.0.1.2", to: "239.1.1.1", proto: 2, ttl: 1,
			payload: icmp4(0x12, 0, 239, 1, 1, 1)}.bytes()},
		{"IGMPv2 report", "IGMP", v4{from: "10.0.1.2", to: "239.1.1.1", proto: 2, ttl: 1,
			options: alert, payload: icmp4(0x16, 0, 239, 1, 1, 1)}.bytes()},
		{"IGMPv2 leave", "IGMP", v4{from: "10.0.1.2", to: "224.0.0.2", proto: 2, ttl: 1,
			options: alert, payload: icmp4(0x17, 0, 239, 1, 1, 1)}.bytes()},
		{"IGMPv3 report", "IGMP", v4{from: "10.0.1.2", to: "224.0.0.22", proto: 2, ttl: 1,
			options: alert, payload: report3}.bytes()},
		{"IGMPv3 report from 0.0.0.0", "IGMP", v4{from: "0.0.0.0", to: "224.0.0.22", proto: 2,
			ttl: 1, options: alert, payload: report3}.bytes()},
		{"IGMP from elsewhere", "IGMP", v4{from: "172.16.0.9", to: "224.0.0.22", proto: 2, ttl: 1,
			payload: report3}.bytes()},
		{"IGMP query to the joined 224.0.0.1", "IGMP", v4{from: "10.0.1.9", to: "224.0.0.1",
			proto: 2, ttl: 1, options: alert, payload: icmp4(0x11, 100, 0, 0, 0, 0)}.bytes()},
		{"IGMP to the router", "IGMP", v4{from: "10.0.1.2", to: "10.0.1.1", proto: 2, ttl: 1,
			payload: report3}.bytes()},
		{"IGMP too short for itself", "IGMP", v4{from: "10.0.1.2", to: "239.1.1.1", proto: 2,
			ttl: 1, payload: []byte{0x16}}.bytes()},
		{"IGMP from ourselves", "", v4{from: "10.0.1.1", to: "224.0.0.1", proto: 2, ttl: 1,
			payload: report3}.bytes()},
		{"fragment of IGMP", "", v4{from: "10.0.1.2", to: "224.0.0.1", proto: 2, ttl: 1,
			flags: moreFragments, payload: report3}.bytes()},
		{"MLD query", "MLD", mld("fe80::9", "ff02::1", 130)},
		{"MLDv1 report", "MLD", mld("fe80::2", "ff05::99", 131)},
		{"MLD done", "MLD", mld("fe80::2", "ff02::2", 132)},
		{"MLDv2 report", "MLD", mld("fe80::2", "ff02::16", 143)},
		{"MLDv2 report from ::", "MLD", mld("::", "ff02::16", 143)},
		{"echo with hop-by-hop options", "", mld("fe80::2", "ff02::16", 128)},
		{"MLD without hop-by-hop options", "", v6{from: "fe80::2", to: "ff02::16", next: 58,
			hops: 1, payload: icmp6("fe80::2", "ff02::16", 143, 0, make([]byte, 20)...)}.bytes()},
		{"MLD behind destination options", "", v6{from: "fe80::2", to: "ff02::16", next: 0,
			hops: 1, extensions: append(routerAlert6(60), 58, 0, 1, 4, 0, 0, 0, 0),
			payload: icmp6("fe80::2", "ff02::16", 143, 0, make([]byte, 20)...)}.bytes()},
		{"UDP with hop-by-hop options", "", v6{from: "fe80::2", to: "ff02::16", next: 0,
			extensions: routerAlert6(17), payload: make([]byte, 8)}.bytes()},
		{"PIM hello", "PIM", v4{from: "10.0.1.9", to: "224.0.0.13", proto: 103, ttl: 1,
			payload: hello}.bytes()},
		{"PIM hello, IPv6", "PIM", v6{from: "fe80::9", to: "ff02::d", next: 103, hops: 1,
			payload: hello}.bytes()},
		{"PIM register", "PIM", v4{from: "10.0.1.9", to: "10.0.1.1", proto: 103,
			payload: register}.bytes()},
		{"PIM register to the other link's address", "PIM", v4{from: "10.0.1.9", to: "10.0.2.1",
			proto: 103, payload: register}.bytes()},
		{"PIM register, IPv6, to the other link's address", "PIM", v6{from: "fd00:1::9",
			to: "fd00:2::1", next: 103, payload: register}.bytes()},
		{"PIM for somebody whose MAC is unknown", "", v4{from: "10.0.1.9", to: "10.0.3.2",
			proto: 103, payload: register}.bytes()},
		{"PIM for somebody else", "", v4{from: "10.0.1.9", to: "10.0.2.2", proto: 103,
			payload: register}.bytes()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config, got := recorder()
			r := newRouter(t, config)
			newLAN(t, r.Stack)
			var want []tapped
			if tt.tap != "" {
				want = []tapped{{tt.tap, redIndex, append([]byte(nil), tt.packet...)}}
			}
			frame := append(tt.packet, 0, 0)
			r.Deliver(redIndex, frame)
			clear(frame) // the tap's packet is a copy
			if diff := cmp.Diff(want, *got); diff != "" {
				t.Errorf("tapped (-want +got):\n%s", diff)
			}
			r.red.none(t) // no protocol of ours is unreachable
		})
	}
}

// TestTapReassembled shows that IGMP in fragments, to a group that the stack is
// in and so puts together, is not taken for a message.
func TestTapReassembled(t *testing.T) {
	config, got := recorder()
	r := newRouter(t, config)
	report := icmp4(0x22, 0, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 1, 1)
	for _, f := range []v4{
		{flags: moreFragments, payload: report[:8]},
		{flags: 1, payload: report[8:]},
	} {
		f.from, f.to, f.proto, f.ttl, f.id = "10.0.1.2", "224.0.0.1", 2, 1, 5
		r.Deliver(redIndex, f.bytes())
	}
	if len(*got) != 0 {
		t.Errorf("tapped: %v", *got)
	}
}

// TestTappedIsNotDropped holds that what a tap has taken does not count as a
// drop, joined or not, and that the rest still does.
func TestTappedIsNotDropped(t *testing.T) {
	config, got := recorder()
	r := newRouter(t, config)
	report := icmp4(0x22, 0, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 1, 1)
	for _, group := range []string{"224.0.0.22", "224.0.0.1"} {
		r.Deliver(redIndex, v4{from: "10.0.1.2", to: group, proto: 2, ttl: 1,
			payload: report}.bytes())
	}
	r.Deliver(redIndex, mld("fe80::2", "ff02::16", 143))
	if len(*got) != 3 {
		t.Fatalf("tapped %d messages, want 3", len(*got))
	}
	wantDrop(t, r.Stack, redIndex, "", 0)
	r.Deliver(redIndex, udp4("10.0.1.2", "224.0.0.251", 1, nil))
	wantDrop(t, r.Stack, redIndex, "not-for-us", 1)
}

func TestNoTaps(t *testing.T) {
	r := newRouter(t, Config{})
	r.Deliver(redIndex, mld("fe80::2", "ff02::16", 143))
	wantDrop(t, r.Stack, redIndex, "not-for-us", 1)
}

// TestSilence holds that the stack says nothing of its own accord: no reports,
// no solicitations, no advertisements.
func TestSilence(t *testing.T) {
	r := newRouter(t, Config{})
	lan := newLAN(t, r.Stack)
	for _, group := range []string{"224.0.0.2", "ff02::2", "239.1.1.1", "ff05::99"} {
		if err := r.Join(redIndex, addr(group)); err != nil {
			t.Fatal(err)
		}
	}
	query := v4{from: "10.0.1.2", to: "224.0.0.1", proto: 2, ttl: 1,
		options: []byte{148, 4, 0, 0}, payload: icmp4(0x11, 1, 0, 0, 0, 0)}.bytes()
	r.Deliver(redIndex, query)
	r.Deliver(redIndex, mld("fe80::9", "ff02::1", 130))
	// A router advertisement with a prefix makes no address (RFC 4862 §1).
	prefix := append([]byte{3, 4, 64, 0xc0, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 0, 0},
		netip.MustParseAddr("fd00:77::").AsSlice()...)
	body := append([]byte{64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0}, prefix...)
	before := r.net.AllAddresses()[lanIndex]
	r.Deliver(lanIndex, ethernet([]byte{0x33, 0x33, 0, 0, 0, 1}, mac(9), 0x86dd,
		v6{from: "fe80::9", to: "ff02::1", next: 58, hops: 255,
			payload: icmp6("fe80::9", "ff02::1", 134, 0, body...)}.bytes()))
	if after := r.net.AllAddresses()[lanIndex]; len(after) != len(before) {
		t.Errorf("addresses %v, had %v", after, before)
	}
	if err := r.Leave(redIndex, addr("239.1.1.1")); err != nil {
		t.Fatal(err)
	}
	r.red.none(t)
	r.blue.none(t)
	lan.device.none(t)
}

func TestJoin(t *testing.T) {
	r := newRouter(t, Config{})
	for _, tt := range []struct{ from, group, own string }{
		{"10.0.1.2", "239.1.1.1", "10.0.1.1"},
		{"fd00:1::2", "ff05::99", "fd00:1::1"},
	} {
		ping := func() []byte {
			if addr(tt.group).Is4() {
				return echo4(tt.from, tt.group, 1, "x")
			}
			return echo6(tt.from, tt.group, 1, "x")
		}
		r.Deliver(redIndex, ping())
		r.red.none(t)
		if err := r.Join(redIndex, addr(tt.group)); err != nil {
			t.Fatal(err)
		}
		r.Deliver(redIndex, ping())
		if from, _ := addresses(r.red.one(t)); from != addr(tt.own) {
			t.Errorf("%s answers for %s", from, tt.group)
		}
		if err := r.Leave(redIndex, addr(tt.group)); err != nil {
			t.Fatal(err)
		}
		r.Deliver(redIndex, ping())
		r.red.none(t)
		if err := r.Leave(redIndex, addr(tt.group)); err == nil {
			t.Errorf("left %s twice", tt.group)
		}
	}
	if err := r.Join(9, addr("239.1.1.1")); err == nil {
		t.Error("joined on no interface")
	}
	if err := r.Join(redIndex, addr("10.0.0.1")); err == nil {
		t.Error("joined a host")
	}
}
