package mgm

import (
	"slices"
	"sort"
)

// chunkSize bounds a chunk of an ordered set: small enough to shift quickly, large enough
// that a million elements need few chunks.
const chunkSize = 256

// ordered is a sorted set of values, each with a key of its own, kept in sorted chunks. An
// insertion or deletion shifts part of one chunk; a walk is sequential.
type ordered[K, V any] struct {
	key     func(V) K
	compare func(K, K) int
	chunks  [][]V // none is empty
}

// chunk returns the place of the chunk that holds k, or would.
func (o *ordered[K, V]) chunk(k K) int {
	after := sort.Search(len(o.chunks), func(i int) bool {
		return o.compare(o.key(o.chunks[i][0]), k) > 0
	})
	return max(after-1, 0)
}

// within returns the place of k in chunk c, and whether it is there.
func (o *ordered[K, V]) within(c []V, k K) (int, bool) {
	return slices.BinarySearchFunc(c, k, func(v V, k K) int { return o.compare(o.key(v), k) })
}

// insert adds v, whose key is not in the set.
func (o *ordered[K, V]) insert(v V) {
	if len(o.chunks) == 0 {
		o.chunks = append(o.chunks, append(make([]V, 0, chunkSize), v))
		return
	}
	ci := o.chunk(o.key(v))
	c := o.chunks[ci]
	if len(c) == chunkSize {
		// Flows often arrive in order: then a full chunk stays full.
		cut := chunkSize / 2
		if ci == len(o.chunks)-1 && o.compare(o.key(c[chunkSize-1]), o.key(v)) < 0 {
			cut = chunkSize
		}
		upper := append(make([]V, 0, chunkSize), c[cut:]...)
		clear(c[cut:])
		o.chunks[ci] = c[:cut]
		if cut == chunkSize {
			upper = append(upper, v)
			o.chunks = append(o.chunks, upper)
			return
		}
		o.chunks = slices.Insert(o.chunks, ci+1, upper)
		if o.compare(o.key(upper[0]), o.key(v)) < 0 {
			ci++
		}
		c = o.chunks[ci]
	}
	at, _ := o.within(c, o.key(v))
	o.chunks[ci] = slices.Insert(c, at, v)
}

// delete removes the value with key k, if it is there.
func (o *ordered[K, V]) delete(k K) {
	if len(o.chunks) == 0 {
		return
	}
	ci := o.chunk(k)
	c := o.chunks[ci]
	at, found := o.within(c, k)
	if !found {
		return
	}
	c = slices.Delete(c, at, at+1)
	o.chunks[ci] = c
	switch {
	case len(c) == 0:
		o.chunks = slices.Delete(o.chunks, ci, ci+1)
	case ci > 0 && len(c)+len(o.chunks[ci-1]) <= chunkSize/2:
		o.chunks[ci-1] = append(o.chunks[ci-1], c...)
		o.chunks = slices.Delete(o.chunks, ci, ci+1)
	}
}

// after calls yield for each value whose key is greater than k, in order, until yield
// returns false. The set must not change meanwhile.
func (o *ordered[K, V]) after(k K, yield func(V) bool) {
	if len(o.chunks) == 0 {
		return
	}
	ci := o.chunk(k)
	at, found := o.within(o.chunks[ci], k)
	if found {
		at++
	}
	for ; ci < len(o.chunks); ci, at = ci+1, 0 {
		for _, v := range o.chunks[ci][at:] {
			if !yield(v) {
				return
			}
		}
	}
}
