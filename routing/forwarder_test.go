package routing

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"umroute/mgm"
	"umroute/tun"
)

// upcalls records what a forwarder reports.
type upcalls struct {
	list    []string
	headers [][]byte
}

func (u *upcalls) HandleMiss(f mgm.Flow, arrival mgm.Iface, header []byte) {
	u.add("miss", f, arrival, header)
}

func (u *upcalls) HandleWrongIf(f mgm.Flow, arrival mgm.Iface, header []byte) {
	u.add("wrongif", f, arrival, header)
}

func (u *upcalls) add(what string, f mgm.Flow, arrival mgm.Iface, header []byte) {
	u.list = append(u.list, fmt.Sprintf("%s %v %v %d", what, f.Source, f.Group, arrival.Index))
	u.headers = append(u.headers, bytes.Clone(header))
}

// want checks what came since the last call.
func (u *upcalls) want(t *testing.T, list ...string) {
	t.Helper()
	if diff := cmp.Diff(list, u.list); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	u.list, u.headers = nil, nil
}

// set installs an entry.
func (r *router) set(m mgm.MFE) {
	r.t.Helper()
	if err := r.Plane(m.Group.Is6()).Set(m); err != nil {
		r.t.Fatal(err)
	}
}

// wantDrops checks the drops of an interface: reason, count, reason, count.
func (r *router) wantDrops(index uint32, list ...any) {
	r.t.Helper()
	want := make(map[string]uint64)
	for i := 0; i < len(list); i += 2 {
		want[list[i].(Drop).String()] = uint64(list[i+1].(int))
	}
	s, _ := r.InterfaceStats(index)
	if diff := cmp.Diff(want, s.Drops); diff != "" {
		r.t.Errorf("drops of interface %d (-want +got):\n%s", index, diff)
	}
}

// wantSent checks what left by an interface since the last call: the last byte
// of each packet.
func (r *router) wantSent(index uint32, want string) {
	r.t.Helper()
	var got []byte
	for _, b := range r.links[index].take() {
		got = append(got, b[len(b)-1])
	}
	if string(got) != want {
		r.t.Errorf("interface %d sent %q, want %q", index, got, want)
	}
}

// wantStats checks the counters of a flow.
func (r *router) wantStats(f mgm.Flow, want mgm.ForwarderStats) {
	r.t.Helper()
	got, ok := r.Plane(f.Group.Is6()).Stats(f)
	if !ok {
		r.t.Fatalf("no entry for %v", f)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(equalAddr)); diff != "" {
		r.t.Errorf("statistics of %v (-want +got):\n%s", f, diff)
	}
}

func equalAddr(a, b netip.Addr) bool { return a == b }

// flow4 is the flow of the tests, numbered packets of it below.
var flow4 = flowOf("10.0.1.2", "239.1.1.1")

func data(ttl byte, letter string) []byte {
	return ipv4{source: "10.0.1.2", group: "239.1.1.1", ttl: ttl, payload: []byte(letter)}.bytes()
}

// threeLinks has interfaces 1, 2 and 3, TUNs with nothing special.
func threeLinks(t testing.TB, config Config) *router {
	r := newRouter(t, config)
	for index := range uint32(3) {
		name := fmt.Sprintf("if%d", index+1)
		r.add(InterfaceConfig{Index: index + 1, Name: name}, tun.KindTUN)
	}
	return r
}

func TestForward(t *testing.T) {
	r := threeLinks(t, Config{})
	r.set(mfe(flow4, 1, 1, 2, 3))
	r.deliver(1, data(9, "a"), data(9, "b"), data(1, "c"), data(0, "d"))
	for _, index := range []uint32{2, 3} {
		got := r.links[index].take()
		if diff := cmp.Diff([][]byte{data(8, "a"), data(8, "b")}, got); diff != "" {
			t.Errorf("interface %d (-want +got):\n%s", index, diff)
		}
	}
	r.wantSent(1, "")
	r.wantDrops(1, DropTTL, 2)
	oif := func(index uint32, n uint64) mgm.OIFStats {
		return mgm.OIFStats{Iface: mgm.Iface{Index: index}, OutPackets: n}
	}
	r.wantStats(flow4, mgm.ForwarderStats{InPackets: 4, InOctets: 84, InHdrErrors: 2,
		TotalOutPackets: 4, OIFs: []mgm.OIFStats{oif(1, 0), oif(2, 2), oif(3, 2)}})

	t.Log("# counters outlive a replacement, and begin again after a deletion")
	r.set(mfe(flow4, 1, 3))
	r.deliver(1, data(9, "e"))
	r.wantStats(flow4, mgm.ForwarderStats{InPackets: 5, InOctets: 105, InHdrErrors: 2,
		TotalOutPackets: 5, OIFs: []mgm.OIFStats{oif(3, 3)}})
	r.set(mfe(flow4, 2, 3))
	r.deliver(2, data(9, "f"))
	r.wantSent(2, "")
	r.wantSent(3, "ef")
	r.set(mfe(flow4, 1, 2, 3))
	r.wantStats(flow4, mgm.ForwarderStats{InPackets: 6, InOctets: 126, InHdrErrors: 2,
		TotalOutPackets: 6, OIFs: []mgm.OIFStats{oif(2, 2), oif(3, 4)}})
	r.Plane(false).Delete(flow4)
	if _, ok := r.Plane(false).Stats(flow4); ok {
		t.Error("statistics after deletion")
	}
	r.set(mfe(flow4, 1, 3))
	r.wantStats(flow4, mgm.ForwarderStats{OIFs: []mgm.OIFStats{oif(3, 0)}})
	s, _ := r.InterfaceStats(3)
	want := InterfaceStats{Index: 3, Name: "if3", TxPackets: 4, TxBytes: 84,
		Drops: map[string]uint64{}}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("interface 3 (-want +got):\n%s", diff)
	}
}

func TestNextHopsOfOneLink(t *testing.T) {
	r := threeLinks(t, Config{})
	m := mfe(flow4, 1, 2, 2, 3)
	m.OIFs[0].NextHop = netip.MustParseAddr("10.0.2.2")
	m.OIFs[1].NextHop = netip.MustParseAddr("10.0.2.3")
	r.set(m)
	r.deliver(1, data(9, "a"))
	r.wantSent(2, "a")
	r.wantSent(3, "a")
}

// TestManyOutputs changes an entry with many outputs one by one.
func TestManyOutputs(t *testing.T) {
	const n = 100
	r := newRouter(t, Config{})
	for index := range uint32(n) {
		r.add(InterfaceConfig{Index: index + 1}, tun.KindTUN)
	}
	var outs []uint32
	for i := range n {
		// From the middle outwards, as joins come in no order.
		outs = append(outs, uint32(n/2+(i+1)/2*(1-i%2*2)))
	}
	in := map[uint32]bool{}
	for _, index := range outs {
		in[index] = true
		var sorted []uint32
		for i := range uint32(n + 1) {
			if in[i] {
				sorted = append(sorted, i)
			}
		}
		r.set(mfe(flow4, 500, sorted...))
	}
	r.links[500] = r.add(InterfaceConfig{Index: 500}, tun.KindTUN)
	r.deliver(500, data(9, "x"))
	s, _ := r.Plane(false).Stats(flow4)
	for i, o := range s.OIFs {
		if o.OutPackets != 1 && o.Iface.Index != 0 {
			t.Errorf("output %d: %+v", i, o)
		}
		if o.Iface.Index != 0 {
			r.wantSent(o.Iface.Index, "x")
		}
	}
}

func TestThresholdBoundaryDomain(t *testing.T) {
	r := newRouter(t, Config{})
	site := prefixes("239.255.0.0/16", "ff05::/16")
	r.add(InterfaceConfig{Index: 1, Boundary: site}, tun.KindTUN)
	r.add(InterfaceConfig{Index: 2}, tun.KindTUN)
	r.add(InterfaceConfig{Index: 3, TTLThreshold: 8}, tun.KindTUN)
	r.add(InterfaceConfig{Index: 4, Domain: "other"}, tun.KindTUN)
	r.set(mfe(flow4, 1, 2, 3, 4))
	r.deliver(1, data(9, "a"), data(8, "b"))
	r.wantSent(2, "ab")
	r.wantSent(3, "a")
	r.wantSent(4, "")
	r.wantDrops(3, DropThreshold, 1)
	r.wantDrops(4, DropDomain, 2)
	s, _ := r.Plane(false).Stats(flow4)
	if s.OIFs[1].TTLTooLow != 1 || s.OIFs[2].OutDiscards != 2 {
		t.Errorf("statistics: %+v", s.OIFs)
	}

	t.Log("# a boundary keeps groups in on both sides, known or not")
	local := ipv4{source: "10.0.1.2", group: "239.255.1.1", ttl: 9, payload: []byte("l")}.bytes()
	six := ipv6{source: "fd00::1", group: "ff05::1", hops: 9, payload: []byte("s")}.bytes()
	r.set(mfe(flowOf("10.0.1.2", "239.255.1.1"), 2, 1, 3))
	r.set(mfe(flowOf("fd00::1", "ff05::1"), 2, 1, 3))
	r.deliver(2, local, six)
	r.deliver(1, local, six)
	r.wantSent(1, "")
	r.wantSent(3, "ls")
	r.wantDrops(1, DropBoundary, 4)

	t.Log("# settings change between batches")
	err := r.UpdateInterface(InterfaceConfig{Index: 1, TTLThreshold: 9})
	if err != nil {
		t.Fatal(err)
	}
	r.deliver(2, local, six)
	r.wantDrops(1, DropBoundary, 4, DropThreshold, 2)
}

func TestWrongIf(t *testing.T) {
	var u upcalls
	r := threeLinks(t, Config{})
	r.Bind(false, &u)
	r.set(mfe(flow4, 1, 2))
	r.deliver(3, data(9, "a"), data(9, "b"))
	r.wantSent(2, "")
	u.want(t, "wrongif 10.0.1.2 239.1.1.1 3")
	r.wantDrops(3, DropWrongIf, 2)
	r.wantStats(flow4, mgm.ForwarderStats{DifferentIf: 2,
		OIFs: []mgm.OIFStats{{Iface: mgm.Iface{Index: 2}}}})
}

func TestTAP(t *testing.T) {
	var punted [][]byte
	r := newRouter(t, Config{Punt: func(index uint32, frame []byte) {
		punted = append(punted, bytes.Clone(frame))
	}})
	r.add(InterfaceConfig{Index: 1}, tun.KindTAP)
	r.add(InterfaceConfig{Index: 2}, tun.KindTAP)
	r.add(InterfaceConfig{Index: 3}, tun.KindTUN)
	r.add(InterfaceConfig{Index: 4}, tun.KindTAP)
	four := ipv4{source: "10.0.1.2", group: "239.129.2.3", ttl: 9, payload: []byte("4")}
	six := ipv6{source: "fd00::1", group: "ff0e::1:2:3", hops: 9, payload: []byte("6")}
	flow6 := flowOf("fd00::1", "ff0e::1:2:3")
	r.set(mfe(flowOf("10.0.1.2", "239.129.2.3"), 1, 2, 3, 4))
	r.set(mfe(flow6, 3, 1, 2))
	arp := frame("\xff\xff\xff\xff\xff\xff", 0x0806, make([]byte, 28))
	r.deliver(1, frame("\x01\x00\x5e\x01\x02\x03", etherTypeIPv4, four.bytes()), arp)
	r.deliver(3, six.bytes())

	four.ttl, six.hops = 8, 8
	framed := func(index uint32, group string, etherType uint16, packet []byte) []byte {
		f := frame(group, etherType, packet)
		copy(f[6:], hardware(index))
		return f
	}
	group4, group6 := "\x01\x00\x5e\x01\x02\x03", "\x33\x33\x00\x02\x00\x03"
	for index, want := range map[uint32][][]byte{
		1: {framed(1, group6, etherTypeIPv6, six.bytes())},
		2: {
			framed(2, group4, etherTypeIPv4, four.bytes()),
			framed(2, group6, etherTypeIPv6, six.bytes()),
		},
		3: {four.bytes()},
		4: {framed(4, group4, etherTypeIPv4, four.bytes())},
	} {
		if diff := cmp.Diff(want, r.links[index].take()); diff != "" {
			t.Errorf("interface %d (-want +got):\n%s", index, diff)
		}
	}
	if diff := cmp.Diff([][]byte{arp}, punted); diff != "" {
		t.Errorf("punted (-want +got):\n%s", diff)
	}
	s, _ := r.InterfaceStats(1)
	if s.RxPackets != 2 || s.Punted != 1 || s.TxBytes != 14+41 {
		t.Errorf("interface 1: %+v", s)
	}
}

func TestTooLong(t *testing.T) {
	var tooBig []string
	r := newRouter(t, Config{TooBig: func(index uint32, packet []byte, mtu int) {
		tooBig = append(tooBig, fmt.Sprint(index, len(packet), mtu))
	}})
	r.add(InterfaceConfig{Index: 1}, tun.KindTUN)
	r.add(InterfaceConfig{Index: 2, MTU: 600}, tun.KindTUN)
	r.add(InterfaceConfig{Index: 3, MTU: 500}, tun.KindTAP)
	r.add(InterfaceConfig{Index: 4}, tun.KindTUN)
	flow6 := flowOf("fd00::1", "ff0e::1")
	r.set(mfe(flow4, 1, 2, 3, 4))
	r.set(mfe(flow6, 1, 2, 3, 4))
	long := ipv4{source: "10.0.1.2", group: "239.1.1.1", ttl: 9, payload: make([]byte, 980)}
	r.deliver(1, data(9, "a"), long.bytes(), data(9, "b"))
	for index, head := range map[uint32]int{2: 0, 3: 14} {
		var got []int
		for _, b := range r.links[index].take() {
			got = append(got, len(b)-head)
		}
		want := map[uint32][]int{2: {21, 596, 424, 21}, 3: {21, 500, 500, 40, 21}}[index]
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("lengths on interface %d (-want +got):\n%s", index, diff)
		}
	}
	r.wantSent(4, "a\x00b")

	t.Log("# not where the sender forbids it")
	long.field = flagDontFragment
	r.deliver(1, long.bytes())
	if tooBig != nil {
		t.Errorf("an error message for an IPv4 packet: %v", tooBig)
	}
	s, _ := r.Plane(false).Stats(flow4)
	want := mgm.OIFStats{Iface: mgm.Iface{Index: 2}, FragNeeded: 1, OutPackets: 3}
	if diff := cmp.Diff(want, s.OIFs[0], cmp.Comparer(equalAddr)); diff != "" {
		t.Errorf("interface 2 (-want +got):\n%s", diff)
	}
	r.wantSent(4, "\x00")

	t.Log("# IPv6 sources are told the smallest MTU, a few times")
	long6 := ipv6{source: "fd00::1", group: "ff0e::1", hops: 9, payload: make([]byte, 960)}
	for range 50 {
		r.deliver(1, long6.bytes())
	}
	r.wantDrops(2, DropFragNeeded, 51)
	if len(tooBig) == 0 || len(tooBig) > 20 || tooBig[0] != "1 1000 500" {
		t.Errorf("reported as too long: %v", tooBig)
	}
}

func TestDeviceRefuses(t *testing.T) {
	r := threeLinks(t, Config{})
	r.set(mfe(flow4, 1, 2, 3))
	r.links[2].refuse = 1
	r.deliver(1, data(9, "a"), data(9, "b"))
	r.wantSent(2, "a")
	r.wantSent(3, "ab")
	r.wantDrops(2, DropDevice, 1)
	if i, _ := r.InterfaceStats(2); i.TxPackets != 1 || i.TxBytes != 21 {
		t.Errorf("interface 2: %+v", i)
	}
	s, _ := r.Plane(false).Stats(flow4)
	if s.OIFs[0].OutPackets != 1 || s.OIFs[0].OutDiscards != 1 {
		t.Errorf("statistics: %+v", s.OIFs[0])
	}
	long := ipv4{source: "10.0.1.2", group: "239.1.1.1", ttl: 9, payload: make([]byte, 2000)}
	r.UpdateInterface(InterfaceConfig{Index: 1, MTU: 9000})
	r.deliver(1, long.bytes())
	r.wantDrops(2, DropDevice, 2)
	s, _ = r.Plane(false).Stats(flow4)
	if s.OIFs[0].OutDiscards != 2 || s.OIFs[1].OutPackets != 3 {
		t.Errorf("statistics after fragments: %+v", s.OIFs)
	}
}

// TestManyInterfaces sends a packet out of all interfaces but one, of 4,096.
func TestManyInterfaces(t *testing.T) {
	const n = 4096
	r := newRouter(t, Config{})
	var outs []uint32
	for index := range uint32(n) {
		r.add(InterfaceConfig{Index: index + 1}, tun.KindTUN)
		outs = append(outs, index+1)
	}
	r.set(mfe(flow4, 1, outs...))
	r.deliver(1, data(9, "a"), data(9, "b"))
	for _, index := range outs[1:] {
		r.wantSent(index, "ab")
	}
	r.wantSent(1, "")
	if s, _ := r.Plane(false).Stats(flow4); s.TotalOutPackets != 2*(n-1) || len(s.OIFs) != n {
		t.Errorf("%d packets sent by %d interfaces", s.TotalOutPackets, len(s.OIFs))
	}
}
