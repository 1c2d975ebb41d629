package routing

import (
	"time"

	"umroute/mgm"
)

const (
	// headerLen is how much of a packet an upcall gets: the longest IPv4 header,
	// or the IPv6 header with its first extensions, and the start of the payload.
	headerLen = 128
	// wrongIfInterval is the least time between reports of one flow on a wrong
	// interface. MGM has its own, longer limit; this one spares it the work.
	wrongIfInterval = 100 * time.Millisecond
	// missInterval is when a flow that is waiting is reported again, if its
	// packets go on: the first report may have met a full queue.
	missInterval = 500 * time.Millisecond
)

// header gives the part of p that upcalls see.
func (p *packet) header() []byte {
	return p.buf[p.start:min(p.end, p.start+headerLen)]
}

// wrongIf counts, and now and then reports, n datagrams in p that came in by
// another interface than the flow's.
func (w *worker) wrongIf(f *flow, p *packet, n int) {
	f.wrongIf.Add(uint64(n))
	u := w.forwarder.planes[p.family()].upcall.Load()
	if u == nil {
		return
	}
	now := w.clock()
	last := f.reported.Load()
	// At 0 nothing was reported yet, whatever the clock says.
	if last != 0 && now.UnixNano()-last < int64(wrongIfInterval) {
		return
	}
	if w.wrongIfs.take(now) && f.reported.CompareAndSwap(last, now.UnixNano()) {
		p = w.singles(p)
		p.finish()
		(*u).HandleWrongIf(p.key.flow(p.v6), mgm.Iface{Index: w.port.index}, p.header())
	}
}

// tooBig reports an IPv6 packet that is too long for an output with this MTU.
func (w *worker) tooBig(p *packet, mtu int) {
	report := w.forwarder.config.TooBig
	// A packet that waited for its entry is not reported; its successors are.
	if report == nil || w.port == nil {
		return
	}
	// RFC 4443 section 2.4 (f): error messages are limited in rate.
	if w.tooBigs.take(w.clock()) {
		report(w.port.index, p.ip(), mtu)
	}
}
