package routing

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// testKey makes key number n: for even n of IPv4 form.
func testKey(n int) key {
	k := key{address{1: uint64(n)}, address{1: 0xe1000000 + uint64(n%7)}}
	if n%2 == 1 {
		k.source[0], k.group[0] = 0xfd00<<48, 0xff0e<<48
	}
	return k
}

// TestTableAgainstMap compares the table with a map after random changes, in
// phases that let it grow, shrink and turn over.
func TestTableAgainstMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	fast, plain := newTable(), make(map[key]*entry)
	check := func(k key) {
		t.Helper()
		if got := fast.lookup(&k); got != plain[k] {
			t.Fatalf("entry of %v is %p, want %p", k, got, plain[k])
		}
	}
	for phase, puts := range []int{9, 1, 5, 9, 0, 8} {
		for range 20_000 {
			k := testKey(1 + rng.IntN(6000))
			if rng.IntN(10) < puts {
				e := &entry{key: k}
				fast.put(e)
				plain[k] = e
			} else {
				_, want := plain[k]
				delete(plain, k)
				if got := fast.delete(&k); got != want {
					t.Fatalf("delete of %v says %v, want %v", k, got, want)
				}
			}
			check(k)
			check(testKey(1 + rng.IntN(6000)))
			if fast.live != len(plain) {
				t.Fatalf("%d entries, want %d", fast.live, len(plain))
			}
		}
		for n := range 6000 {
			check(testKey(1 + n))
		}
		v := fast.view.Load()
		used := 0
		for i := range v.cur {
			if v.cur[i].Load() != nil {
				used++
			}
		}
		if used != fast.used || used*2 > len(v.cur) {
			t.Errorf("phase %d: %d of %d slots in use, counted %d", phase, used, len(v.cur), fast.used)
		}
	}
}

// TestTableReaders looks up while a writer turns the table over: an entry that
// stays is always found, in a version that was put, and never an older one
// than before.
func TestTableReaders(t *testing.T) {
	const stable, others = 500, 20_000
	table := newTable()
	version := func(n int, v uint64) *entry {
		e := &entry{key: testKey(n), tally: new(tally)}
		e.tally.packets.add(v)
		return e
	}
	for n := range stable {
		table.put(version(1+n, 0))
	}
	var stop atomic.Bool
	var readers sync.WaitGroup
	for seed := range uint64(3) {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 1))
			var seen [stable]uint64
			for !stop.Load() {
				n := rng.IntN(stable)
				k := testKey(1 + n)
				e := table.lookup(&k)
				if e == nil || e.key != k {
					t.Errorf("entry %d not found", n)
					return
				}
				v := e.tally.packets.load()
				if v < seen[n] {
					t.Errorf("entry %d: version %d after %d", n, v, seen[n])
					return
				}
				seen[n] = v
			}
		})
	}
	rng := rand.New(rand.NewPCG(9, 9))
	for i := range uint64(60_000) {
		switch n := stable + 1 + rng.IntN(others); rng.IntN(4) {
		case 0:
			table.put(version(1+rng.IntN(stable), i))
		case 1:
			k := testKey(n)
			table.delete(&k)
		default:
			table.put(version(n, i))
		}
	}
	stop.Store(true)
	readers.Wait()
}

// TestTableDelete holds that deletions leave no trace that look-ups would
// have to walk over for ever.
func TestTableDelete(t *testing.T) {
	table := newTable()
	for round := range 50 {
		for n := range 1000 {
			table.put(&entry{key: testKey(1 + round*1000 + n)})
		}
		for n := range 1000 {
			k := testKey(1 + round*1000 + n)
			table.delete(&k)
		}
	}
	if size := len(table.view.Load().cur); table.live != 0 || size > 8192 {
		t.Errorf("%d entries, %d slots after as many deletions as additions", table.live, size)
	}
}
