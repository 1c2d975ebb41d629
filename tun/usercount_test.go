package tun

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestUserCountWaitsForTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u userCount
		u.init()
		if !u.enter() || !u.enter() {
			t.Fatal("cannot enter")
		}
		var drained atomic.Bool
		go func() {
			u.drain()
			drained.Store(true)
		}()
		for range 2 {
			synctest.Wait()
			if drained.Load() {
				t.Error("drained with a user inside")
			}
			if u.enter() {
				t.Error("entered while draining")
			}
			u.leave()
		}
		synctest.Wait()
		if !drained.Load() {
			t.Error("not drained")
		}
	})
}

// TestUserCountUnderLoad must not let anybody use what is gone.
func TestUserCountUnderLoad(t *testing.T) {
	for range 200 {
		var u userCount
		u.init()
		var gone atomic.Bool
		var users sync.WaitGroup
		for range 4 {
			users.Go(func() {
				for u.enter() {
					if gone.Load() {
						t.Error("used what was gone")
					}
					u.leave()
				}
			})
		}
		u.drain()
		gone.Store(true)
		users.Wait()
	}
}
