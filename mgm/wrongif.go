package mgm

import "time"

const (
	// defaultWrongIfInterval is the rate limit of WrongIf alerts unless Config has another.
	defaultWrongIfInterval = 3 * time.Second
	// maxWrong bounds the reports of packets on wrong interfaces that wait, and the alerts
	// whose rate is remembered.
	maxWrong = 4096
)

// wrongKey is what the rate of WrongIf alerts is limited by.
type wrongKey struct {
	flow  Flow
	iface Iface
}

// wrongAlert says when an alert was sent.
type wrongAlert struct {
	key wrongKey
	at  time.Duration
}

// wrongRate remembers the alerts of the latest interval.
type wrongRate struct {
	interval time.Duration
	last     map[wrongKey]struct{}
	sent     []wrongAlert // oldest first
	queued   map[wrongKey]struct{}
}

// allow reports whether an alert for key may be sent.
func (r *wrongRate) allow(key wrongKey, now time.Duration) bool {
	done := 0
	for done < len(r.sent) && now-r.sent[done].at >= r.interval {
		delete(r.last, r.sent[done].key)
		done++
	}
	r.sent = r.sent[done:]
	_, recent := r.last[key]
	return !recent && len(r.sent) < maxWrong
}

// note remembers that an alert for key was sent.
func (r *wrongRate) note(key wrongKey, now time.Duration) {
	r.last[key] = struct{}{}
	r.sent = append(r.sent, wrongAlert{key: key, at: now})
}

// HandleWrongIf says that the forwarder has a packet of a flow that came in on another
// interface than the flow's entry has. It only enqueues, and copies the header, which may
// be nil. The holder of the interface is alerted by WrongIf if it has armed the interface,
// at most once in Config.WrongIfInterval for each flow and interface.
func (m *Manager) HandleWrongIf(f Flow, arrival Iface, header []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := wrongKey{flow: f, iface: arrival}
	_, waits := m.wrong.queued[key]
	l := m.links[arrival]
	if m.closed.Load() || waits || l == nil || !l.armed || len(m.wrong.queued) >= maxWrong ||
		!m.wrong.allow(key, m.now()) {
		return
	}
	m.wrong.queued[key] = struct{}{}
	r := &report{flow: f, iface: arrival, header: excerpt(header)}
	m.push(event{kind: wrongInterface, work: r})
}

// wrongIf alerts the holder of the interface in r, if it still is the wrong one.
func (m *Manager) wrongIf(r *report) {
	m.mu.Lock()
	key := wrongKey{flow: r.flow, iface: r.iface}
	delete(m.wrong.queued, key)
	l, now := m.links[r.iface], m.now()
	f := m.live(r.flow, now)
	x := l.holder()
	send := x != nil && l.armed && f != nil && f.in != l && m.wrong.allow(key, now)
	if send {
		m.wrong.note(key, now)
	}
	m.mu.Unlock()
	if send && x.calls.WrongIf != nil && !x.dead.Load() && !m.closed.Load() {
		x.calls.WrongIf(WrongIf{Flow: r.flow, Iface: r.iface, Header: r.header})
	}
}
