package routing

import (
	"sync/atomic"
	"time"
)

// waitingPackets is how many packets of a flow wait for its entry.
const waitingPackets = 4

// budget is what all waiting packets together may still take.
type budget struct{ packets, bytes atomic.Int64 }

// reserve takes a packet of n bytes from the budget, if it is there.
func (b *budget) reserve(n int) bool {
	if b.packets.Add(-1) < 0 {
		b.packets.Add(1)
		return false
	}
	if b.bytes.Add(-int64(n)) < 0 {
		b.release(n)
		return false
	}
	return true
}

// release gives a packet of n bytes back.
func (b *budget) release(n int) {
	b.packets.Add(1)
	b.bytes.Add(int64(n))
}

// waiting is a flow that has been reported and has no entry yet.
type waiting struct {
	key      key
	creator  *port // where its first packet came in
	since    time.Time
	reported time.Time
	packets  []held
	met      uint64 // packets that came so far
	overflow uint64 // those of them that could not wait

	older, newer *waiting // in the order of since
}

// held is a packet that waits, in a buffer of its own.
type held struct {
	packet
	arrival *port
}

// queue holds the waiting flows of one family, the oldest first.
type queue struct {
	flows          map[key]*waiting
	oldest, newest *waiting
}

// add makes a waiting flow that began at now.
func (q *queue) add(k key, creator *port, now time.Time) *waiting {
	f := &waiting{key: k, creator: creator, since: now, older: q.newest}
	if q.newest != nil {
		q.newest.newer = f
	} else {
		q.oldest = f
	}
	q.newest = f
	q.flows[k] = f
	return f
}

// remove takes a flow out of the queue.
func (q *queue) remove(f *waiting) {
	delete(q.flows, f.key)
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		q.oldest = f.newer
	}
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		q.newest = f.older
	}
}

// hold keeps a copy of p, which came in at arrival.
func (f *waiting) hold(p *packet, arrival *port) {
	h := held{packet: *p, arrival: arrival}
	h.buf = make([]byte, headroom+p.end-p.start)
	h.start, h.end = headroom, len(h.buf)
	copy(h.buf[headroom:], p.ip())
	f.packets = append(f.packets, h)
}
