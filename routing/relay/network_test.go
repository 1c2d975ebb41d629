package relay_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"umroute/mgm"
	"umroute/routing/relay"
)

var (
	mdns4 = netip.MustParseAddrPort("224.0.0.251:5353")
	mdns6 = netip.MustParseAddrPort("[ff02::fb]:5353")
	start = time.Unix(1_000_000, 0)
)

// pack is a UDP datagram as a host sends it, with right checksums.
func pack(source netip.AddrPort, group netip.AddrPort, ttl int, payload string) []byte {
	udp := binary.BigEndian.AppendUint16(nil, source.Port())
	udp = binary.BigEndian.AppendUint16(udp, group.Port())
	udp = binary.BigEndian.AppendUint16(udp, uint16(8+len(payload)))
	udp = append(append(udp, 0, 0), payload...)
	var ip []byte
	addresses := append(source.Addr().AsSlice(), group.Addr().AsSlice()...)
	if group.Addr().Is4() {
		ip = append([]byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, byte(ttl), 17, 0, 0}, addresses...)
		binary.BigEndian.PutUint16(ip[2:], uint16(20+len(udp)))
		binary.BigEndian.PutUint16(ip[10:], ^sum(ip))
	} else {
		ip = binary.BigEndian.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(len(udp)))
		ip = append(append(ip, 17, byte(ttl)), addresses...)
	}
	binary.BigEndian.PutUint16(udp[6:], ^udpSum(ip, udp))
	return append(ip, udp...)
}

// udpSum is the sum that a UDP checksum makes right.
func udpSum(ip, udp []byte) uint16 {
	pseudo := append([]byte(nil), ip[12:20]...)
	if ip[0]>>4 == 6 {
		pseudo = append([]byte(nil), ip[8:40]...)
	}
	pseudo = binary.BigEndian.AppendUint16(append(pseudo, 0, 17), uint16(len(udp)))
	pseudo = append(pseudo, udp...)
	if len(pseudo)%2 == 1 {
		pseudo = append(pseudo, 0)
	}
	return sum(pseudo)
}

func sum(b []byte) uint16 {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// parsed is a packet in short.
type parsed struct {
	source, group netip.AddrPort
	ttl           int
	payload       string
}

// parse reads a packet and checks its checksums.
func parse(t testing.TB, b []byte) parsed {
	t.Helper()
	var p parsed
	var source, group netip.Addr
	header := 20
	if b[0]>>4 == 4 {
		source, group = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		p.ttl = int(b[8])
		if sum(b[:20]) != 0xffff {
			t.Errorf("header checksum of %x", b)
		}
	} else {
		source, group = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		header, p.ttl = 40, int(b[7])
	}
	udp := b[header:]
	if binary.BigEndian.Uint16(udp[6:]) != 0 && udpSum(b, udp) != 0xffff {
		t.Errorf("UDP checksum of %x", b)
	}
	p.source = netip.AddrPortFrom(source, binary.BigEndian.Uint16(udp))
	p.group = netip.AddrPortFrom(group, binary.BigEndian.Uint16(udp[2:]))
	p.payload = string(udp[8:])
	return p
}

// subnets are routes: each link has 10.0.INDEX.0/24 and fd00:INDEX::/64.
type subnets struct{}

func (subnets) Lookup(a netip.Addr) (mgm.Route, bool) {
	var index uint32
	if a.Is4() {
		index = uint32(a.As4()[2])
	} else {
		b := a.As16()
		index = uint32(binary.BigEndian.Uint16(b[2:]))
	}
	return mgm.Route{Iface: mgm.Iface{Index: index}}, index != 0
}

// transmission is a packet on its way over a link.
type transmission struct {
	link   uint32
	packet []byte
	by     int // the relay that sent it, -1 for a host
}

// network is relays between links, on which packets take any time.
type network struct {
	t        testing.TB
	random   *rand.Rand
	relays   []*relay.Relay
	attached [][]uint32 // by relay
	underway []transmission
	heard    map[uint32]int // by link
	now      time.Time
}

// port is where a relay sends to.
type port struct {
	network *network
	number  int
}

func (p port) Send(index uint32, packet []byte) error {
	p.network.transmit(transmission{index, append([]byte(nil), packet...), p.number})
	return nil
}

func (n *network) transmit(x transmission) {
	parse(n.t, x.packet)
	n.heard[x.link]++
	n.underway = append(n.underway, x)
}

// router is a relay's address on a link.
func router(number int, link uint32, v4 bool) netip.Addr {
	if v4 {
		return netip.AddrFrom4([4]byte{10, 0, byte(link), byte(100 + number)})
	}
	return netip.MustParseAddr(fmt.Sprintf("fe80::%x:%x", number+1, link))
}

func linkName(index uint32) string { return fmt.Sprint("link", index) }

func newNetwork(t testing.TB, random *rand.Rand, links, relays int) *network {
	n := &network{t: t, random: random, heard: make(map[uint32]int), now: start}
	var names []string
	for l := range links {
		names = append(names, linkName(uint32(l+1)))
	}
	for number := range relays {
		r := relay.New(relay.Config{Sender: port{n, number}, Routes: subnets{}})
		r.SetRules([]relay.Rule{{Groups: []netip.AddrPort{mdns4, mdns6}, Interfaces: names,
			Rate: 1_000_000}})
		var attached []uint32
		for l := range links {
			// The first relay reaches all links, the others some.
			if index := uint32(l + 1); number == 0 || random.IntN(3) > 0 {
				attached = append(attached, index)
				r.AddLink(relay.Link{Index: index, Name: linkName(index), MTU: 1500,
					Addresses: []netip.Addr{router(number, index, true), router(number, index, false)}})
			}
		}
		n.relays, n.attached = append(n.relays, r), append(n.attached, attached)
	}
	return n
}

// settle delivers what is under way, in any order and not always, until nothing
// is left, and tells how many transmissions there were.
func (n *network) settle(loss float64) (transmissions int) {
	for ; len(n.underway) > 0; transmissions++ {
		if transmissions == 10_000 {
			n.t.Fatal("a datagram goes round for ever")
		}
		at := n.random.IntN(len(n.underway))
		x := n.underway[at]
		n.underway = append(n.underway[:at], n.underway[at+1:]...)
		for number, r := range n.relays {
			for _, link := range n.attached[number] {
				if link == x.link && number != x.by && n.random.Float64() >= loss {
					r.Handle(n.now, link, append([]byte(nil), x.packet...))
				}
			}
		}
		n.now = n.now.Add(time.Duration(n.random.IntN(20)) * time.Millisecond)
	}
	return transmissions
}

// TestNothingGoesRound sends through networks in which every link can be reached
// in many ways, with link-local and with other sources. What a host says once
// reaches all links if nothing is lost, and comes to an end if something is.
func TestNothingGoesRound(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 7))
		links, relays := 2+random.IntN(4), 1+random.IntN(5)
		n := newNetwork(t, random, links, relays)
		loss := float64(seed%3) * 0.2
		for say := range 5 {
			from := uint32(1 + random.IntN(links))
			source, group := host(random, from)
			n.heard = make(map[uint32]int)
			n.now = n.now.Add(time.Duration(random.IntN(3000)) * time.Millisecond)
			n.transmit(transmission{from, pack(source, group, 255, fmt.Sprint("say ", say)), -1})
			n.settle(loss)
			for l := range links {
				if loss == 0 && n.heard[uint32(l+1)] == 0 {
					t.Fatalf("seed %d: link %d did not hear what link %d said", seed, l+1, from)
				}
			}
		}
	}
}

// host is a source on a link, with a group of its family.
func host(random *rand.Rand, link uint32) (source, group netip.AddrPort) {
	switch random.IntN(3) {
	case 0:
		a := netip.AddrFrom4([4]byte{10, 0, byte(link), 2})
		return netip.AddrPortFrom(a, 5353), mdns4
	case 1:
		a := netip.MustParseAddr(fmt.Sprintf("fd00:%x::2", link))
		return netip.AddrPortFrom(a, 5353), mdns6
	}
	return netip.MustParseAddrPort("[fe80::2]:5353"), mdns6
}
