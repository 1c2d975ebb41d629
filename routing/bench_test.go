package routing

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"umroute/mgm"
	"umroute/tun"
)

// sink is a device that takes everything and keeps nothing.
type sink struct{ *link }

func (sink) Write(bufs [][]byte) (int, error) { return len(bufs), nil }

// benchFlow is flow number n of the benchmarks.
func benchFlow(n int, v6 bool) mgm.Flow {
	if v6 {
		var a [16]byte
		a[0] = 0xfd
		binary.BigEndian.PutUint32(a[12:], uint32(n+1))
		return mgm.Flow{Source: netip.AddrFrom16(a), Group: netip.MustParseAddr("ff0e::1")}
	}
	source := [4]byte{10}
	binary.BigEndian.PutUint32(source[:], 10<<24+uint32(n+1))
	return mgm.Flow{
		Source: netip.AddrFrom4(source),
		Group:  netip.AddrFrom4([4]byte{239, 1, byte(n >> 3), byte(n)}),
	}
}

// bench64 is a 64 byte packet of a flow.
func bench64(f mgm.Flow) []byte {
	if f.Group.Is6() {
		return ipv6{source: f.Source.String(), group: f.Group.String(), hops: 200,
			payload: make([]byte, 24)}.bytes()
	}
	return ipv4{source: f.Source.String(), group: f.Group.String(), ttl: 200,
		payload: make([]byte, 44)}.bytes()
}

// benchRouter has one input, fanout outputs that keep nothing, and flows
// entries from the one to the others.
func benchRouter(b testing.TB, flows, fanout int, v6 bool, kind tun.Kind) *worker {
	f := New(Config{})
	add := func(index uint32, kind tun.Kind) *port {
		config := InterfaceConfig{Index: index, Device: sink{newLink(kind, 1500)}}
		config.HardwareAddr = hardware(index)
		i, err := f.AddInterface(config)
		if err != nil {
			b.Fatal(err)
		}
		return i.port
	}
	in := add(1, tun.KindTUN)
	outs := make([]uint32, fanout)
	for i := range outs {
		outs[i] = uint32(i + 2)
		add(outs[i], kind)
	}
	for n := range flows {
		f.Plane(v6).Set(mfe(benchFlow(n, v6), 1, outs...))
	}
	w := newWorker(f, in)
	w.makeBuffers(in.settings.Load())
	return w
}

// benchWork times batches of 64 packets, each of a flow drawn at random.
func benchWork(b *testing.B, w *worker, flows int, v6 bool) {
	const held = 1 << 13
	rng := rand.New(rand.NewPCG(1, 1))
	packets := make([][64]byte, held)
	for i := range packets {
		copy(packets[i][:], bench64(benchFlow(rng.IntN(flows), v6)))
	}
	s := w.port.settings.Load()
	next := 0
	b.ReportAllocs()
	b.ResetTimer()
	began := processorTime()
	for n := 0; n < b.N; n += len(w.sizes) {
		for i := range w.sizes {
			// As a device would do: this copy is part of the figure.
			w.sizes[i] = copy(w.views[i], packets[next&(held-1)][:])
			next++
		}
		w.work(len(w.sizes), s)
	}
	b.ReportMetric(float64(processorTime()-began)/float64(b.N), "cpu-ns/packet")
}

// processorTime is what this process has used so far, which other processes
// disturb less than they disturb the time that passes.
func processorTime() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkForward takes 64 byte packets from a batch to the write calls.
func BenchmarkForward(b *testing.B) {
	run := func(name string, flows, fanout int, v6 bool, kind tun.Kind) {
		name = fmt.Sprintf("%s/flows=%d/oifs=%d", name, flows, fanout)
		b.Run(name, func(b *testing.B) {
			w := benchRouter(b, flows, fanout, v6, kind)
			benchWork(b, w, flows, v6)
		})
	}
	for _, fanout := range []int{1, 4, 16} {
		run("ipv4", 1000, fanout, false, tun.KindTUN)
	}
	run("ipv4", 1, 4, false, tun.KindTUN)
	run("ipv4", 100_000, 4, false, tun.KindTUN)
	run("ipv4", 1_000_000, 1, false, tun.KindTUN)
	run("ipv6", 1000, 4, true, tun.KindTUN)
	run("ipv4-tap", 1000, 4, false, tun.KindTAP)
}

// BenchmarkForwardWide spreads the packets over a million flows, all of them
// in turn, so that next to nothing of an entry is in a cache.
func BenchmarkForwardWide(b *testing.B) {
	const flows = 1_000_000
	w := benchRouter(b, flows, 1, false, tun.KindTUN)
	packet := bench64(benchFlow(0, false))
	order := rand.New(rand.NewPCG(2, 2)).Perm(flows)
	s := w.port.settings.Load()
	b.ResetTimer()
	b.ReportAllocs()
	began := processorTime()
	next := 0
	for n := 0; n < b.N; n += len(w.sizes) {
		for i := range w.sizes {
			b := w.views[i]
			copy(b, packet)
			rewrite(b, order[next%flows])
			w.sizes[i] = len(packet)
			next++
		}
		w.work(len(w.sizes), s)
	}
	b.ReportMetric(float64(processorTime()-began)/float64(b.N), "cpu-ns/packet")
}

// rewrite makes b, a packet of bench64, one of flow n.
func rewrite(b []byte, n int) {
	binary.BigEndian.PutUint32(b[12:], 10<<24+uint32(n+1))
	b[18], b[19] = byte(n>>3), byte(n)
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], ^sum(b[:20]))
}

// BenchmarkRewrite is what BenchmarkForwardWide does besides.
func BenchmarkRewrite(b *testing.B) {
	packet := bench64(benchFlow(0, false))
	order := rand.New(rand.NewPCG(2, 2)).Perm(1_000_000)
	buf := make([]byte, 64*2048)
	for n := 0; b.Loop(); n++ {
		at := buf[n%64*2048:]
		copy(at, packet)
		rewrite(at, order[n%len(order)])
	}
}

// BenchmarkSet replaces entries of a table, one taken at random after the other:
// by the same, or by one with other outputs.
func BenchmarkSet(b *testing.B) {
	const flows = 100_000
	for _, fanout := range []int{1, 4} {
		for _, lists := range []int{1, 2} {
			name := fmt.Sprintf("replace/flows=%d/oifs=%d/lists=%d", flows, fanout, lists)
			b.Run(name, func(b *testing.B) {
				w := benchRouter(b, flows, fanout+1, false, tun.KindTUN)
				var outs [2][]mgm.Iface
				for i := range fanout {
					outs[0] = append(outs[0], mgm.Iface{Index: uint32(i + 2)})
					outs[1] = append(outs[1], mgm.Iface{Index: uint32(i + 3)})
				}
				order := rand.New(rand.NewPCG(3, 3)).Perm(flows)
				m := mgm.MFE{In: mgm.Iface{Index: 1}}
				set := func(n int) {
					m.Flow = benchFlow(order[n%flows], false)
					m.OIFs = outs[n/flows%lists]
					w.forwarder.planes[0].Set(m)
				}
				for n := range flows {
					set(n)
				}
				b.ReportAllocs()
				for n := flows; b.Loop(); n++ {
					set(n)
				}
			})
		}
	}
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		f := New(Config{})
		for n := 0; b.Loop(); n++ {
			f.planes[0].Set(mfe(benchFlow(n, false), 1, 2))
		}
	})
}

// BenchmarkTable times the table alone.
func BenchmarkTable(b *testing.B) {
	for _, flows := range []int{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("lookup/flows=%d", flows), func(b *testing.B) {
			t := newTable()
			keys := make([]key, flows)
			for n := range keys {
				keys[n] = keyOf(benchFlow(n, false))
				t.put(&entry{key: keys[n]})
			}
			rand.New(rand.NewPCG(4, 4)).Shuffle(flows, func(i, j int) {
				keys[i], keys[j] = keys[j], keys[i]
			})
			for n := 0; b.Loop(); n++ {
				if t.lookup(&keys[n%flows]) == nil {
					b.Fatal("not found")
				}
			}
		})
	}
}

// BenchmarkTablePut replaces entries in the table alone.
func BenchmarkTablePut(b *testing.B) {
	const flows = 100_000
	t := newTable()
	entries := make([]*entry, flows)
	for n := range entries {
		entries[n] = &entry{key: keyOf(benchFlow(n, false))}
		t.put(entries[n])
	}
	rand.New(rand.NewPCG(4, 4)).Shuffle(flows, func(i, j int) {
		entries[i], entries[j] = entries[j], entries[i]
	})
	for n := 0; b.Loop(); n++ {
		t.put(entries[n%flows])
	}
}

// BenchmarkMiss floods a router with new flows beyond its limits.
func BenchmarkMiss(b *testing.B) {
	w := benchRouter(b, 0, 1, false, tun.KindTUN)
	packet := bench64(benchFlow(0, false))
	s := w.port.settings.Load()
	b.ReportAllocs()
	for n := 0; n < b.N; n += len(w.sizes) {
		for i := range w.sizes {
			w.sizes[i] = copy(w.views[i], packet)
			rewrite(w.views[i], n+i)
		}
		w.work(len(w.sizes), s)
	}
}

// TestForwardAllocates holds that a batch of known flows takes no memory, to
// TUNs and to TAPs, for both families, with fragments and drops among them.
func TestForwardAllocates(t *testing.T) {
	for _, kind := range []tun.Kind{tun.KindTUN, tun.KindTAP} {
		for _, v6 := range []bool{false, true} {
			w := benchRouter(t, 100, 4, v6, kind)
			f := w.forwarder
			f.UpdateInterface(InterfaceConfig{Index: 3, MTU: 68, HardwareAddr: hardware(3)})
			f.UpdateInterface(InterfaceConfig{Index: 4, TTLThreshold: 250, HardwareAddr: hardware(4)})
			f.planes[0].Set(mfe(benchFlow(7, false), 2, 3))
			f.planes[1].Set(mfe(benchFlow(8, true), 1))
			long := ipv4{source: "10.0.0.4", group: "239.1.0.3", ttl: 9, payload: make([]byte, 900)}
			s := w.port.settings.Load()
			batch := func() {
				for i := range w.sizes {
					w.sizes[i] = copy(w.views[i], bench64(benchFlow(i, v6)))
				}
				w.sizes[5] = copy(w.views[5], long.bytes())
				w.sizes[6] = 13
			}
			batch()
			w.work(len(w.sizes), s)
			saved := make([][]byte, len(w.sizes))
			batch()
			for i := range saved {
				saved[i] = append(saved[i], w.views[i][:w.sizes[i]]...)
			}
			n := testing.AllocsPerRun(100, func() {
				for i := range saved {
					w.sizes[i] = copy(w.views[i], saved[i])
				}
				w.work(len(w.sizes), s)
			})
			if n != 0 {
				t.Errorf("kind %d, IPv6 %v: %v allocations per batch", kind, v6, n)
			}
		}
	}
}
