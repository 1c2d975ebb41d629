package routing

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"umroute/mgm"
	"umroute/tun"
)

// pair is a forwarder and the oracle, which get the same.
type pair struct {
	*router
	plain                   *oracle
	punted, upcalls, tooBig []string
	offloads                bool // the links have some; see superpacket_test.go
}

const (
	pairLinks = 6
	notThere  = 7 // an interface that entries name and nobody adds
)

func newPair(t testing.TB) *pair { return newPairOf(t, false) }

func newPairOf(t testing.TB, offloads bool) *pair {
	p := &pair{plain: newOracle(), offloads: offloads}
	p.router = newRouter(t, Config{
		Punt: func(index uint32, frame []byte) {
			p.punted = append(p.punted, fmt.Sprintf("%d %x", index, frame))
		},
		TooBig: func(index uint32, packet []byte, mtu int) {
			p.tooBig = append(p.tooBig, fmt.Sprintf("%d %d %x", index, mtu, packet))
		},
		MissRate:    1 << 20,
		WrongIfRate: 1 << 20,
	})
	p.Bind(false, p)
	p.Bind(true, p)
	for index := range uint32(pairLinks) {
		p.addLink(index + 1)
	}
	p.plain.links[notThere] = &oracleLink{drops: make(map[string]uint64)}
	return p
}

func (p *pair) HandleMiss(f mgm.Flow, arrival mgm.Iface, header []byte) {
	p.upcalls = append(p.upcalls, fmt.Sprintf("miss %v %d %x", f, arrival.Index, header))
}

func (p *pair) HandleWrongIf(f mgm.Flow, arrival mgm.Iface, header []byte) {
	p.upcalls = append(p.upcalls, fmt.Sprintf("wrongif %v %d %x", f, arrival.Index, header))
}

// addLink attaches interface index: TUNs and TAPs in turn.
func (p *pair) addLink(index uint32) {
	kind := tun.KindTUN
	if index%2 == 0 {
		kind = tun.KindTAP
	}
	l := newLink(kind, 1500)
	if p.offloads {
		l.offload = linkOffloads[index-1]
		l.simple = index == simpleLink
	}
	p.router.addLink(InterfaceConfig{Index: index, MTU: 1500}, l)
	p.plain.links[index] = &oracleLink{tap: kind == tun.KindTAP, drops: make(map[string]uint64)}
	p.configure(InterfaceConfig{Index: index, MTU: 1500})
}

// configure changes the settings of an interface on both sides.
func (p *pair) configure(c InterfaceConfig) {
	c.Device = p.links[c.Index]
	c.HardwareAddr = hardware(c.Index)
	if err := p.UpdateInterface(c); err != nil {
		p.t.Fatal(err)
	}
	p.plain.links[c.Index].config = c
}

func (p *pair) set(m mgm.MFE) {
	p.router.set(m)
	p.plain.set(m)
}

func (p *pair) delete(f mgm.Flow) {
	p.Plane(f.Group.Is6()).Delete(f)
	delete(p.plain.entries, f)
}

func (p *pair) deliver(index uint32, frames ...[]byte) {
	p.router.deliver(index, frames...)
	for _, frame := range frames {
		p.plain.deliver(index, frame)
	}
}

// compare fails the test where the two differ in anything to be seen.
func (p *pair) compare() {
	p.t.Helper()
	check := func(what string, want, got any) {
		p.t.Helper()
		if diff := cmp.Diff(want, got, cmp.Comparer(equalAddr)); diff != "" {
			p.t.Fatalf("%s (-oracle +forwarder):\n%s", what, diff)
		}
	}
	for index, l := range p.links {
		plain := p.plain.links[index]
		sent := l.take()
		if p.offloads {
			p.compareTraffic(index, sent)
			sent, plain.sent = p.sorted(l, l.single(p.t, sent)), p.sorted(l, plain.sent)
		}
		p.compareFrames(index, plain.sent, sent)
		plain.sent = nil
		s, _ := p.InterfaceStats(index)
		check(fmt.Sprintf("drops of %d", index), plain.drops, s.Drops)
	}
	check("punted", p.plain.punted, p.punted)
	check("upcalls", p.plain.upcalls, p.upcalls)
	if p.offloads {
		p.plain.tooBig, p.tooBig = p.told(p.plain.tooBig), p.told(p.tooBig)
	}
	check("too big", p.plain.tooBig, p.tooBig)
	p.plain.punted, p.plain.upcalls, p.plain.tooBig = nil, nil, nil
	p.punted, p.upcalls, p.tooBig = nil, nil, nil
	for f, e := range p.plain.entries {
		got, _ := p.Plane(f.Group.Is6()).Stats(f)
		check(fmt.Sprint("statistics of ", f), e.all(), got)
	}
	for r, e := range p.plain.ranges {
		got, _ := p.RangeStats(r)
		check(fmt.Sprint("statistics of ", r), e.all(), got)
	}
	s := p.Forwarder.Stats()
	check("flows", [2]int{len(p.plain.entries), len(p.plain.waiting)}, [2]int{s.Flows, s.Waiting})
}

var (
	randomSources4 = []string{"10.0.1.2", "10.0.1.3", "192.0.2.9", "10.0.1.2", "10.0.1.3",
		"0.0.0.0", "169.254.7.7", "127.0.0.1", "224.1.1.1", "255.255.255.255"}
	randomGroups4 = []string{"239.1.1.1", "239.255.1.1", "232.1.1.1", "224.0.1.1", "239.1.1.1",
		"224.0.0.5", "10.0.0.9"}
	randomSources6 = []string{"fd00::2", "fd00::3", "2001:db8::1", "fd00::2", "fd00::3",
		"::", "::1", "fe80::5", "ff0e::9", "::ffff:10.0.1.2"}
	randomGroups6 = []string{"ff0e::1", "ff05::1", "ff35::1", "ff03::9", "ff0e::1",
		"ff0f::1", "ff00::1", "ff01::1", "ff02::1", "fd00::9"}
	randomSizes = []int{0, 1, 8, 20, 100, 548, 549, 556, 1200, 1472, 1480, 1481, 1900}
)

func oneOf[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

// randomFlow draws a flow that can have an entry.
func randomFlow(rng *rand.Rand) mgm.Flow {
	if rng.IntN(2) == 0 {
		return flowOf(randomSources4[rng.IntN(3)], randomGroups4[rng.IntN(4)])
	}
	return flowOf(randomSources6[rng.IntN(3)], randomGroups6[rng.IntN(4)])
}

// randomIP draws a packet, mostly of a flow of randomFlow and mostly sound.
func randomIP(rng *rand.Rand) []byte {
	payload := make([]byte, oneOf(rng, randomSizes))
	for i := range payload {
		payload[i] = byte(rng.Uint32())
	}
	ttl := byte(rng.IntN(9))
	if rng.IntN(2) == 0 {
		p := ipv4{source: oneOf(rng, randomSources4), group: oneOf(rng, randomGroups4),
			ttl: ttl, id: uint16(rng.Uint32()), payload: payload}
		switch rng.IntN(6) {
		case 0:
			p.field = flagDontFragment
		case 1:
			p.field = uint16(rng.Uint32()) &^ flagDontFragment
		case 2:
			p.options = oneOf(rng, [][]byte{{148, 4, 0, 0}, {7, 7, 4, 0, 0, 0, 0, 1},
				{1, 131, 3, 4, 1, 7, 3, 4}, make([]byte, 40), {9, 9, 9, 9}})
		case 3:
			p.protocol = oneOf(rng, []byte{2, 103, 6, 255})
		}
		return p.bytes()
	}
	p := ipv6{source: oneOf(rng, randomSources6), group: oneOf(rng, randomGroups6),
		hops: ttl, payload: payload}
	switch rng.IntN(4) {
	case 0:
		p.hopByHop = []byte{oneOf(rng, []byte{58, 17, 103}), byte(rng.IntN(3)), 5, 2, 0, 0, 1, 0}
		if len(payload) > 0 {
			payload[0] = byte(126 + rng.IntN(20))
		}
	case 1:
		p.next = oneOf(rng, []byte{44, 58, 103})
	}
	return p.bytes()
}

// randomFrame draws what a link of the kind may bring, at times broken.
func randomFrame(rng *rand.Rand, tap bool) []byte {
	b := randomIP(rng)
	switch rng.IntN(12) {
	case 0:
		b = b[:rng.IntN(len(b)+1)]
	case 1:
		b[rng.IntN(min(len(b), 60))] ^= 1 << rng.IntN(8)
	case 2:
		b = append(b, make([]byte, rng.IntN(30))...)
	}
	if !tap {
		return b
	}
	etherType := uint16(etherTypeIPv4)
	if len(b) > 0 && b[0]>>4 == 6 {
		etherType = etherTypeIPv6
	}
	switch rng.IntN(12) {
	case 0:
		etherType = oneOf(rng, []uint16{etherTypeIPv4, etherTypeIPv6, 0x0806, 0x8100})
	case 1:
		return frame("\x02\x00\x00\x00\x00\x01", etherType, b)
	case 2:
		return frame("\xff\xff\xff\xff\xff\xff", etherType, b)
	case 3:
		b = frame("\x01\x00\x5e\x01\x01\x01", etherType, b)
		return b[:rng.IntN(16)%len(b)]
	}
	return frame("\x33\x33\x00\x00\x00\x01", etherType, b)
}

// randomMFE draws an entry with any outputs, its input among them at times.
func randomMFE(rng *rand.Rand) mgm.MFE {
	m := mfe(randomFlow(rng), uint32(1+rng.IntN(pairLinks)))
	for index := range uint32(notThere) {
		if rng.IntN(2) == 0 {
			m.OIFs = append(m.OIFs, mgm.Iface{Index: index + 1})
		}
	}
	if rng.IntN(4) == 0 {
		m.OIFs = nil
	}
	return m
}

// randomSettings draws new settings for an interface.
func randomSettings(rng *rand.Rand, index uint32) InterfaceConfig {
	c := InterfaceConfig{Index: index, MTU: oneOf(rng, []int{68, 576, 1280, 1500, 1500})}
	c.TTLThreshold = oneOf(rng, []uint8{0, 0, 1, 2, 5})
	if rng.IntN(5) == 0 {
		c.Domain = "other"
	}
	if rng.IntN(4) == 0 {
		c.Boundary = prefixes(oneOf(rng, [][]string{{"239.255.0.0/16"}, {"ff05::/16"},
			{"232.0.0.0/8"}, {"ff35::1/128", "239.1.1.1/32"}})...)
	}
	return c
}

// TestAgainstOracle does random things to a forwarder and the oracle.
func TestAgainstOracle(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, rng := newPair(t), rand.New(rand.NewPCG(seed, 1))
				for range 400 {
					p.step(rng)
					p.compare()
				}
			})
		})
	}
}

// step does one random thing to both.
func (p *pair) step(rng *rand.Rand) {
	index := uint32(1 + rng.IntN(pairLinks))
	switch rng.IntN(12) {
	case 10:
		p.setRange(randomRange(rng), randomMFE(rng))
	case 11:
		p.deleteRange(randomRange(rng))
	case 0:
		p.configure(randomSettings(rng, index))
	case 1, 2, 3:
		p.set(randomMFE(rng))
	case 4:
		p.delete(randomFlow(rng))
	default:
		var frames [][]byte
		for range 1 + rng.IntN(64) {
			frames = append(frames, randomFrame(rng, p.plain.links[index].tap))
		}
		p.deliver(index, frames...)
	}
}

// FuzzForward delivers any bytes to a TUN and a TAP, with an entry for the
// flow that they may be of.
func FuzzForward(f *testing.F) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 30 {
		f.Add(randomIP(rng), uint16(576))
	}
	f.Fuzz(func(t *testing.T, b []byte, mtu uint16) {
		if len(b) > 1500 {
			return
		}
		p := newPair(t)
		p.configure(InterfaceConfig{Index: 3, MTU: max(68, int(mtu))})
		p.configure(InterfaceConfig{Index: 4, MTU: max(68, int(mtu)), TTLThreshold: 5})
		framed := frame("\x33\x33\x00\x00\x00\x01", etherTypeIPv6, b)
		if len(b) > 0 && b[0]>>4 == 4 {
			framed = frame("\x01\x00\x5e\x01\x02\x03", etherTypeIPv4, b)
		}
		p.deliver(1, b)
		p.deliver(2, framed, b)
		p.compare()
		if data, what := oracleParse(b); what == "data" {
			p.set(mfe(data.flow, 1, 2, 3, 4, 5, notThere))
		}
		p.deliver(1, b, b)
		p.deliver(2, framed)
		p.compare()
	})
}
