package mgm

import (
	"net/netip"
	"slices"
	"sync"
)

// fakeRIB is a table of host routes.
type fakeRIB struct {
	mu     sync.Mutex
	routes map[netip.Addr]Route
}

func newFakeRIB() *fakeRIB { return &fakeRIB{routes: make(map[netip.Addr]Route)} }

func (r *fakeRIB) Lookup(a netip.Addr) (Route, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	route, ok := r.routes[a]
	return route, ok
}

// set routes a over i; the zero Iface removes the route.
func (r *fakeRIB) set(a netip.Addr, i Iface) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i == (Iface{}) {
		delete(r.routes, a)
		return
	}
	r.routes[a] = Route{Prefix: netip.PrefixFrom(a, a.BitLen()), Protocol: 2, Iface: i}
}

// route changes the route to a source and tells the manager.
func (l *lab) route(source string, i Iface) {
	a := l.addr(source)
	l.rib.set(a, i)
	l.m.RouteChanged(netip.PrefixFrom(a, a.BitLen()))
}

// fakeForwarder is a data plane that counts as MIB_IPMCAST_MFE_STATS_EX says.
type fakeForwarder struct {
	m       *Manager
	mu      sync.Mutex
	entries map[Flow]*fakeEntry
	waiting map[Flow][]Iface
	sent    []string // what left, as "S,G if2"
	sets    int
	deletes int
	refuse  error
}

type fakeEntry struct {
	mfe   MFE
	stats ForwarderStats
}

func (f *fakeForwarder) Set(e MFE) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sets++
	if f.refuse != nil {
		return f.refuse
	}
	entry := f.entries[e.Flow]
	if entry == nil {
		entry = &fakeEntry{}
		f.entries[e.Flow] = entry
	}
	entry.mfe = e
	old := entry.stats.OIFs
	entry.stats.OIFs = nil
	for _, i := range e.OIFs {
		o := OIFStats{Iface: i}
		if at := slices.IndexFunc(old, func(s OIFStats) bool { return s.Iface == i }); at >= 0 {
			o = old[at]
		}
		entry.stats.OIFs = append(entry.stats.OIFs, o)
	}
	for _, arrival := range f.waiting[e.Flow] {
		f.forward(entry, arrival)
	}
	delete(f.waiting, e.Flow)
	return nil
}

func (f *fakeForwarder) Delete(flow Flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deletes++
	delete(f.entries, flow)
}

func (f *fakeForwarder) Stats(flow Flow) (ForwarderStats, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if entry := f.entries[flow]; entry != nil {
		stats := entry.stats
		stats.OIFs = slices.Clone(stats.OIFs)
		return stats, true
	}
	return ForwarderStats{}, false
}

// packet lets a packet come in. The lock is held during the reports, as a data plane may.
func (f *fakeForwarder) packet(flow Flow, arrival Iface) {
	f.mu.Lock()
	defer f.mu.Unlock()
	entry := f.entries[flow]
	if entry == nil {
		if f.waiting == nil {
			f.waiting = make(map[Flow][]Iface)
		}
		f.waiting[flow] = append(f.waiting[flow], arrival)
		f.m.HandleMiss(flow, arrival, []byte("header"))
		return
	}
	if entry.mfe.In != arrival {
		f.m.HandleWrongIf(flow, arrival, []byte("header"))
	}
	f.forward(entry, arrival)
}

func (f *fakeForwarder) forward(entry *fakeEntry, arrival Iface) {
	switch {
	case entry.mfe.In != arrival:
		entry.stats.DifferentIf++
	case len(entry.mfe.OIFs) == 0:
		entry.stats.Negative++
	default:
		entry.stats.InPackets++
		for i := range entry.stats.OIFs {
			entry.stats.OIFs[i].OutPackets++
			entry.stats.TotalOutPackets++
			f.sent = append(f.sent, ifText(entry.stats.OIFs[i].Iface))
		}
	}
}

func (f *fakeForwarder) text(flow Flow) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if entry := f.entries[flow]; entry != nil {
		return mfeText(entry.mfe)
	}
	return "none"
}

// packet lets a packet of a flow come in.
func (l *lab) packet(flow string, arrival Iface) { l.forwarder.packet(l.flow(flow), arrival) }
