//go:build !race

package routing

import "sync/atomic"

// counter is written by one goroutine and read by any. On a packet's way an
// atomic store would cost more than everything else together, as it orders
// all memory. The Go memory model promises what is needed without it: a read
// of a word sees a value that was written, never half of one.
//
// Builds with the race detector, which cannot know that, use atomic adds.
type counter struct{ n uint64 }

// add is for the one goroutine that writes the counter.
func (c *counter) add(n uint64) { c.n += n }

// load is for any goroutine.
func (c *counter) load() uint64 { return atomic.LoadUint64(&c.n) }
