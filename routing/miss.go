package routing

import (
	"time"

	"umroute/mgm"
)

// miss takes a packet whose flow had no entry when it was looked up. If there
// is one by now, it is returned. Else a copy of the packet waits, if it may,
// and the flow is reported.
func (p *plane) miss(w *worker, data *packet) *entry {
	valid := p.forwarder.config.ValidSource
	if valid != nil && !valid(w.port.index, data.key.flow(p.v6).Source) {
		w.dropOf(data, DropSourceValidation, 1)
		return nil
	}
	now := w.clock()
	p.mu.Lock()
	if e := p.match(&data.key); e != nil {
		p.mu.Unlock()
		return e
	}
	w.counts.misses.add(1)
	report := p.admit(w, data, now)
	p.mu.Unlock()
	if u := p.upcall.Load(); report && u != nil {
		arrival := mgm.Iface{Index: w.port.index}
		(*u).HandleMiss(data.key.flow(p.v6), arrival, data.header())
	}
	return nil
}

// admit lets a packet wait or drops it, and says whether to report its flow.
func (p *plane) admit(w *worker, data *packet, now time.Time) (report bool) {
	f := p.queue.flows[data.key]
	if f != nil && now.Sub(f.since) >= p.forwarder.config.PendingTimeout {
		p.expire(now)
		f = nil
	}
	if f == nil {
		if !p.hasRoom(w.port, now) {
			w.dropOf(data, DropFlowLimit, 1)
			return false
		}
		if !w.misses.take(now) {
			w.dropOf(data, DropMissRate, 1)
			return false
		}
		f = p.queue.add(data.key, w.port, now)
		p.forwarder.flows.Add(1)
		w.port.flows.Add(1)
	}
	p.keep(f, w, data, now)
	if !f.reported.IsZero() && (now.Sub(f.reported) < missInterval || !w.misses.take(now)) {
		return false
	}
	f.reported = now
	return true
}

// hasRoom says whether one more flow may begin at port in.
func (p *plane) hasRoom(in *port, now time.Time) bool {
	c := &p.forwarder.config
	limit := int64(c.InterfaceFlowLimit)
	if s := in.settings.Load(); s != nil && s.flowLimit > 0 {
		limit = s.flowLimit
	}
	within := func() bool {
		return p.forwarder.flows.Load() < int64(c.FlowLimit) && in.flows.Load() < limit
	}
	if within() {
		return true
	}
	p.expire(now)
	return within()
}

// keep lets data wait in f, or counts why it cannot.
func (p *plane) keep(f *waiting, w *worker, data *packet, now time.Time) {
	f.met++
	size := data.end - data.start
	if len(f.packets) == waitingPackets {
		f.overflow++
		w.drop(DropQueueOverflow, 1)
		return
	}
	if !p.forwarder.budget.reserve(size) {
		p.expire(now)
		if !p.forwarder.budget.reserve(size) {
			f.overflow++
			w.dropOf(data, DropPendingBudget, 1)
			return
		}
	}
	f.hold(data, w.port)
}
