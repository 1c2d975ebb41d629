package routing

import (
	"fmt"
	"testing"

	"umroute/tun"
)

// joinRouter is a worker whose links all take super-packets, with one entry to
// a number of outputs, and what its buffers hold before each batch: datagrams
// of that entry's flow, of two ports in turn, and one super-packet.
func joinRouter(t testing.TB, fanout int) (w *worker, fill func()) {
	f := New(Config{})
	var outs []uint32
	for index := range uint32(fanout + 1) {
		l := newLink(tun.KindTUN, 1500)
		l.offload = tun.OffloadSegmentation
		if _, err := f.AddInterface(InterfaceConfig{Index: index + 1, Device: sink{l}}); err != nil {
			t.Fatal(err)
		}
		if index > 0 {
			outs = append(outs, index+1)
		}
	}
	if err := f.Plane(false).Set(mfe(flow4, 1, outs...)); err != nil {
		t.Fatal(err)
	}
	w = newWorker(f, f.port(1))
	s := w.port.settings.Load()
	w.full = true
	for range 4 {
		w.makeBuffers(s)
	}
	saved := make([][]byte, len(w.sizes))
	for i := range saved {
		u := udp{source: "10.0.1.2", group: "239.1.1.1", ttl: 200, ports: uint32(i % 2),
			checksum: "unfinished", payload: make([]byte, 512)}
		if i == 17 {
			u.payload, u.segment = make([]byte, 5000), 512
		}
		saved[i] = append(u.virtioHeader(0), u.bytes()...)
	}
	return w, func() {
		for i := range saved {
			w.sizes[i] = copy(w.views[i], saved[i])
		}
	}
}

// TestJoinAllocates holds that joining takes no memory.
func TestJoinAllocates(t *testing.T) {
	for _, separate := range []bool{false, true} {
		w, fill := joinRouter(t, 3)
		err := w.forwarder.UpdateInterface(InterfaceConfig{Index: 2, Separate: separate})
		if err != nil {
			t.Fatal(err)
		}
		s := w.port.settings.Load()
		n := testing.AllocsPerRun(100, func() {
			fill()
			w.work(len(w.sizes), s)
		})
		if n != 0 {
			t.Errorf("separate %v: %v allocations per batch", separate, n)
		}
	}
}

// BenchmarkJoin takes datagrams of 512 bytes from a batch to the write calls.
func BenchmarkJoin(b *testing.B) {
	for _, fanout := range []int{1, 4} {
		b.Run(fmt.Sprintf("oifs=%d", fanout), func(b *testing.B) {
			w, fill := joinRouter(b, fanout)
			s := w.port.settings.Load()
			b.ReportAllocs()
			for n := 0; n < b.N; n += len(w.sizes) {
				fill()
				w.work(len(w.sizes), s)
			}
		})
	}
}

// TestJoinRules has pairs of datagrams, and says which of them become one.
func TestJoinRules(t *testing.T) {
	base := udp{source: "10.0.1.2", group: "239.1.1.1", ttl: 9, checksum: "right",
		payload: make([]byte, 100)}
	change := func(f func(u *udp)) udp {
		u := base
		f(&u)
		return u
	}
	tests := []struct {
		name   string
		second udp
		want   bool
	}{
		{"alike", base, true},
		{"unfinished", change(func(u *udp) { u.checksum = "unfinished" }), true},
		{"another ID", change(func(u *udp) { u.id = 77 }), true},
		{"shorter", change(func(u *udp) { u.payload = make([]byte, 1) }), true},
		{"longer", change(func(u *udp) { u.payload = make([]byte, 101) }), false},
		{"empty", change(func(u *udp) { u.payload = nil }), false},
		{"no checksum", change(func(u *udp) { u.checksum = "zero" }), false},
		{"wrong checksum", change(func(u *udp) { u.checksum = "wrong" }), false},
		{"TTL", change(func(u *udp) { u.ttl = 8 }), false},
		{"ECN", change(func(u *udp) { u.tos = 1 }), false},
		{"Don't Fragment", change(func(u *udp) { u.field = flagDontFragment }), false},
		{"fragment", change(func(u *udp) { u.field = flagMoreFragments }), false},
		{"port", change(func(u *udp) { u.ports = 1 }), false},
		{"source", change(func(u *udp) { u.source = "10.0.1.3" }), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := joinRouter(t, 1)
			if err := w.forwarder.Plane(false).Set(mfe(flowOf("10.0.1.3", "239.1.1.1"), 1, 2)); err != nil {
				t.Fatal(err)
			}
			for i, u := range []udp{base, tt.second} {
				w.sizes[i] = copy(w.views[i], append(u.virtioHeader(0), u.bytes()...))
			}
			w.in = w.port.settings.Load()
			w.sort(2)
			w.join()
			if got := w.packets[1].joined; got != tt.want {
				t.Errorf("joined: %v", got)
			}
		})
	}
}

// TestVirtioHeaderRefused has headers that do not fit what stands behind them.
func TestVirtioHeaderRefused(t *testing.T) {
	u := udp{source: "10.0.1.2", group: "239.1.1.1", ttl: 9, checksum: "unfinished",
		payload: make([]byte, 100), segment: 10}
	good := append(u.virtioHeader(0), u.bytes()...)
	for name, at := range map[string][2]byte{
		"TCP": {1, 1}, "no checksum": {0, 0}, "segment 0": {4, 0}, "start beyond": {6, 200},
		"field elsewhere": {8, 7}, "start in the header": {6, 4},
	} {
		w, _ := joinRouter(t, 1)
		b := append([]byte(nil), good...)
		b[at[0]] = at[1]
		for length := range len(b) {
			w.sizes[0] = copy(w.views[0], b[:length])
			w.in = w.port.settings.Load()
			if w.sort(1); len(w.packets) != 0 {
				t.Errorf("%s: %d bytes were taken", name, length)
			}
		}
		w.sizes[0] = copy(w.views[0], b)
		if w.sort(1); len(w.packets) != 0 {
			t.Errorf("%s was taken", name)
		}
	}
}
