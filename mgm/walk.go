package mgm

import (
	"iter"
	"runtime"
)

const (
	// walkPage and walkOIFs bound what a walk copies while it holds the mutex once.
	walkPage = 128
	walkOIFs = 4096
)

// MFE returns the forwarding entry of a flow (MgmGetMfe). The error is ErrMFENotFound.
func (m *Manager) MFE(f Flow) (e MFE, err error) {
	now := m.now()
	m.mu.Lock()
	b := m.flows.find(&f)
	if b == nil || now >= b.expires() {
		m.mu.Unlock()
		return MFE{}, m.noMFE("forwarding entry", f)
	}
	e.Flow = f
	b.describe(&e, now)
	m.mu.Unlock()
	return e, nil
}

func (m *Manager) noMFE(operation string, f Flow) error {
	e := Entry(f)
	return &refusal{operation: operation, entry: &e, cause: ErrMFENotFound}
}

// MFEs walks the forwarding entries, ascending by group, then source (MgmGetFirstMfe,
// MgmGetNextMfe). Entries may come and go during the walk: what is created behind the
// present place is not seen, what is deleted ahead of it is skipped. The loop body may call
// the manager.
func (m *Manager) MFEs() iter.Seq[MFE] { return m.MFEsAfter(Flow{}) }

// MFEsAfter is MFEs for the entries that follow a flow, which need not exist
// (MgmGetNextMfe).
func (m *Manager) MFEsAfter(f Flow) iter.Seq[MFE] {
	return func(yield func(MFE) bool) {
		var page []MFE
		for after, more := f, true; more; {
			page, after, more = m.page(page[:0], after)
			// Who waits for the mutex was woken, and would run after this goroutine only.
			runtime.Gosched()
			for _, e := range page {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// page appends the entries that follow after, as many as may be copied at once. It returns
// the place reached, and whether there may be more.
func (m *Manager) page(page []MFE, after Flow) ([]MFE, Flow, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, seen, oifs := m.now(), 0, 0
	more := false
	m.order.after(after, func(f *mfe) bool {
		if seen == walkPage || oifs >= walkOIFs {
			more = true
			return false
		}
		seen++
		after = f.flow
		if now < f.expires() {
			oifs += len(f.oifs)
			page = append(page, MFE{Flow: f.flow})
			f.brief.describe(&page[len(page)-1], now)
		}
		return true
	})
	return page, after, more
}

// MFEStats returns the forwarding entry of a flow with its counters (MgmGetMfeStats, both
// flags). The counters are what the forwarder says, and zero if it says nothing. The error
// is ErrMFENotFound.
func (m *Manager) MFEStats(f Flow) (MFEStats, error) {
	e, err := m.MFE(f)
	if err != nil {
		return MFEStats{}, m.noMFE("statistics", f)
	}
	return m.withStats(e), nil
}

// AllMFEStats walks the forwarding entries with their counters, like MFEs
// (MgmGetFirstMfeStats, MgmGetNextMfeStats).
func (m *Manager) AllMFEStats() iter.Seq[MFEStats] {
	return func(yield func(MFEStats) bool) {
		for e := range m.MFEs() {
			if !yield(m.withStats(e)) {
				return
			}
		}
	}
}

// withStats asks the forwarder; the mutex is not held.
func (m *Manager) withStats(e MFE) MFEStats {
	stats, ok := m.forwarder.Stats(e.Flow)
	if !ok {
		stats = ForwarderStats{}
	}
	return MFEStats{MFE: e, Stats: stats}
}
