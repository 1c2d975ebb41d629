package host

import (
	"sync/atomic"
	"time"
)

const (
	logWays    = 4    // places that one digest may have
	logBuckets = 4096 // a power of two
	logTick    = 100 * time.Millisecond
	logTicks   = 20 // how long a datagram may take to come back
)

// sentLog remembers for 2 s what was sent, so that what the host's own loop
// brings back can be told from what its programs send from the same address and
// port. It forgets a datagram when it has come back once: it comes once.
//
// It has room for thousands of datagrams under way, and takes no lock. Of two
// users that collide one may fail; then a datagram is heard twice.
type sentLog struct {
	// A place holds 48 bits of a digest and when it was added, in ticks; 0 is a
	// free one.
	places [logBuckets * logWays]atomic.Uint64
}

// ticks tells the time in the log's own unit, modulo 65,536.
func ticks(now time.Time) uint16 { return uint16(now.UnixNano() / int64(logTick)) }

// bucket is where a digest may be.
func (l *sentLog) bucket(digest uint64) []atomic.Uint64 {
	first := digest % logBuckets * logWays
	return l.places[first : first+logWays]
}

// entry is what a place holds; 0 stays free.
func entry(digest uint64, at uint16) uint64 { return (digest|1<<63)&^0xffff | uint64(at) }

// fresh says whether a place is still of use. Two users may have read the clock
// in another order than they come here.
func fresh(held uint64, at uint16) bool {
	age := int16(at - uint16(held))
	return age >= -2 && age <= logTicks
}

// add notes a datagram. In a full bucket the oldest makes room.
func (l *sentLog) add(digest uint64, at uint16) {
	var oldest *atomic.Uint64
	var age int16
	bucket := l.bucket(digest)
	for i := range bucket {
		held := bucket[i].Load()
		if held == 0 || !fresh(held, at) {
			oldest = &bucket[i]
			break
		}
		since := int16(at - uint16(held))
		if oldest == nil || since > age {
			oldest, age = &bucket[i], since
		}
	}
	oldest.Store(entry(digest, at))
}

// take says whether a datagram was noted, and forgets it.
func (l *sentLog) take(digest uint64, at uint16) bool {
	bucket := l.bucket(digest)
	for i := range bucket {
		held := bucket[i].Load()
		if held>>16 != entry(digest, 0)>>16 || !fresh(held, at) {
			continue
		}
		if bucket[i].CompareAndSwap(held, 0) {
			return true
		}
	}
	return false
}
