package stack

import (
	"fmt"
	"testing"

	"umroute/tun"
)

// null takes and forgets all frames.
type null struct{ device }

func (*null) Write(frames [][]byte) (int, error) { return len(frames), nil }

// quiet is a stack whose devices forget what they take.
func quiet(b testing.TB, links int) *Stack {
	s, err := New(Config{Forward: true, IGMP: func(uint32, []byte) {}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	for k := 1; k <= links; k++ {
		add(b, s, InterfaceConfig{Index: uint32(k), Name: fmt.Sprint("link", k),
			Device: &null{device{kind: tun.KindTUN}}, Addresses: prefixes(
				fmt.Sprintf("10.%d.%d.1/24", k>>8, k&0xff), fmt.Sprintf("fd00:%x::1/64", k))})
	}
	return s
}

func BenchmarkDeliver(b *testing.B) {
	for _, links := range []int{2, 1000} {
		s := quiet(b, links)
		for name, packet := range map[string][]byte{
			"igmp": v4{from: "10.0.1.2", to: "239.1.1.1", proto: 2, ttl: 1,
				payload: icmp4(0x16, 0, 239, 1, 1, 1)}.bytes(),
			"forward":  udp4("10.0.1.2", "10.0.2.2", 64, make([]byte, 512)),
			"forward6": udp6("fd00:1::2", "fd00:2::2", 64, make([]byte, 512)),
			"echo":     echo4("10.0.1.2", "10.0.1.1", 64, "0123456789"),
			"expired":  udp4("10.0.1.2", "10.0.2.2", 1, nil),
			"ignored":  udp4("10.0.1.2", "239.1.1.1", 64, make([]byte, 512)),
			"martian":  udp4("127.0.0.1", "10.0.2.2", 64, make([]byte, 512)),
		} {
			b.Run(fmt.Sprintf("packet=%s/links=%d", name, links), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					s.Deliver(1, packet)
				}
			})
		}
	}
}

func BenchmarkAddInterface(b *testing.B) {
	s := quiet(b, 1000)
	config := InterfaceConfig{Index: 5000, Name: "another", Device: &null{},
		Addresses: prefixes("172.16.0.1/24", "fd01::1/64")}
	for b.Loop() {
		add(b, s, config)
		if err := s.RemoveInterface(5000); err != nil {
			b.Fatal(err)
		}
	}
}
