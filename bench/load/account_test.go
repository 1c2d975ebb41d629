package load

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	alice = netip.MustParseAddr("10.0.1.2")
	bob   = netip.MustParseAddr("fd00::2")
)

var addressesEqual = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})

// arrive accounts for a datagram that was under way for some time.
func arrive(t testing.TB, a *account, from netip.Addr, d Datagram, ttl int, took time.Duration) {
	t.Helper()
	a.record(d.Sent.Add(took), arrival{encode(t, d), from, 3, ttl})
}

func TestAccount(t *testing.T) {
	var a account
	d := Datagram{Stream: 1, Sent: time.Unix(1_700_000_000, 0), Size: 100}
	at := func(n uint64) Datagram { d := d; d.Sequence = n; return d }
	arrive(t, &a, alice, at(10), 7, 2*time.Millisecond)
	arrive(t, &a, alice, at(13), 5, time.Millisecond)
	arrive(t, &a, alice, at(12), 6, 3*time.Millisecond)
	arrive(t, &a, alice, at(12), 6, 2*time.Millisecond)
	arrive(t, &a, bob, at(4), 64, -time.Second)

	a.record(d.Sent, arrival{[]byte("hello"), alice, 3, 7})
	damaged := encode(t, at(14))
	damaged[99]++
	a.record(d.Sent, arrival{damaged, alice, 3, 7})
	damaged[9]++ // the stream's number
	a.record(d.Sent, arrival{damaged, alice, 3, 7})
	a.record(d.Sent, arrival{damaged[:7], alice, 3, 7})

	ms := time.Millisecond
	want := ReceiveReport{
		Received: 4, Bytes: 500, Lost: 1, Reordered: 1, Duplicates: 1, Corrupt: 3, Foreign: 1,
		Streams: []StreamReport{{
			Source: alice, Stream: 1, Interface: 3, Received: 3, Bytes: 400, First: 10, Last: 13,
			Lost: 1, Reordered: 1, Duplicates: 1, Corrupt: 1, TTLMin: 5, TTLMax: 7,
			Latency: Latency{Min: ms, Mean: 2 * ms, P50: 2 * ms, P99: 3 * ms, Max: 3 * ms},
		}, {
			Source: bob, Stream: 1, Interface: 3, Received: 1, Bytes: 100, First: 4, Last: 4,
			TTLMin: 64, TTLMax: 64, Latency: Latency{Negative: 1},
		}},
	}
	// The histogram keeps three digits.
	near := cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() <= a/1000 })
	if diff := cmp.Diff(want, a.report(), near, addressesEqual); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if a.received != 5 {
		t.Errorf("received %d intact datagrams, want 5", a.received)
	}
}

// TestAccountLatencyRange holds that latencies beyond the histogram count.
func TestAccountLatencyRange(t *testing.T) {
	var a account
	arrive(t, &a, alice, sample(100), 7, time.Hour)
	got := a.report().Streams[0].Latency
	if got.Min != time.Hour || got.Max != time.Hour || got.P50 != time.Hour {
		t.Errorf("latency is %+v, want an hour", got)
	}
}

func TestAccountManyStreams(t *testing.T) {
	var a account
	for id := range StreamID(maxStreams + 3) {
		arrive(t, &a, alice, Datagram{Stream: id, Size: MinSize}, 1, 0)
	}
	r := a.report()
	if r.Untracked != 3 || r.Received != maxStreams || len(r.Streams) != maxStreams {
		t.Errorf("untracked %d, received %d, %d streams", r.Untracked, r.Received, len(r.Streams))
	}
}

func TestAccountAllocations(t *testing.T) {
	var a account
	d := sample(100)
	p := arrival{encode(t, d), alice, 3, 7}
	a.record(d.Sent, p)
	if n := testing.AllocsPerRun(100, func() { a.record(d.Sent.Add(time.Second), p) }); n != 0 {
		t.Errorf("%v allocations per datagram", n)
	}
}

func BenchmarkAccount(b *testing.B) {
	var a account
	d := sample(512)
	p := arrival{encode(b, d), alice, 3, 7}
	now := d.Sent.Add(time.Millisecond)
	b.ReportAllocs()
	for b.Loop() {
		a.record(now, p)
	}
}
