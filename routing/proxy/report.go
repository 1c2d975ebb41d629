package proxy

import (
	"net/netip"
	"time"

	"umroute/stack/igmp"
)

// appendChange appends what the next state-change report says of the group,
// and counts it as told (RFC 9776 section 5.1).
func (m *member) appendChange(records []record) []record {
	var allow, block []netip.Addr
	left := m.changes[:0]
	for _, c := range m.changes {
		if m.filter.Accepts(c.address) {
			allow = append(allow, c.address)
		} else {
			block = append(block, c.address)
		}
		if c.reports--; c.reports > 0 {
			left = append(left, c)
		}
	}
	m.changes = left
	if m.modeReports > 0 {
		m.modeReports--
		kind := igmp.ToInclude
		if m.filter.Mode == Exclude {
			kind = igmp.ToExclude
		}
		return append(records, record{kind, m.group, m.filter.Sources})
	}
	if len(allow) > 0 {
		records = append(records, record{igmp.Allow, m.group, allow})
	}
	if len(block) > 0 {
		records = append(records, record{igmp.Block, m.group, block})
	}
	return records
}

// current is the record that tells the state of a group.
func (m *member) current() record {
	if m.filter.Mode == Exclude {
		return record{igmp.IsExclude, m.group, m.filter.Sources}
	}
	return record{igmp.IsInclude, m.group, m.filter.Sources}
}

// answerAll answers a general query.
func (h *Host) answerAll() {
	var records []record
	for _, m := range h.sorted() {
		if !m.filter.IsZero() {
			records = append(records, m.current())
		}
	}
	h.report(records)
}

// report sends records in as many reports as the MTU demands. A record that
// does not fit alone is split, or cut where its meaning forbids that (RFC 9776
// section 4.2.16).
func (h *Host) report(records []record) {
	before, each, perSource := h.wire.sizes()
	room := h.config.MTU - before
	start, used := 0, 0
	for i := 0; i < len(records); i++ {
		size := each + perSource*len(records[i].sources)
		if used+size <= room {
			used += size
			continue
		}
		if start < i {
			h.sendReport(records[start:i])
			start, used = i, 0
			i--
			continue
		}
		h.reportLarge(records[i], max((room-each)/perSource, 1))
		start = i + 1
	}
	if start < len(records) {
		h.sendReport(records[start:])
	}
}

// reportLarge sends a record of which each report takes up to room sources.
func (h *Host) reportLarge(r record, room int) {
	for rest := r.sources; len(rest) > 0; {
		n := min(len(rest), room)
		h.sendReport([]record{{r.kind, r.group, rest[:n]}})
		if r.kind == igmp.IsExclude || r.kind == igmp.ToExclude {
			return
		}
		rest = rest[n:]
	}
}

func (h *Host) sendReport(records []record) {
	packet, err := h.wire.appendReport(nil, h.config.Address, records)
	h.counters.Reports++
	h.post(packet, err)
}

// post puts a packet into the outbox.
func (h *Host) post(packet []byte, err error) {
	if err != nil {
		h.counters.Errors++
		h.log.Warn("report not made", "if", h.config.Name, "err", err)
		return
	}
	h.outbox.packets = append(h.outbox.packets, packet)
}

// Reports of many groups leave in bursts with a pause after each, since the
// routers that listen have small buffers.
const (
	burst      = 64
	burstPause = 3 * time.Millisecond
)

// outbox holds packets that wait to be sent.
type outbox struct {
	packets [][]byte
	busy    time.Time // each packet makes it later; never more than a pause ahead
}

// next returns when there is something to send, zero for never.
func (o *outbox) next() time.Time {
	switch {
	case len(o.packets) == 0:
		return time.Time{}
	case o.busy.IsZero():
		return atOnce
	}
	return o.busy
}

// drain sends what may be sent now.
func (h *Host) drain(now time.Time) {
	o := &h.outbox
	if o.busy.Before(now) {
		o.busy = now
	}
	n := min(int(burstPause-o.busy.Sub(now))*burst/int(burstPause), len(o.packets))
	h.send(o.packets[:n])
	clear(o.packets[:n])
	o.packets = o.packets[n:]
	o.busy = o.busy.Add(time.Duration(n) * burstPause / burst)
}

// flush sends everything.
func (h *Host) flush() {
	h.send(h.outbox.packets)
	h.outbox.packets = nil
}

func (h *Host) send(packets [][]byte) {
	for _, p := range packets {
		if err := h.config.Sender.Send(h.config.Index, p); err != nil {
			h.counters.Errors++
			h.log.Debug("report not sent", "if", h.config.Name, "err", err)
		}
	}
}
