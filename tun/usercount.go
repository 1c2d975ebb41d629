package tun

import (
	"math"
	"sync/atomic"
)

// userCount counts the users of something that must not go away under them.
// Entering and leaving is one atomic operation each, mostly.
type userCount struct {
	n       atomic.Int64 // users; closedBias more once closed
	drained chan struct{}
}

// closedBias makes the count negative, however many users there are.
const closedBias = math.MinInt64 / 2

func (u *userCount) init() { u.drained = make(chan struct{}) }

// enter reports whether there is still something to use. Each success asks for
// one leave.
func (u *userCount) enter() bool {
	for {
		n := u.n.Load()
		if n < 0 {
			return false
		}
		if u.n.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (u *userCount) leave() {
	// Nobody enters a closed count, so it comes to zero users once.
	if u.n.Add(-1) == closedBias {
		close(u.drained)
	}
}

func (u *userCount) closed() bool { return u.n.Load() < 0 }

// drain lets nobody in any more and waits until the last one is out. It is
// called once.
func (u *userCount) drain() {
	if u.n.Add(closedBias) != closedBias {
		<-u.drained
	}
}
