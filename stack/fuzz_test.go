package stack

import (
	"math/rand/v2"
	"testing"
)

// everyKind is a packet of each kind that the stack looks into.
func everyKind() [][]byte {
	alert := []byte{148, 4, 0, 0}
	record := []byte{7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	stamp := []byte{68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	destination := []byte{17, 0, 1, 4, 0, 0, 0, 0}
	routing := []byte{17, 2, 0, 1, 0, 0, 0, 0, 0xfd, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}
	quoted := udp4("10.0.1.1", "10.0.1.2", 64, nil)
	return [][]byte{
		udp4("10.0.1.2", "10.0.2.2", 64, []byte("hello")),
		udp4("10.0.1.2", "10.0.2.2", 1, []byte("hello")),
		udp4("10.0.1.2", "10.0.1.1", 64, []byte("hello")),
		udp4("10.0.1.2", "10.0.1.255", 64, []byte("hello")),
		udp4("10.0.1.2", "10.0.3.2", 64, make([]byte, 1400)),
		udp4("0.0.0.0", "255.255.255.255", 64, []byte("hello")),
		echo4("10.0.1.2", "10.0.1.1", 64, "hello"),
		v4{from: "10.0.1.2", to: "10.0.1.1", proto: 1, options: record,
			payload: icmp4(8, 0, 0, 1, 0, 1)}.bytes(),
		v4{from: "10.0.1.2", to: "10.0.2.2", proto: 17, options: stamp,
			payload: []byte("12345678")}.bytes(),
		v4{from: "10.0.1.2", to: "10.0.1.1", proto: 1,
			payload: icmp4(3, 3, append(make([]byte, 4), quoted...)...)}.bytes(),
		v4{from: "10.0.1.2", to: "10.0.1.1", proto: 17, flags: moreFragments, id: 3,
			payload: make([]byte, 16)}.bytes(),
		v4{from: "10.0.1.2", to: "10.0.1.1", proto: 17, flags: 2, id: 3,
			payload: make([]byte, 16)}.bytes(),
		v4{from: "10.0.1.2", to: "10.0.3.2", proto: 17, flags: moreFragments | 100,
			payload: make([]byte, 1200)}.bytes(),
		v4{from: "10.0.1.2", to: "224.0.0.22", proto: 2, ttl: 1, options: alert,
			payload: icmp4(0x22, 0, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 1, 1)}.bytes(),
		v4{from: "10.0.1.2", to: "224.0.0.1", proto: 2, ttl: 1, options: alert,
			payload: icmp4(0x11, 9, 0, 0, 0, 0, 2, 125, 0, 0)}.bytes(),
		v4{from: "10.0.1.2", to: "224.0.0.13", proto: 103, ttl: 1,
			payload: icmp4(0x20, 0, 0, 1, 0, 2)}.bytes(),
		udp6("fd00:1::2", "fd00:2::2", 64, []byte("hello")),
		udp6("fd00:1::2", "fd00:1::1", 64, []byte("hello")),
		udp6("fd00:1::2", "fd00:3::2", 64, make([]byte, 1400)),
		echo6("fd00:1::2", "fd00:2::1", 1, "hello"),
		v6{from: "fd00:1::2", to: "fd00:1::1", next: 60, extensions: destination,
			payload: datagram("fd00:1::2", "fd00:1::1", 9, nil)}.bytes(),
		v6{from: "fd00:1::2", to: "fd00:1::1", next: 43, extensions: routing,
			payload: datagram("fd00:1::2", "fd00:1::1", 9, nil)}.bytes(),
		v6{from: "fd00:1::2", to: "fd00:1::1", next: 44,
			extensions: []byte{17, 0, 0, 1, 0, 0, 0, 7}, payload: make([]byte, 16)}.bytes(),
		v6{from: "fd00:1::2", to: "fd00:1::1", next: 44,
			extensions: []byte{58, 0, 0, 0, 0, 0, 0, 8}, payload: make([]byte, 16)}.bytes(),
		v6{from: "fd00:1::2", to: "fd00:2::2", next: 0,
			extensions: append(routerAlert6(44), 60, 0, 0, 8, 0, 0, 0, 7),
			payload:    destination}.bytes(),
		v6{from: "fd00:1::2", to: "fd00:2::2", next: 59, payload: make([]byte, 1400)}.bytes(),
		v6{from: "fd00:1::2", to: "fd00:1::1", next: 58, payload: icmp6("fd00:1::2", "fd00:1::1",
			2, 0, append([]byte{0, 0, 5, 0}, udp6("fd00:1::1", "fd00:1::2", 9, nil)...)...)}.bytes(),
		solicit(2, "fd00:1::2", "ff02::1:ff00:1", "fd00:1::1"),
		advertise(2, 0x60, "fd00:1::2", "fd00:1::1", "fd00:1::2"),
		mld("fe80::2", "ff02::16", 143),
		mld("fe80::2", "ff02::1", 130),
		arpPacket(1, mac(2), "10.0.3.2", make([]byte, 6), "10.0.3.1"),
		arpPacket(2, mac(2), "10.0.3.2", mac(1), "10.0.3.1"),
	}
}

// wild is a router with a link of each sort, that takes whatever is thrown at it.
type wild struct {
	router
	lan   lan
	small *device
}

func newWild(t testing.TB) wild {
	config := Config{}
	config.IGMP = func(uint32, []byte) {}
	config.MLD, config.PIM = config.IGMP, config.IGMP
	w := wild{router: newRouter(t, config), small: &device{}}
	w.lan = newLAN(t, w.Stack)
	add(t, w.Stack, InterfaceConfig{Index: 4, Name: "small", Device: w.small, MTU: 600,
		Addresses: prefixes("10.0.4.1/24")})
	w.SetRoutes([]Route{route("0.0.0.0/0", "10.0.4.9", 0), route("::/0", "fd00:2::9", 0)})
	return w
}

// throw delivers a frame as each sort of link would bring it.
func (w wild) throw(t testing.TB, b []byte) {
	w.Deliver(redIndex, b)
	w.Deliver(lanIndex, b)
	for _, etherType := range []uint16{0x0800, 0x86dd, 0x0806} {
		w.Deliver(lanIndex, ethernet(mac(1), mac(2), etherType, b))
		w.Deliver(lanIndex, ethernet(broadcastMAC, mac(2), etherType, b))
	}
	for _, i := range w.Stats().Interfaces {
		if n := i.Drops["fault"]; n != 0 {
			t.Fatalf("%d panics of the netstack on %s, after %x", n, i.Name, b)
		}
	}
	for _, d := range []*device{w.red, w.blue, w.small} {
		for _, p := range d.take() {
			if len(p) > d.MTU() || d == w.small && len(p) > 600 {
				t.Fatalf("%d bytes sent, after %x", len(p), b)
			}
		}
	}
	w.lan.device.take()
}

func FuzzDeliver(f *testing.F) {
	for _, p := range everyKind() {
		f.Add(p)
		f.Add(ethernet(mac(1), mac(2), 0x0800, p))
	}
	w := newWild(f)
	f.Fuzz(func(t *testing.T, b []byte) { w.throw(t, b) })
}

// repair makes a mangled packet's IPv4 header checksum right again, so that it
// gets past the first check.
func repair(b []byte) {
	if len(b) < 20 || b[0]>>4 != 4 || int(b[0]&0xf)*4 > len(b) {
		return
	}
	b[10], b[11] = 0, 0
	sum := fold(sum16(0, b[:int(b[0]&0xf)*4]))
	b[10], b[11] = byte(sum>>8), byte(sum)
}

// TestMangled throws each kind of packet, whole, truncated and with random bytes
// changed.
func TestMangled(t *testing.T) {
	w := newWild(t)
	random := rand.New(rand.NewPCG(3, 4))
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	for _, p := range everyKind() {
		for n := range min(len(p), 120) {
			w.throw(t, p[:n])
		}
		for range rounds {
			b := append([]byte(nil), p...)
			for range 1 + random.IntN(3) {
				b[random.IntN(min(len(b), 80))] = byte(random.Uint32())
			}
			w.throw(t, b)
			repair(b)
			w.throw(t, b)
		}
	}
}

// TestContain shows that a panic on one packet costs that packet.
func TestContain(t *testing.T) {
	r := newRouter(t, Config{PIM: func(uint32, []byte) { panic("a tap's fault") }})
	r.Deliver(redIndex, v4{from: "10.0.1.2", to: "224.0.0.13", proto: 103, ttl: 1}.bytes())
	wantDrop(t, r.Stack, redIndex, "fault", 1)
	r.Deliver(redIndex, echo4("10.0.1.2", "10.0.1.1", 64, ""))
	r.red.one(t)
	if err := r.RemoveInterface(redIndex); err != nil { // no lock is left behind
		t.Fatal(err)
	}
}
