package flood

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkFill is what the source does for a datagram besides sending it.
func BenchmarkFill(b *testing.B) {
	for _, size := range []int{64, 512, 1400} {
		for _, segment := range []bool{false, true} {
			b.Run(fmt.Sprintf("size=%d/segment=%v", size, segment), func(b *testing.B) {
				c := Config{Groups: groups4, Port: 5000, Source: source4, Size: size,
					Segment: segment}
				s := newSource(c, c.Groups, -1, 1)
				now := time.Now()
				for b.Loop() {
					if _, err := s.fill(turn, now); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*turn), "ns/dgram")
			})
		}
	}
}

// BenchmarkTake is what a sink does for a datagram besides receiving it.
func BenchmarkTake(b *testing.B) {
	for _, size := range []int{64, 512, 1400} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			j, s := newJudge()
			j.sizes, s.inspecting = []int{size}, false
			m := message{data: datagram(b, 77, 0, 9, size)}
			now := time.Now()
			for b.Loop() {
				j.take(s, m, now)
			}
		})
	}
}
