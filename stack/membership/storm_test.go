package membership

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"umroute/stack/igmp"
)

// checkBounds demands that the interface keeps to its limits.
func checkBounds(t *testing.T, r *Router, config InterfaceConfig) {
	t.Helper()
	l := r.links[1]
	hosts, hostSources, learnt := 0, 0, 0
	for _, g := range l.groups {
		if g.learnt {
			learnt++
		}
		if len(g.sources) > config.MaxSources {
			t.Fatalf("%s: %d sources", g.address, len(g.sources))
		}
		if len(g.hosts) > maxHosts {
			t.Fatalf("%s: %d hosts", g.address, len(g.hosts))
		}
		hosts += len(g.hosts)
		for i := range g.hosts {
			hostSources += len(g.hosts[i].sources)
		}
	}
	if len(l.groups) > config.MaxGroups || learnt != l.learnt {
		t.Fatalf("%d groups, %d learnt, %d counted", len(l.groups), learnt, l.learnt)
	}
	if (budget{hosts, hostSources}) != l.tracked {
		t.Fatalf("%d hosts with %d sources, counted %+v", hosts, hostSources, l.tracked)
	}
	if len(r.alarms.heap) > len(l.groups)+1 {
		t.Fatalf("%d alarms for %d groups", len(r.alarms.heap), len(l.groups))
	}
}

// checkForgotten lets all timers run out and demands that nothing is left.
func checkForgotten(t *testing.T, b *bench) {
	t.Helper()
	// The longest robustness that a querier can tell, times the longest interval
	// of a test.
	b.advance(b.now.Add(maxQRV*time.Hour + time.Hour))
	l := b.router.links[1]
	if len(l.groups) != 0 || l.learnt != 0 || l.tracked != (budget{}) || len(b.view) != 0 {
		t.Errorf("left: %d groups, %d learnt, %+v, %d memberships",
			len(l.groups), l.learnt, l.tracked, len(b.view))
	}
	if n := len(b.router.alarms.heap); n != 1 {
		t.Errorf("%d alarms left, want that of the interface", n)
	}
}

// A storm of random reports stays within the limits and leaves nothing.
func TestStorm(t *testing.T) {
	config := defaults(IGMP)
	config.Prefixes = nil
	config.MaxGroups, config.MaxSources = 100, 20
	for _, fast := range []bool{false, true} {
		config.FastLeave = fast
		random := rand.New(rand.NewPCG(3, 4))
		b := newBench(t, IGMP, config)
		b.do([]string{"add"})
		var report igmp.Report
		var packet []byte
		for i := range 100_000 {
			record := igmp.Record{Type: igmp.RecordType(1 + random.IntN(6)),
				Group: random4(random, 239, 1<<12)}
			for range random.IntN(30) {
				record.Sources = append(record.Sources, random4(random, 10, 1<<10))
			}
			report.Records = append(report.Records[:0], record)
			host := random4(random, 172, 1<<(1+random.IntN(20)))
			packet, _ = igmp.AppendPacket(packet[:0], host, igmp.AllV3Routers, &report)
			b.router.Handle(b.now, 1, packet)
			if i%1000 == 0 {
				b.advance(b.now.Add(time.Duration(random.IntN(3000)) * time.Millisecond))
				checkBounds(t, b.router, config)
			}
			b.lines = b.lines[:0]
		}
		checkBounds(t, b.router, config)
		checkForgotten(t, b)
	}
}

// Reports of 1,000 records each, of all types, groups and sources: between two
// of them there is room for what is due, and the limits hold after each.
func TestStormOfRecords(t *testing.T) {
	config := defaults(IGMP)
	config.MaxGroups, config.MaxSources = 500, 50
	random := rand.New(rand.NewPCG(7, 8))
	b := newBench(t, IGMP, config)
	b.do([]string{"add"})
	report := igmp.Report{Records: make([]igmp.Record, 1000)}
	var packet []byte
	queries := 0
	for range 500 {
		for i := range report.Records {
			r := &report.Records[i]
			r.Type = igmp.RecordType(random.IntN(8))
			r.Group = random4(random, byte(224+random.IntN(16)), 1<<(1+random.IntN(20)))
			r.Sources = r.Sources[:0]
			for range random.IntN(8) {
				r.Sources = append(r.Sources, random4(random, byte(random.IntN(256)), 1<<10))
			}
		}
		host := addr("10.0.1.9")
		packet, _ = igmp.AppendPacket(packet[:0], host, igmp.AllV3Routers, &report)
		b.router.Handle(b.now, 1, packet)
		checkBounds(t, b.router, config)
		b.advance(b.now.Add(time.Second))
		for _, line := range b.lines {
			if strings.Contains(line, "query v3 * ") {
				queries++
			}
		}
		b.lines = b.lines[:0]
	}
	// At 0 s, 31.25 s, and each 125 s from there.
	if queries != 5 {
		t.Errorf("%d general queries in 500 s of storm, want 5", queries)
	}
	checkForgotten(t, b)
}

// random4 returns an address of net/8 with n possible values.
func random4(random *rand.Rand, net byte, n int) netip.Addr {
	value := uint32(net)<<24 | 1<<20 | uint32(random.IntN(n))
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, value)))
}

// More hosts in a group than are tracked: fast leave asks again, since it
// cannot know them all.
func TestCrowd(t *testing.T) {
	config := defaults(IGMP)
	withFastLeave(&config)
	config.Prefixes = nil
	b := newBench(t, IGMP, config)
	b.do([]string{"add"})
	host := addr("172.16.0.0")
	for range maxHosts + 1 {
		host = host.Next()
		b.router.Handle(b.now, 1, b.report(host, "TO_EX", addr("239.1.1.1"), nil))
	}
	if g, _ := b.group("239.1.1.1"); len(g.Reporters) != maxHosts {
		t.Errorf("%d hosts tracked", len(g.Reporters))
	}
	for ; host != addr("172.16.0.0"); host = host.Prev() {
		b.router.Handle(b.now, 1, b.report(host, "TO_IN", addr("239.1.1.1"), nil))
	}
	if _, ok := b.group("239.1.1.1"); !ok {
		t.Error("left at once, though a host was not tracked")
	}
	b.advance(b.now.Add(2 * time.Second))
	if _, ok := b.group("239.1.1.1"); ok {
		t.Error("not left after the last member query time")
	}
}

// A host with more sources than are tracked counts as wanting all.
func TestGreedyHost(t *testing.T) {
	config := defaults(IGMP)
	withFastLeave(&config)
	config.Prefixes = nil
	b := newBench(t, IGMP, config)
	b.do([]string{"add"})
	var sources []netip.Addr
	for a := addr("10.9.0.1"); len(sources) <= maxHostSources; a = a.Next() {
		sources = append(sources, a)
	}
	group := addr("232.1.1.1")
	b.router.Handle(b.now, 1, b.report(addr("172.16.0.1"), "ALLOW", group, sources))
	b.router.Handle(b.now, 1, b.report(addr("172.16.0.2"), "ALLOW", group, sources[:1]))
	b.router.Handle(b.now, 1, b.report(addr("172.16.0.2"), "TO_IN", group, nil))
	if g, _ := b.group("232.1.1.1"); len(g.Sources) != len(sources) {
		t.Errorf("%d sources left, want %d", len(g.Sources), len(sources))
	}
	b.router.Handle(b.now, 1, b.report(addr("172.16.0.1"), "TO_IN", group, nil))
	if _, ok := b.group("232.1.1.1"); ok {
		t.Error("not left at once by the last host")
	}
}

// FuzzRouter plays any sequence of packets, time and link events to a machine of
// each family and looks for panics, broken bounds and remains.
func FuzzRouter(f *testing.F) {
	f.Add([]byte{0, 4, 1, 2, 3, 1, 9, 2, 100, 0, 6, 1, 2, 3, 4, 2, 200, 3, 0})
	f.Add([]byte{4, 5, 0, 3, 1, 1, 5, 0, 2, 6, 1, 2, 7})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, family := range []Family{IGMP, MLD} {
			fuzzRouter(t, family, data)
		}
	})
}

func fuzzRouter(t *testing.T, family Family, data []byte) {
	config := defaults(family)
	quiet(&config)
	config.Prefixes = nil
	config.MaxGroups, config.MaxSources = 4, 3
	config.FastLeave = len(data)%2 == 1
	b := newBench(t, family, config)
	b.do([]string{"add"})
	groups := []string{"239.1.1.1", "239.1.1.2", "232.1.1.1", "224.0.0.5", "239.1.1.3", "239.1.1.4"}
	hosts := []string{"10.0.1.8", "10.0.1.9", "0.0.0.0"}
	prefix := "10.9.0."
	if family == MLD {
		groups = []string{"ff1e::1", "ff1e::2", "ff3e::1", "ff02::1", "ff1e::3", "ff1e::4"}
		hosts = []string{"fe80::8", "fe80::9", "::"}
		prefix = "2001:db8::"
	}
	kinds := []string{"IS_IN", "IS_EX", "TO_IN", "TO_EX", "ALLOW", "BLOCK", "v1", "leave"}
	for len(data) >= 4 {
		op, x, y, z := data[0], int(data[1]), int(data[2]), int(data[3])
		data = data[4:]
		switch op % 8 {
		case 0, 1, 2:
			words := []string{hosts[x%len(hosts)], kinds[y%len(kinds)], groups[x/8%len(groups)]}
			for i := range 6 {
				if z&(1<<i) != 0 {
					words = append(words, prefix+string(rune('1'+i)))
				}
			}
			b.do(words)
		case 3:
			b.advance(b.now.Add(time.Duration(x*y) * 10 * time.Millisecond))
		case 4:
			b.do([]string{[]string{"up", "down", "clear"}[x%3]})
		case 5:
			querier := hosts[1][:len(hosts[1])-1] + string(rune('0'+x%4))
			b.hearQuery(addr(querier), query{Version: uint8(1 + y%family.newest()),
				Group: addr(groups[z%len(groups)]), MaxResponse: time.Duration(y%20) * time.Second,
				Suppress: z > 128, Robustness: uint8(z % 8), Interval: time.Duration(x) * time.Second})
		case 6:
			b.router.Suspend(1)
			b.do([]string{"resume"})
		case 7:
			n := min(x, len(data))
			b.router.Handle(b.now, 1, data[:n])
			data = data[n:]
		}
		checkBounds(t, b.router, config)
		b.lines = b.lines[:0]
	}
	b.do([]string{"up"})
	checkForgotten(t, b)
}

// steady returns a router with one interface whose group state is that of one
// report, and the packet of that report.
func steady(tb testing.TB, records, sources int) (*Router, []byte) {
	r := New(Config{})
	if err := r.AddInterface(start, InterfaceConfig{Index: 1, Address: addr("10.0.1.2")}); err != nil {
		tb.Fatal(err)
	}
	report := new(igmp.Report)
	for i := range records {
		record := igmp.Record{Type: igmp.IsInclude, Group: netip.AddrFrom4([4]byte{239, 1, 0, byte(i)})}
		for j := range sources {
			record.Sources = append(record.Sources, netip.AddrFrom4([4]byte{10, 9, 0, byte(j)}))
		}
		report.Records = append(report.Records, record)
	}
	packet, err := igmp.AppendPacket(nil, addr("10.0.1.9"), igmp.AllV3Routers, report)
	if err != nil {
		tb.Fatal(err)
	}
	r.Handle(start, 1, packet)
	if n := len(r.Groups(start)); n != records {
		tb.Fatalf("%d groups", n)
	}
	return r, packet
}

func TestNoAllocations(t *testing.T) {
	r, packet := steady(t, 16, 4)
	now := start
	allocs := testing.AllocsPerRun(100, func() {
		now = now.Add(time.Second)
		r.Handle(now, 1, packet)
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a report that changes nothing", allocs)
	}
}

func BenchmarkHandle(b *testing.B) {
	for _, bb := range []struct {
		name             string
		records, sources int
	}{{"records=1/sources=1", 1, 1}, {"records=16/sources=4", 16, 4}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			r, packet := steady(b, bb.records, bb.sources)
			now := start
			for b.Loop() {
				now = now.Add(time.Millisecond)
				r.Handle(now, 1, packet)
			}
		})
	}
}

// populate returns a router with 1,000 interfaces of 100 groups, one host in
// each, and the records that made them.
func populate(tb testing.TB) (*Router, []record) {
	r := New(Config{})
	var records []record
	for i := range uint32(1000) {
		config := InterfaceConfig{Index: i + 1, Address: addr("10.0.1.2"), QueryInterval: time.Hour}
		if err := r.AddInterface(start, config); err != nil {
			tb.Fatal(err)
		}
		for j := range 100 {
			rec := record{host: addr("10.0.1.9"), kind: igmp.IsExclude, version: 3,
				group: netip.AddrFrom4([4]byte{239, 1, 1, byte(j)})}
			r.receive(r.instant(start), r.links[i+1], &rec)
			records = append(records, rec)
		}
	}
	return r, records
}

// Memory per (interface, group), tracking and timers included.
func TestMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r, records := populate(t)
	n := len(records)
	records = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (after.HeapAlloc - before.HeapAlloc) / uint64(n)
	t.Logf("%d octets for each of %d groups", each, n)
	if each >= 600 {
		t.Errorf("%d octets for each group, want less than 600", each)
	}
	runtime.KeepAlive(r)
}

func BenchmarkRefresh(b *testing.B) {
	b.Run("groups=100000", func(b *testing.B) {
		b.ReportAllocs()
		r, records := populate(b)
		links := r.sorted()
		now, i := r.instant(start), 0
		for b.Loop() {
			now += instant(time.Microsecond)
			r.receive(now, links[i/100], &records[i])
			if i++; i == len(records) {
				i = 0
			}
		}
	})
}

// BenchmarkAdvance measures one group that times out and is forgotten, among
// all the others.
func BenchmarkAdvance(b *testing.B) {
	b.Run("groups=100000", func(b *testing.B) {
		r, records := populate(b)
		now := r.instant(start)
		for i := range records {
			r.receive(now+instant(i)*instant(time.Millisecond), r.links[uint32(i/100)+1], &records[i])
		}
		at, i := start.Add(2*time.Hour+10*time.Second), 0
		r.Advance(at.Add(-time.Millisecond))
		for b.Loop() {
			r.Advance(at.Add(time.Duration(i) * time.Millisecond))
			if i++; i == len(records) {
				b.StopTimer()
				r, records = populate(b)
				i = 0
				b.StartTimer()
			}
		}
	})
}
