package flood

import (
	"net/netip"
	"testing"
	"time"

	"umroute/bench/load"
)

// TestNumbering holds that every number has one place, and that the numbers of
// a flow have no gaps.
func TestNumbering(t *testing.T) {
	for _, g := range []numbering{{1, 1}, {8, 1}, {1, 32}, {3, 32}} {
		next := make([]uint64, g.flows)
		for n := range uint64(1000) {
			flow, sequence := g.locate(n)
			if got := g.number(flow, sequence); got != n {
				t.Fatalf("%+v: number %d is flow %d, sequence %d, is number %d",
					g, n, flow, sequence, got)
			}
			if sequence != next[flow] {
				t.Fatalf("%+v: flow %d: sequence %d follows %d", g, flow, sequence, next[flow])
			}
			next[flow]++
			if want := n / g.run % g.flows; flow != want {
				t.Fatalf("%+v: number %d is of flow %d, want %d", g, n, flow, want)
			}
		}
	}
}

func TestPace(t *testing.T) {
	start := time.Unix(1000, 0)
	p := pace{rate: 10_000} // a burst is 100
	steps := []struct {
		after      time.Duration
		want, took int
	}{
		{0, 1, 1},
		{0, 0, 0},
		{99 * time.Microsecond, 0, 0},
		{100 * time.Microsecond, 1, 1},
		{500 * time.Microsecond, 4, 3},
		{500 * time.Microsecond, 1, 1},
		{10 * time.Millisecond, turn, turn}, // late by 95: it catches up
		{10 * time.Millisecond, turn, turn},
		{10 * time.Millisecond, 31, 31},
		{10 * time.Millisecond, 0, 0},
		{time.Second, turn, turn}, // too late: 100 of 9900 are left
		{time.Second, turn, turn},
		{time.Second, turn, turn},
		{time.Second, 4, 4},
		{time.Second, 0, 0},
	}
	for i, s := range steps {
		if got := p.due(start.Add(s.after)); got != s.want {
			t.Fatalf("step %d, after %v: %d are due, want %d", i, s.after, got, s.want)
		}
		p.took(s.took)
	}
	next := p.next()
	if p.due(next.Add(-2)) != 0 || p.due(next) != 1 {
		t.Errorf("the next is due not at %v", next.Sub(start))
	}
}

var (
	source4 = netip.MustParseAddr("10.200.0.2")
	groups4 = []netip.Addr{netip.MustParseAddr("239.7.0.1"), netip.MustParseAddr("239.7.0.2")}
)

// newJudge expects two flows of 64 bytes.
func newJudge() (*judge, *sink) {
	c := Config{Groups: groups4, Port: 5000, Source: source4, Size: 64}
	return &judge{config: c, run: 77, sizes: c.sizes(), numbering: numbering{2, 1}}, newSink(0, -1, 2)
}

func datagram(t testing.TB, run, flow, sequence uint64, size int) []byte {
	t.Helper()
	d := load.Datagram{Stream: streamOf(run, flow), Sequence: sequence, Sent: time.Unix(1, 0),
		Size: size}
	b, err := d.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestJudge shows each fault to a sink, and expects its count alone to move.
func TestJudge(t *testing.T) {
	good := message{ttl: TTL - 1, from: source4}
	tests := []struct {
		name    string
		message func() message
		want    func(s *sink) uint64
	}{
		{"received", func() message {
			m := good
			m.data = datagram(t, 77, 1, 0, 64)
			return m
		}, func(s *sink) uint64 { return s.received }},
		{"corrupt", func() message {
			m := good
			m.data = datagram(t, 77, 0, 0, 64)
			m.data[63] ^= 1
			return m
		}, func(s *sink) uint64 { return s.corrupt }},
		{"another size", func() message {
			m := good
			m.data = datagram(t, 77, 0, 0, 65)
			return m
		}, func(s *sink) uint64 { return s.corrupt }},
		{"foreign", func() message {
			m := good
			m.data = []byte("no traffic of ours")
			return m
		}, func(s *sink) uint64 { return s.foreign }},
		{"of another run", func() message {
			m := good
			m.data = datagram(t, 78, 0, 0, 64)
			return m
		}, func(s *sink) uint64 { return s.stale }},
		{"of an unknown flow", func() message {
			m := good
			m.data = datagram(t, 77, 2, 0, 64)
			return m
		}, func(s *sink) uint64 { return s.stale }},
	}
	for _, tt := range tests {
		j, s := newJudge()
		j.take(s, tt.message(), time.Unix(2, 0))
		if got := tt.want(s); got != 1 {
			t.Errorf("%s: count %d", tt.name, got)
		}
		sum := s.received + s.corrupt + s.foreign + s.stale
		if sum+s.wrongTTL+s.wrongFrom != 1 {
			t.Errorf("%s: counted more: %+v", tt.name, s)
		}
	}
}

func TestJudgeHeader(t *testing.T) {
	j, s := newJudge()
	wrong := message{data: datagram(t, 77, 0, 0, 64), ttl: TTL, from: groups4[0]}
	j.take(s, wrong, time.Unix(2, 0))
	if s.wrongTTL != 1 || s.wrongFrom != 1 || s.received != 1 {
		t.Errorf("TTL %d, source %d, received %d", s.wrongTTL, s.wrongFrom, s.received)
	}
	s.inspecting = false
	j.take(s, message{data: datagram(t, 77, 0, 1, 64)}, time.Unix(2, 0))
	if s.wrongTTL != 1 || s.wrongFrom != 1 || s.received != 2 {
		t.Errorf("later: TTL %d, source %d, received %d", s.wrongTTL, s.wrongFrom, s.received)
	}
}

// TestJudgeOrder gives a sink everything that can happen to an order.
func TestJudgeOrder(t *testing.T) {
	j, s := newJudge()
	take := func(flow uint64, sequences ...uint64) {
		for _, n := range sequences {
			m := message{data: datagram(t, 77, flow, n, 64), ttl: TTL - 1, from: source4}
			j.take(s, m, time.Unix(2, 0))
		}
	}
	take(0, 0, 1, 3, 2, 2)
	take(1, 0, 4)
	a, b := s.flows[0], s.flows[1]
	if a.Reordered != 1 || a.Duplicates != 1 || a.Lost() != 0 || b.Lost() != 3 {
		t.Errorf("flow 0 %+v, flow 1 lost %d", a, b.Lost())
	}
	// Sequence 4 of flow 1 is number 9. Of 12, 6 different ones have come.
	if s.reached != 10 || s.lost(12) != 6 || s.received != 7 {
		t.Errorf("reached %d, lost %d, received %d", s.reached, s.lost(12), s.received)
	}
}

// TestJudgeSegments takes several datagrams as UDP_GRO gives them.
func TestJudgeSegments(t *testing.T) {
	j, s := newJudge()
	j.times = newTimes(1)
	var data []byte
	for n := range uint64(5) {
		data = append(data, datagram(t, 77, 0, n, 64)...)
	}
	m := message{data: data, segment: 64, ttl: TTL - 1, from: source4}
	j.take(s, m, time.Unix(1, 2000))
	if s.received != 5 || s.flows[0].Highest != 4 || s.corrupt != 0 {
		t.Errorf("received %d up to %d, corrupt %d", s.received, s.flows[0].Highest, s.corrupt)
	}
	if l := j.times.summary(); l.P50.Round(10) != 2000 || l.Max.Round(10) != 2000 {
		t.Errorf("latency %+v, want 2µs", l)
	}
	// A segment size that is wrong cannot go unnoticed.
	j.take(s, message{data: data, segment: 63, ttl: TTL - 1, from: source4}, time.Unix(2, 0))
	if s.corrupt+s.foreign == 0 {
		t.Error("split at the wrong place, all is well")
	}
}

// TestTakeAllocates holds that accounting takes no memory.
func TestTakeAllocates(t *testing.T) {
	j, s := newJudge()
	j.times = newTimes(1)
	m := message{data: datagram(t, 77, 0, 9, 64), ttl: TTL - 1, from: source4}
	if n := testing.AllocsPerRun(100, func() { j.take(s, m, time.Unix(2, 0)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestWindowFor(t *testing.T) {
	for _, tt := range []struct{ window, buffer, size, want int }{
		{1024, 8 << 20, 1400, 1024},
		{1024, 425_984, 512, 184}, // net.core.rmem_max as most machines have it
		{1024, 4608, 512, turn},
		{100, 8 << 20, 64, 100},
	} {
		if got := windowFor(tt.window, tt.buffer, tt.size); got != tt.want {
			t.Errorf("%+v: got %d", tt, got)
		}
	}
}

func TestValidate(t *testing.T) {
	good := Config{Groups: groups4, Port: 5000, Source: source4, Size: 64}
	if err := good.validate(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*Config){
		"no group":       func(c *Config) { c.Groups = nil },
		"no multicast":   func(c *Config) { c.Groups = []netip.Addr{source4} },
		"another family": func(c *Config) { c.Source = netip.MustParseAddr("fd00::1") },
		"too small":      func(c *Config) { c.Size = 31 },
		"too large":      func(c *Config) { c.Size = MaxSize + 1 },
		"no port":        func(c *Config) { c.Port = 0 },
		"negative rate":  func(c *Config) { c.Rate = -1 },
	} {
		c := good
		spoil(&c)
		if c.validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
