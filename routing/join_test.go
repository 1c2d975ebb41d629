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
	tests := []struct {
		name   string
		change func(u *udp)
		want   bool
	}{
		{"alike", func(*udp) {}, true},
		{"unfinished", func(u *udp) { u.checksum = "unfinished" }, true},
		{"another ID", func(u *udp) { u.id = 77 }, true},
		{"shorter", func(u *udp) { u.payload = make([]byte, 1) }, true},
		{"longer", func(u *udp) { u.payload = make([]byte, 101) }, false},
		{"empty", func(u *udp) { u.payload = nil }, false},
		{"no checksum", func(u *udp) { u.checksum = "zero" }, false},
		{"wrong checksum", func(u *udp) { u.checksum = "wrong" }, false},
		{"TTL", func(u *udp) { u.ttl = 8 }, false},
		{"ECN", func(u *udp) { u.tos = 1 }, false},
		{"Don't Fragment", func(u *udp) { u.field = flagDontFragment }, false},
		{"fragment", func(u *udp) { u.field = flagMoreFragments }, false},
		{"port", func(u *udp) { u.ports = 1 }, false},
		{"source", func(u *udp) { u.source = u.source[:len(u.source)-1] + "3" }, false},
	}
	for _, base := range []udp{{source: "10.0.1.2", group: "239.1.1.1"},
		{source: "fd00::2", group: "ff0e::1"}} {
		base.ttl, base.checksum, base.payload = 9, "right", make([]byte, 100)
		for _, tt := range tests {
			second := base
			tt.change(&second)
			if second.field != 0 && base.source == "fd00::2" {
				continue // IPv6 has no such field
			}
			t.Run(tt.name+" of "+base.group, func(t *testing.T) {
				if got := joined(t, base, second); got != tt.want {
					t.Errorf("joined: %v", got)
				}
			})
		}
	}
}

// joined says whether a datagram is joined to one before it.
func joined(t *testing.T, first, second udp) bool {
	w, _ := joinRouter(t, 1)
	for _, u := range []udp{first, second} {
		f := flowOf(u.source, u.group)
		if err := w.forwarder.Plane(f.Group.Is6()).Set(mfe(f, 1, 2)); err != nil {
			t.Fatal(err)
		}
	}
	for i, u := range []udp{first, second} {
		w.sizes[i] = copy(w.views[i], append(u.virtioHeader(0), u.bytes()...))
	}
	w.in = w.port.settings.Load()
	w.sort(2)
	w.join()
	return w.packets[1].joined
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
