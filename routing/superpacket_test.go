package routing

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"umroute/mgm"
	"umroute/tun"
)

// linkOffloads is what the links of a pair with offloads have: TUNs and TAPs of
// each kind in turn. One of them takes no super-packets after all.
var linkOffloads = [pairLinks]tun.Offload{tun.OffloadSegmentation, tun.OffloadSegmentation,
	tun.OffloadNone, tun.OffloadChecksum, tun.OffloadSegmentation, tun.OffloadNone}

const simpleLink = 5

// single gives what was written to l as it would be on a wire, and checks the
// headers on the way.
func (l *link) single(t testing.TB, frames [][]byte) (all [][]byte) {
	if l.offload == tun.OffloadNone {
		return frames
	}
	for _, frame := range frames {
		all = append(all, l.segmented(t, frame)...)
	}
	return all
}

func (l *link) segmented(t testing.TB, frame []byte) [][]byte {
	t.Helper()
	header, frame := frame[:10], frame[10:]
	ethernet := 0
	if l.kind == tun.KindTAP {
		ethernet = 14
	}
	if header[0] == 0 {
		if !bytes.Equal(header, make([]byte, 10)) {
			t.Fatalf("header % x of a complete packet", header)
		}
		return [][]byte{frame}
	}
	ip := frame[ethernet:]
	at, segment := udpOffset(ip), int(binary.NativeEndian.Uint16(header[4:]))
	got := int(binary.BigEndian.Uint16(ip[at+6:]))
	switch {
	case int(binary.NativeEndian.Uint16(header[6:])) != ethernet+at, header[8] != 6:
		t.Fatalf("header % x: checksum is elsewhere", header)
	case got%0xffff != int(^plainChecksum(pseudoHeader(ip)))%0xffff:
		t.Fatalf("sum %#x is not that of the pseudo-header", got)
	case int(binary.BigEndian.Uint16(ip[at+4:])) != len(ip)-at:
		t.Fatalf("UDP length %d of %d", binary.BigEndian.Uint16(ip[at+4:]), len(ip)-at)
	case header[1] == 0 && segment == 0:
		segment = len(ip)
	case header[1] != 5, int(binary.NativeEndian.Uint16(header[2:])) != ethernet+at+8,
		segment == 0, len(ip)-at-8 <= segment, len(ip)-at-8 > 64*segment, len(ip) > maxMTU,
		l.offload != tun.OffloadSegmentation:
		t.Fatalf("header % x of %d bytes", header, len(ip))
	}
	l.supers += int(header[1] & 1)
	if ip[0]>>4 == 4 && plainChecksum(ip[:at]) != 0 {
		t.Fatalf("header checksum of a super-packet: % x", ip[:at])
	}
	var all [][]byte
	for payload, id := ip[at+8:], binary.BigEndian.Uint16(ip[4:]); len(payload) > 0; id++ {
		n := min(segment, len(payload))
		b := slices.Concat(frame[:ethernet+at+8], payload[:n])
		payload = payload[n:]
		d := b[ethernet:]
		binary.BigEndian.PutUint16(d[at+4:], uint16(8+n))
		if d[0]>>4 == 4 {
			binary.BigEndian.PutUint16(d[2:], uint16(len(d)))
			binary.BigEndian.PutUint16(d[4:], id)
			setChecksum(d)
		} else {
			binary.BigEndian.PutUint16(d[4:], uint16(len(d)-40))
		}
		binary.BigEndian.PutUint16(d[at+6:], plainUDPChecksum(d))
		all = append(all, b)
	}
	return all
}

// sorted puts frames in the order of their flows, as only the order within a
// flow is to be kept, and takes out the IDs of what is no fragment, which
// joining may change.
func (p *pair) sorted(l *link, frames [][]byte) [][]byte {
	ethernet := 0
	if l.kind == tun.KindTAP {
		ethernet = 14
	}
	flow := func(frame []byte) string {
		ip := frame[ethernet:]
		if ip[0]>>4 == 6 {
			return string(ip[8:40]) + string(ip[40:min(44, len(ip))])
		}
		if binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 {
			return string(ip[12:20]) + string(ip[4:6]) + "fragment"
		}
		return string(ip[12:20]) + string(ip[20:min(24, len(ip))])
	}
	all := make([][]byte, 0, len(frames))
	for _, frame := range frames {
		frame = bytes.Clone(frame)
		ip := frame[ethernet:]
		if ip[0]>>4 == 4 && binary.BigEndian.Uint16(ip[6:])&0x3fff == 0 {
			if headerLen := int(ip[0]%16) * 4; plainChecksum(ip[:headerLen]) != 0 {
				p.t.Fatalf("header checksum: % x", ip[:headerLen])
			}
			ip[4], ip[5], ip[10], ip[11] = 0, 0, 0, 0
		}
		all = append(all, frame)
	}
	slices.SortStableFunc(all, func(a, b []byte) int {
		return bytes.Compare([]byte(flow(a)), []byte(flow(b)))
	})
	return all
}

// compareFrames says where two lists differ first: whole lists would be long.
func (p *pair) compareFrames(index uint32, want, got [][]byte) {
	p.t.Helper()
	for i := range min(len(want), len(got)) {
		if !bytes.Equal(want[i], got[i]) {
			p.t.Fatalf("link %d, frame %d of %d and %d:\n% x\nwant\n% x", index, i, len(got),
				len(want), got[i], want[i])
		}
	}
	if len(want) != len(got) {
		p.t.Fatalf("link %d sent %d frames, want %d", index, len(got), len(want))
	}
}

// told puts reports into an order. Which ones the limit lets through may
// differ, but not how many.
func (p *pair) told(reports []string) []string {
	slices.Sort(reports)
	for _, l := range p.plain.links {
		if l.told == 10 {
			return make([]string, len(reports))
		}
	}
	return reports
}

// compareTraffic checks the counters of packets and bytes.
func (p *pair) compareTraffic(index uint32, _ [][]byte) {
	p.t.Helper()
	plain := p.plain.links[index]
	for _, frame := range plain.sent {
		plain.tx[0]++
		plain.tx[1] += uint64(len(frame))
	}
	s, _ := p.InterfaceStats(index)
	if got := [2]uint64{s.TxPackets, s.TxBytes}; got != plain.tx {
		p.t.Fatalf("%d sent %d packets and bytes, want %d", index, got, plain.tx)
	}
	if got := [2]uint64{s.RxPackets, s.RxBytes}; got != plain.rx {
		p.t.Fatalf("%d received %d packets and bytes, want %d", index, got, plain.rx)
	}
}

// expected lists the flows that have an entry for what comes in by a link.
func (p *pair) expected(index uint32) (flows []mgm.Flow) {
	for f, e := range p.plain.entries {
		if e.In.Index == index {
			flows = append(flows, f)
		}
	}
	slices.SortFunc(flows, func(a, b mgm.Flow) int {
		return cmp.Or(a.Source.Compare(b.Source), a.Group.Compare(b.Group))
	})
	return flows
}

// randomUDP draws a datagram, mostly the next of the flow of the one before, and
// mostly of an expected one.
func randomUDP(rng *rand.Rand, last udp, expected []mgm.Flow) udp {
	u := last
	if u.source == "" || rng.IntN(20) == 0 {
		f := randomFlow(rng)
		if len(expected) > 0 && rng.IntN(4) > 0 {
			f = oneOf(rng, expected)
		}
		u.source, u.group = f.Source.String(), f.Group.String()
		if rng.IntN(20) == 0 {
			u.group = map[bool]string{true: "10.0.0.9", false: "fd00::9"}[f.Group.Is4()]
		}
		u.ports = oneOf(rng, []uint32{5000<<16 | 6000, 5000<<16 | 6001})
		u.id = uint16(rng.Uint32())
		u.ttl = oneOf(rng, []byte{9, 9, 9, 9, 3, 1})
		u.payload = make([]byte, oneOf(rng, []int{1, 99, 100, 100, 500, 549, 1400, 1472}))
		u.checksum = oneOf(rng, []string{"right", "unfinished", "unfinished"})
	}
	switch rng.IntN(40) {
	case 0:
		u.checksum = oneOf(rng, []string{"right", "wrong", "zero", "unfinished"})
	case 1:
		u.tos ^= 16
	case 2:
		u.field ^= flagDontFragment
	case 3:
		u.ttl ^= 2
	case 4:
		u.payload = make([]byte, rng.IntN(1473))
	case 5:
		u.ports ^= 1
	}
	u.id++
	u.segment = 0
	u.payload = bytes.Clone(u.payload)
	for i := range min(len(u.payload), 40) {
		u.payload[i] = byte(rng.Uint32())
	}
	return u
}

// deliverUDP delivers a batch of datagrams by a link, of several flows that take
// turns, with super-packets and other packets among them.
func (p *pair) deliverUDP(rng *rand.Rand, index uint32) {
	l, plain := p.links[index], p.plain.links[index]
	var raw [][]byte
	flows, expected := make([]udp, 1+rng.IntN(4)), p.expected(index)
	wire := func(frame []byte) {
		plain.rx[0]++
		plain.rx[1] += uint64(len(frame))
		p.plain.deliver(index, frame)
	}
	for range 1 + rng.IntN(64) {
		if rng.IntN(30) == 0 {
			frame := randomFrame(rng, plain.tap)
			if len(frame) == 0 {
				continue // no device gives such
			}
			wire(frame)
			raw = append(raw, append(make([]byte, l.header()), frame...))
			continue
		}
		i := rng.IntN(len(flows))
		flows[i] = randomUDP(rng, flows[i], expected)
		u := flows[i]
		if l.offload < tun.OffloadChecksum && u.checksum == "unfinished" {
			u.checksum = "right"
		}
		if l.offload == tun.OffloadSegmentation && rng.IntN(10) == 0 {
			u.segment = oneOf(rng, []int{1, 7, 100, 500, 1000, 1472})
			u.checksum = "unfinished"
			n := 1 + rng.IntN(min(60*u.segment, 4000))
			u.payload = bytes.Repeat([]byte("super-packet "), n/13+1)[:n]
		}
		ip := u.bytes()
		ethernet := 0
		framed := func(ip []byte) []byte { return ip }
		if plain.tap {
			ethernet = 14
			framed = func(ip []byte) []byte {
				return frame("\x33\x33\x00\x00\x00\x01", etherTypeOf(ip), ip)
			}
		}
		b := framed(ip)
		if l.offload != tun.OffloadNone {
			b = append(u.virtioHeader(ethernet), b...)
		}
		raw = append(raw, b)
		for _, d := range u.datagrams() {
			wire(framed(d))
		}
	}
	p.router.deliver(index, raw...)
}

func (l *link) header() int {
	if l.offload == tun.OffloadNone {
		return 0
	}
	return tun.VirtioHeaderLen
}

func etherTypeOf(ip []byte) uint16 {
	if ip[0]>>4 == 6 {
		return etherTypeIPv6
	}
	return etherTypeIPv4
}

// TestOffloadsAgainstOracle does random things to a forwarder whose links have
// offloads of all kinds, and to the oracle, which gets and sends what would be
// on wires.
func TestOffloadsAgainstOracle(t *testing.T) {
	supers, resent := 0, uint64(0)
	defer func() {
		if supers < 200 || resent < 100 {
			t.Errorf("%d super-packets, %d resent: too few to tell", supers, resent)
		}
	}()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, rng := newPairOf(t, true), rand.New(rand.NewPCG(seed, 2))
				for range 150 {
					p.stepOffloads(rng)
					p.compare()
				}
				s, _ := p.InterfaceStats(simpleLink)
				supers, resent = supers+p.links[1].supers, resent+s.Resent
			})
		})
	}
}

func (p *pair) stepOffloads(rng *rand.Rand) {
	index := uint32(1 + rng.IntN(pairLinks))
	switch rng.IntN(10) {
	case 0:
		c := randomSettings(rng, index)
		c.Separate = rng.IntN(3) == 0
		p.configure(c)
	case 1, 2, 3:
		m := randomMFE(rng)
		m.OIFs = append(m.OIFs, mgm.Iface{Index: 1 + index%pairLinks})
		slices.SortFunc(m.OIFs, func(a, b mgm.Iface) int { return int(a.Index) - int(b.Index) })
		m.OIFs = slices.Compact(m.OIFs)
		p.set(m)
	case 4:
		p.delete(randomFlow(rng))
	default:
		p.deliverUDP(rng, index)
	}
}
