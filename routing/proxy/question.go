package proxy

import (
	"net/netip"
	"slices"
	"time"

	"umroute/stack/igmp"
)

const (
	// maxAsked bounds the sources that are remembered of queries for a group;
	// beyond it the whole group is answered.
	maxAsked = 1024
	// minResponse is the shortest time that answers are spread over: queries
	// that demand an answer at once must not be answered as often as they come.
	minResponse = 100 * time.Millisecond
)

// Handle takes a complete IP packet that arrived on the interface: IPv4 with
// IGMP, or IPv6 with MLD. What is not for a group member is ignored.
func (h *Host) Handle(now time.Time, packet []byte) {
	what, ok := h.wire.parse(packet)
	if !ok || h.down || what.from == h.config.Address {
		return
	}
	h.updateMode(now)
	if what.query == nil {
		h.suppress(what.group)
		return
	}
	q := what.query
	h.counters.Queries[q.Version]++
	h.querier, h.querierAt = what.from, now
	h.adopt(now, q)
	if h.mode < version3 {
		h.hearOlder(now, q)
		return
	}
	h.hear(now, q)
}

// adopt takes over what a query says of the link: the version of its router
// (RFC 9776 section 7.2.1, RFC 9777 section 8.2.1), its robustness and interval
// (RFC 9776 sections 4.1.6 and 4.1.7).
func (h *Host) adopt(now time.Time, q *query) {
	general := !q.Group.IsValid()
	// RFC 9776 section 8.12: robustness × query interval + response interval.
	present := now.Add(time.Duration(h.robustness)*h.interval + q.MaxResponse)
	switch {
	case q.Version == version1:
		h.v1Until = present
	case q.Version == version2 && general:
		h.v2Until = present
	case q.Version == version3 && general:
		h.robustness, h.interval = defaultRobustness, defaultInterval
		if q.Robustness != 0 {
			h.robustness = int(q.Robustness)
		}
		if q.Interval != 0 {
			h.interval = q.Interval
		}
	}
	h.updateMode(now)
}

// updateMode follows the timers of older queriers. A change of the host
// compatibility mode cancels what is pending (RFC 9776 section 7.2.1).
func (h *Host) updateMode(now time.Time) {
	mode := h.newest()
	switch {
	case h.v1Until.After(now):
		mode = min(mode, version1)
	case h.v2Until.After(now):
		mode = min(mode, version2)
	}
	if mode == h.mode {
		return
	}
	h.log.Info("host compatibility mode changed", "if", h.config.Name, "querier", h.querier,
		"from", h.external(h.mode), "to", h.external(mode), "reason", "version of the querier")
	unsaid := h.fresh
	h.mode = mode
	h.cancel()
	// What nobody was told at all is no retransmission.
	for _, m := range unsaid {
		var old Filter
		if m.filter.IsZero() {
			old.Mode = Exclude
		}
		if mode < version3 {
			h.changeOlder(now, m, old)
			continue
		}
		h.schedule(m, old)
	}
	for _, m := range h.sorted() {
		h.removeIfDone(m)
	}
}

// modeUntil is when an older querier counts as gone, zero for none.
func (h *Host) modeUntil() time.Time {
	switch h.mode {
	case version1:
		return h.v1Until
	case version2:
		return h.v2Until
	}
	return time.Time{}
}

// external returns a version as its family counts it.
func (h *Host) external(version uint8) int {
	if h.config.IPv6 {
		return int(version) - 1
	}
	return int(version)
}

// hear schedules the answer to a query (RFC 9776 section 5.2).
func (h *Host) hear(now time.Time, q *query) {
	at := now.Add(h.delay(max(q.MaxResponse, minResponse)))
	// Rule 1: an answer to a general query that comes sooner is enough.
	if !h.generalAt.IsZero() && !h.generalAt.After(at) {
		return
	}
	// Rule 2.
	if !q.Group.IsValid() {
		h.generalAt = at
		return
	}
	m := h.members[q.Group]
	if m == nil || m.filter.IsZero() {
		return
	}
	switch {
	case m.answerAt.IsZero(): // rule 3
		m.answerAt = at
		m.asked = sortedCopy(q.Sources)
	case len(q.Sources) == 0 || len(m.asked) == 0: // rule 4
		m.answerAt = earliest(m.answerAt, at)
		m.asked = nil
	default: // rule 5
		m.answerAt = earliest(m.answerAt, at)
		m.asked = merged(m.asked, q.Sources)
	}
	if len(m.asked) > maxAsked {
		m.asked = nil
	}
	h.timers.set(m, m.answerAt)
}

func sortedCopy(list []netip.Addr) []netip.Addr {
	list = slices.Clone(list)
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

// serve does what is due of a group.
func (h *Host) serve(now time.Time, m *member) {
	if isDue(m.answerAt, now) {
		m.answerAt = time.Time{}
		h.answer(m)
	}
	if isDue(m.next, now) {
		h.repeatJoin(now, m)
	}
	h.timers.set(m, earliest(m.answerAt, m.next))
}

// answer tells the state of a group, or of the sources that were asked for
// (RFC 9776 section 5.2).
func (h *Host) answer(m *member) {
	asked := m.asked
	m.asked = nil
	if m.filter.IsZero() {
		return
	}
	if h.mode < version3 {
		h.sendJoin(m)
		return
	}
	if len(asked) == 0 {
		h.report([]record{m.current()})
		return
	}
	heard := slices.DeleteFunc(asked, func(s netip.Addr) bool { return !m.filter.Accepts(s) })
	if len(heard) > 0 {
		h.report([]record{{igmp.IsInclude, m.group, heard}})
	}
}
