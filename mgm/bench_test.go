package mgm

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"
)

// benchRIB sends every source to interface 1.
type benchRIB struct{}

func (benchRIB) Lookup(netip.Addr) (Route, bool) {
	return Route{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Iface: if1}, true
}

// benchForwarder takes everything.
type benchForwarder struct{ sets int }

func (f *benchForwarder) Set(MFE) error                     { f.sets++; return nil }
func (f *benchForwarder) Delete(Flow)                       {}
func (f *benchForwarder) Stats(Flow) (ForwarderStats, bool) { return ForwarderStats{}, false }

// bench is a manager with routing protocols that listen to everything. Client n holds the
// interfaces whose index is n+1 modulo their number.
type bench struct {
	m       *Manager
	clients []*Client
	alerts  int
}

func newBench(tb testing.TB, clients, ifaces int) *bench {
	m, err := New(Config{RIB: benchRIB{}, Forwarder: &benchForwarder{}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { m.Close() })
	x := &bench{m: m}
	for n := range clients {
		c, err := m.Register(ClientID{Protocol: ProtocolID(n)}, RoleRouting, Callbacks{
			RPF:           func(*RPFQuery) { x.alerts++ },
			CreationAlert: func(*CreationAlert) { x.alerts++ },
			JoinAlert:     func(JoinAlert) { x.alerts++ },
			PruneAlert:    func(*PruneAlert) { x.alerts++ },
		})
		if err != nil {
			tb.Fatal(err)
		}
		x.clients = append(x.clients, c)
	}
	for i := range ifaces {
		if err := x.holder(i).TakeInterface(ifc(uint32(i + 1))); err != nil {
			tb.Fatal(err)
		}
	}
	return x
}

func (x *bench) holder(i int) *Client { return x.clients[i%len(x.clients)] }

func (x *bench) sync(tb testing.TB) {
	if err := x.m.Sync(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func benchGroup(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{239, byte(n >> 16), byte(n >> 8), byte(n)})
}

func benchSource(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func benchFlow(n int) Flow { return Flow{Source: benchSource(n / 10), Group: benchGroup(n)} }

// fill makes n MFEs, with one source for every ten.
func (x *bench) fill(tb testing.TB, n int) []Flow {
	flows := make([]Flow, n)
	for i := range flows {
		flows[i] = benchFlow(i)
		x.m.HandleMiss(flows[i], if1, nil)
		if i%1000 == 0 {
			x.sync(tb)
		}
	}
	x.sync(tb)
	return flows
}

// memberships are entries and interfaces in the shapes that routers see.
func memberships(shape string, n, ifaces int) (entries []Entry, at []int) {
	for k := range n {
		e := Entry{Group: benchGroup(k / ifaces)} // few groups, each everywhere
		switch shape {
		case "groups": // many groups, each at one place
			e.Group = benchGroup(k)
		case "sources": // many (S,G), each at one place
			e = Entry{Source: benchSource(k), Group: benchGroup(k)}
		}
		entries, at = append(entries, e), append(at, k%ifaces)
	}
	return entries, at
}

// BenchmarkMembership adds and deletes memberships, all alerts delivered. The time is for
// one of both; heap-B/membership is what one costs while all are there.
func BenchmarkMembership(b *testing.B) {
	const n, ifaces = 100_000, 1000
	for _, shape := range []string{"dense", "groups", "sources"} {
		name := fmt.Sprintf("shape=%s/memberships=%d/ifaces=%d/clients=8", shape, n, ifaces)
		b.Run(name, func(b *testing.B) {
			entries, at := memberships(shape, n, ifaces)
			var heap uint64
			rounds := 0
			for b.Loop() {
				b.StopTimer()
				x := newBench(b, 8, ifaces)
				x.sync(b)
				before := heapInUse()
				b.StartTimer()
				x.change(b, entries, at, (*Client).AddMembership)
				b.StopTimer()
				heap += heapInUse() - before
				b.StartTimer()
				x.change(b, entries, at, (*Client).DeleteMembership)
				rounds++
			}
			each := b.Elapsed().Nanoseconds() / int64(2*n*rounds)
			b.ReportMetric(float64(each), "ns/change")
			b.ReportMetric(float64(heap)/float64(n*rounds), "heap-B/membership")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func (x *bench) change(b *testing.B, entries []Entry, at []int,
	change func(*Client, Entry, Iface, StateFlags) error) {
	for k, e := range entries {
		if err := change(x.holder(at[k]), e, ifc(uint32(at[k]+1)), JoinState); err != nil {
			b.Fatal(err)
		}
	}
	x.sync(b)
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// BenchmarkMFE looks one entry up, among many: one of few that are asked for again and
// again, or any, which waits for memory.
func BenchmarkMFE(b *testing.B) {
	const oifs = 4
	for _, asked := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("mfes=100000/asked=%d/oifs=%d", asked, oifs), func(b *testing.B) {
			x := newBench(b, 3, 20)
			for i := range oifs {
				_ = x.holder(i+1).AddMembership(Entry{}, ifc(uint32(i+2)), JoinState)
			}
			x.fill(b, 100_000)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n = (n + 7919) % asked
				// Made here, as a list of flows would not be in the cache either.
				if e, err := x.m.MFE(benchFlow(n)); err != nil || len(e.OIFs) != oifs {
					b.Fatal(e, err)
				}
			}
		})
	}
}

// BenchmarkWalk visits all entries, alone and while another goroutine makes changes, whose
// waits are reported.
func BenchmarkWalk(b *testing.B) {
	x := newBench(b, 3, 20)
	_ = x.clients[1].AddMembership(Entry{}, if2, JoinState)
	x.fill(b, 100_000)
	b.Run("mfes=100000", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for range x.m.MFEs() {
				n++
			}
			if n != 100_000 {
				b.Fatal(n)
			}
		}
	})
	b.Run("mfes=100000/changes=yes", func(b *testing.B) {
		stop := make(chan struct{})
		waits := x.disturb(stop)
		for b.Loop() {
			for range x.m.MFEs() {
			}
		}
		close(stop)
		reportWaits(b, <-waits)
	})
}

// disturb joins and leaves a group without flows until stop is closed, and sends how long
// each change took.
func (x *bench) disturb(stop chan struct{}) chan []time.Duration {
	result := make(chan []time.Duration, 1)
	e := Entry{Group: netip.MustParseAddr("239.255.0.1")}
	go func() {
		var waits []time.Duration
		for {
			select {
			case <-stop:
				result <- waits
				return
			case <-time.After(100 * time.Microsecond):
			}
			for _, change := range []func(*Client, Entry, Iface, StateFlags) error{
				(*Client).AddMembership, (*Client).DeleteMembership,
			} {
				start := time.Now()
				_ = change(x.clients[2], e, if3, JoinState)
				waits = append(waits, time.Since(start))
			}
		}
	}()
	return result
}

// BenchmarkJoin joins and leaves a group with many flows; the forwarder has been told of
// all when a join is over.
func BenchmarkJoin(b *testing.B) {
	for _, flows := range []int{1, 1000} {
		b.Run(fmt.Sprintf("flows=%d/mfes=100000", flows), func(b *testing.B) {
			x := newBench(b, 3, 20)
			x.fill(b, 100_000)
			g := Entry{Group: netip.MustParseAddr("239.255.0.2")}
			for n := range flows {
				x.m.HandleMiss(Flow{Source: benchSource(n), Group: g.Group}, if1, nil)
			}
			x.sync(b)
			for b.Loop() {
				_ = x.clients[1].AddMembership(g, if2, JoinState)
				x.sync(b)
				b.StopTimer()
				_ = x.clients[1].DeleteMembership(g, if2, JoinState)
				x.sync(b)
				b.StartTimer()
			}
		})
	}
	b.Run("entry=all/mfes=100000", func(b *testing.B) {
		x := newBench(b, 3, 20)
		x.fill(b, 100_000)
		stop := make(chan struct{})
		waits := x.disturb(stop)
		for b.Loop() {
			_ = x.clients[1].AddMembership(Entry{}, if2, JoinState)
			_ = x.clients[1].DeleteMembership(Entry{}, if2, JoinState)
		}
		close(stop)
		reportWaits(b, <-waits)
	})
}

// BenchmarkMiss takes the first packet of a flow from its report to its entry in the
// forwarder, with three clients: one is asked for the way in, two for the way out.
func BenchmarkMiss(b *testing.B) {
	x := newBench(b, 3, 3)
	_ = x.clients[1].AddMembership(Entry{}, if2, JoinState)
	_ = x.clients[2].AddMembership(Entry{}, if3, JoinState)
	x.sync(b)
	header, n := make([]byte, 64), 0
	b.Run("clients=3", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n++
			f := Flow{Source: benchSource(n), Group: benchGroup(n / 16)}
			x.m.HandleMiss(f, if1, header)
			x.sync(b)
		}
	})
}

// reportWaits reports how long changes waited: half of them, and 99 of 100. The longest is
// left out, as it says more about what else the machine did.
func reportWaits(b *testing.B, waits []time.Duration) {
	if len(waits) == 0 {
		return
	}
	slices.Sort(waits)
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	b.ReportMetric(us(waits[len(waits)/2]), "p50-wait-us")
	b.ReportMetric(us(waits[len(waits)*99/100]), "p99-wait-us")
}
