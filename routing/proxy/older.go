package proxy

import (
	"net/netip"
	"time"
)

// The member of IGMPv1, IGMPv2 and MLDv1 (RFC 2236 section 6, RFC 2710 section
// 5). These versions know no sources: a group is wanted, or it is not.

// changeOlder tells that a group came or went.
func (h *Host) changeOlder(now time.Time, m *member, old Filter) {
	switch {
	case old.IsZero():
		m.joins, m.next = h.robustness, now
		h.timers.set(m, now)
	case m.filter.IsZero():
		// RFC 2236 section 3: it need not remember whether it reported last.
		if h.mode == version2 {
			packet, err := h.wire.appendLeave(nil, h.config.Address, m.group)
			h.counters.Leaves++
			h.post(packet, err)
		}
		h.removeIfDone(m)
	}
}

// repeatJoin sends the unsolicited report that is due (RFC 2236 section 3).
func (h *Host) repeatJoin(now time.Time, m *member) {
	m.next = time.Time{}
	if m.filter.IsZero() {
		return
	}
	h.sendJoin(m)
	if m.joins--; m.joins > 0 {
		m.next = now.Add(h.delay(unsolicitedIntervalOlder))
	}
}

func (h *Host) sendJoin(m *member) {
	packet, err := h.wire.appendJoin(nil, h.config.Address, m.group, h.mode)
	h.counters.Reports++
	h.post(packet, err)
}

// hearOlder starts the delay of each group that a query asks for, unless one
// runs that ends sooner (RFC 2236 section 3).
func (h *Host) hearOlder(now time.Time, q *query) {
	limit := max(q.MaxResponse, minResponse)
	start := func(m *member) {
		if m.filter.IsZero() || !m.answerAt.IsZero() && !m.answerAt.After(now.Add(limit)) {
			return
		}
		m.answerAt = now.Add(h.delay(limit))
		h.timers.set(m, m.answerAt)
	}
	if q.Group.IsValid() {
		if m := h.members[q.Group]; m != nil {
			start(m)
		}
		return
	}
	// While all delays run out as soon, another general query changes nothing
	// that its sender needs; a flood of them must not cost a look at all groups.
	by := now.Add(limit)
	if h.answeredBy.After(now) && !by.Before(h.answeredBy) {
		return
	}
	h.answeredBy = by
	for _, m := range h.sorted() {
		start(m)
	}
}

// suppress saves the answer for a group that another host has given (RFC 2236
// section 3). What is told unasked is told all the same.
func (h *Host) suppress(group netip.Addr) {
	m := h.members[group]
	if m == nil || h.mode >= version3 || m.answerAt.IsZero() {
		return
	}
	m.answerAt = time.Time{}
	h.counters.Suppressed++
}
