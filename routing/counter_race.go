//go:build race

package routing

import "sync/atomic"

// counter is the counter of counter.go in a form that the race detector knows.
type counter struct{ n atomic.Uint64 }

// add is for the one goroutine that writes the counter.
func (c *counter) add(n uint64) { c.n.Add(n) }

// load is for any goroutine.
func (c *counter) load() uint64 { return c.n.Load() }
