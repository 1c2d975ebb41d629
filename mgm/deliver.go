package mgm

import (
	"context"
	"runtime"
	"time"
)

// push queues an event for the delivery goroutine; the mutex is held.
func (m *Manager) push(e event) {
	m.queue.push(e)
	m.wake()
}

// wake makes the delivery goroutine look again; the mutex is held.
func (m *Manager) wake() {
	if m.idle {
		m.idle = false
		m.kick()
	}
}

func (m *Manager) kick() {
	select {
	case m.wakeUp <- struct{}{}:
	default:
	}
}

// run is the delivery goroutine: it tells the forwarder, delivers alerts, does the queued
// work and ends entries, one thing at a time.
func (m *Manager) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Stop()
		wait, open := m.work()
		if !open {
			return
		}
		if wait > 0 {
			timer.Reset(wait)
		}
		select {
		case <-m.wakeUp:
		case <-timer.C:
		}
	}
}

// dueEvery is how many turns pass before the deadlines are looked at again, and others are
// let in.
const dueEvery = 64

// work does what there is to do, and returns how long there will be nothing, 0 for ever. It
// reports false when the manager has been closed.
func (m *Manager) work() (time.Duration, bool) {
	told := false // in the last turn
	for turn := 0; ; turn++ {
		if turn%dueEvery == 0 {
			runtime.Gosched() // as in MFEsAfter
		}
		m.mu.Lock()
		if m.closed.Load() {
			m.mu.Unlock()
			return 0, false
		}
		m.idle = false
		// The forwarder comes first: data need not wait for slow clients. If there is very
		// much to tell it the clients get every other turn.
		told = len(m.dirty) > 0 && (!told || m.queue.length == 0)
		if told {
			page := m.takeDirty()
			m.mu.Unlock()
			m.tell(page)
			continue
		}
		var due *mfe
		if m.queue.length == 0 || turn%dueEvery == 0 {
			due = m.nextDue()
		}
		switch {
		case due != nil:
			m.mu.Unlock()
			m.age(due)
		case m.queue.length > 0:
			e := m.queue.pop()
			m.mu.Unlock()
			m.deliver(&e)
		default:
			wait := m.rest()
			m.mu.Unlock()
			return wait, true
		}
	}
}

// nextDue returns an entry whose time has come, nil if there is none.
func (m *Manager) nextDue() *mfe {
	if len(m.due) > 0 && m.due[0].due <= m.now() {
		return m.due[0]
	}
	return nil
}

// rest ends the waiting of Sync and returns the time to the next deadline.
func (m *Manager) rest() time.Duration {
	m.idle = true
	for _, done := range m.waiters {
		close(done)
	}
	m.waiters = nil
	if len(m.due) == 0 {
		return 0
	}
	return max(m.due[0].due-m.now(), 1)
}

// Sync waits until there is nothing left to do: all alerts delivered, misses and other
// reports worked off with all that their callbacks caused in turn, and the forwarder told.
// It must not be called from a callback. After Close it returns at once. The error is
// ctx's.
func (m *Manager) Sync(ctx context.Context) error {
	m.mu.Lock()
	if m.closed.Load() || m.idle && m.nextDue() == nil {
		m.mu.Unlock()
		return nil
	}
	done := make(chan struct{})
	m.waiters = append(m.waiters, done)
	m.wake()
	m.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// update is what the forwarder is to be told about an entry.
type update struct {
	f   *mfe
	mfe MFE
	set bool
}

// takeDirty takes some of the changed entries, with their present state.
func (m *Manager) takeDirty() []update {
	now := m.now()
	n := min(len(m.dirty), pageSize)
	page := m.updates[:0]
	for _, f := range m.dirty[:n] {
		f.dirty = false
		switch {
		case f.installed:
			f.told = true
			page = append(page, update{f: f, set: true, mfe: MFE{Flow: f.flow}})
			f.brief.describe(&page[len(page)-1].mfe, now)
		case f.told:
			f.told = false
			page = append(page, update{f: f})
		}
	}
	clear(m.dirty[:n])
	m.dirty = m.dirty[n:]
	if len(m.dirty) == 0 {
		m.dirty = nil
	}
	m.updates = page
	return page
}

// tell tells the forwarder; the mutex is not held. An entry that the forwarder cannot
// take is deleted there, so that it does not forward by an old one.
func (m *Manager) tell(page []update) {
	for i, u := range page {
		if m.closed.Load() {
			return
		}
		if u.set {
			m.set(u.mfe)
		} else {
			m.forwarder.Delete(u.f.flow)
		}
		page[i] = update{}
	}
}

// set installs e. Of the entries that are refused in a row only the first is logged, as
// each packet of such a flow is a miss.
func (m *Manager) set(e MFE) {
	err := m.forwarder.Set(e)
	if err != nil {
		m.forwarder.Delete(e.Flow)
	}
	if err != nil && !m.refusing {
		m.log.Warn("forwarder refuses entries", "source", e.Source, "group", e.Group, "err", err)
	}
	m.refusing = err != nil
}

// deliver does what e says; the mutex is not held.
func (m *Manager) deliver(e *event) {
	switch e.kind {
	case flowMissed:
		m.miss(e.work.(*report))
	case wrongInterface:
		m.wrongIf(e.work.(*report))
	case routesChanged:
		m.sweepPage(e.work.(*sweep))
	case routeMoved:
		m.move(e.mfe)
	default:
		if e.kind == enable && !m.resume(e.work.(*tenancy)) {
			return
		}
		if e.audience == nil {
			m.alert(e.client, e)
			return
		}
		for _, c := range e.audience.clients {
			if c != e.client {
				m.alert(c, e)
			}
		}
	}
}

// resume ends one suspension of t, and reports whether its client still runs there.
func (m *Manager) resume(t *tenancy) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	t.suspended--
	return !t.ended
}

// alert calls c back.
func (m *Manager) alert(c *Client, e *event) {
	if c.dead.Load() || m.closed.Load() {
		return
	}
	call := &c.calls
	switch e.kind {
	case memberJoined, mfeWanted:
		if call.JoinAlert != nil {
			call.JoinAlert(JoinAlert{Entry: e.entry(), MemberUpdate: e.mfe == nil})
		}
	case memberLeft:
		if call.PruneAlert != nil {
			call.PruneAlert(&PruneAlert{
				Entry: e.entry(), Iface: e.link.id, MemberDelete: true, Timeout: m.timeout,
			})
		}
	case mfeUnwanted:
		if call.PruneAlert != nil {
			m.alertUnwanted(c, e)
		}
	case localJoin, excludeJoin:
		callLocal(call.LocalJoin, e)
	case localLeave, excludeLeave:
		callLocal(call.LocalLeave, e)
	case disable:
		callIface(call.DisableMembership, e)
	case enable:
		callIface(call.EnableMembership, e)
	}
}

// entry is what an alert is about.
func (e *event) entry() Entry {
	if e.mfe != nil {
		return Entry(e.mfe.flow)
	}
	return e.record.entry
}

// alertUnwanted sends the prune alert of an MFE. The answer counts only from the client
// that still holds the MFE's incoming interface.
func (m *Manager) alertUnwanted(c *Client, e *event) {
	m.mu.Lock()
	p := PruneAlert{Entry: e.entry(), Iface: e.link.id, Timeout: e.mfe.timeout}
	m.mu.Unlock()
	asked := p.Timeout
	c.calls.PruneAlert(&p)
	if p.Timeout == asked {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.mfe.installed && e.mfe.in.holder() == c {
		m.setTimeout(e.mfe, p.Timeout)
	}
}

func callLocal(call func(LocalChange), e *event) {
	if call != nil {
		exclude := e.kind == excludeJoin || e.kind == excludeLeave
		call(LocalChange{Entry: e.record.entry, Iface: e.link.id, Exclude: exclude})
	}
}

func callIface(call func(Iface), e *event) {
	if call != nil {
		call(e.link.id)
	}
}
