package mgm

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestOrdered compares an ordered set with a map that is sorted anew each time.
func TestOrdered(t *testing.T) {
	set := ordered[int, *int]{key: func(v *int) int { return *v }, compare: cmp.Compare[int]}
	plain := make(map[int]*int)
	r := rand.New(rand.NewPCG(1, 2))
	for step := range 40_000 {
		k := r.IntN(4000)
		if grow := step%10_000 < 6000; grow == (r.IntN(4) > 0) {
			if plain[k] == nil {
				plain[k] = &k
				set.insert(&k)
			}
		} else {
			delete(plain, k)
			set.delete(k)
		}
		if step%500 == 0 {
			compareOrdered(t, &set, plain, r.IntN(4000))
		}
	}
	for k := range 4000 {
		set.delete(k)
	}
	if len(set.chunks) != 0 {
		t.Errorf("%d chunks are left", len(set.chunks))
	}
}

func compareOrdered(t *testing.T, set *ordered[int, *int], plain map[int]*int, from int) {
	t.Helper()
	var want, got []int
	for _, k := range slices.Sorted(maps.Keys(plain)) {
		if k > from {
			want = append(want, k)
		}
	}
	set.after(from, func(v *int) bool {
		got = append(got, *v)
		return true
	})
	if !slices.Equal(got, want) {
		t.Fatalf("after %d: %v, want %v", from, got, want)
	}
	for _, c := range set.chunks {
		if len(c) == 0 || cap(c) > chunkSize {
			t.Fatalf("chunk of length %d, capacity %d", len(c), cap(c))
		}
	}
}

// Values that come in order fill their chunks.
func TestOrderedAscending(t *testing.T) {
	set := ordered[int, int]{key: func(v int) int { return v }, compare: cmp.Compare[int]}
	for v := range 10 * chunkSize {
		set.insert(v)
	}
	if len(set.chunks) != 10 {
		t.Errorf("%d chunks for %d values", len(set.chunks), 10*chunkSize)
	}
}

// TestQueue compares a queue with a slice.
func TestQueue(t *testing.T) {
	var q queue
	var plain []kind
	r := rand.New(rand.NewPCG(3, 4))
	for step := range 20_000 {
		grow := step%4000 < 2000
		switch {
		case grow == (r.IntN(3) > 0):
			k := kind(r.IntN(8))
			q.push(event{kind: k})
			plain = append(plain, k)
		case len(plain) > 0:
			if got := q.pop(); got.kind != plain[0] {
				t.Fatalf("step %d: popped %d, want %d", step, got.kind, plain[0])
			}
			plain = plain[1:]
		}
		if q.length != len(plain) {
			t.Fatalf("step %d: length %d, want %d", step, q.length, len(plain))
		}
	}
}
