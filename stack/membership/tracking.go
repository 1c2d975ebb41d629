package membership

import (
	"net/netip"
	"slices"

	"umroute/stack/igmp"
)

// Bounds of explicit tracking. Hosts beyond them are served like all others;
// only fast leave falls back to asking, since it cannot know them all.
const (
	maxHosts          = 256     // tracked in one group
	maxHostSources    = 1024    // tracked of one host in one group
	maxInterfaceHosts = 1 << 18 // tracked in all groups of an interface
	maxTrackedSources = 1 << 18 // of all hosts in all groups of an interface
)

// budget counts what is tracked on an interface.
type budget struct{ hosts, sources int }

// host is what one host has asked for in a group.
type host struct {
	address netip.Addr
	sources []netip.Addr // ascending
	until   instant      // forgotten then, unless it reports again
	mode    FilterMode
	greedy  bool // its sources did not fit: it counts as wanting all
}

func (g *group) findHost(a netip.Addr) (int, bool) {
	if len(g.hosts) == 1 && g.hosts[0].address == a {
		return 0, true
	}
	return slices.BinarySearchFunc(g.hosts, a, func(h host, a netip.Addr) int {
		return h.address.Compare(a)
	})
}

// track notes what a host says about the group.
func (g *group) track(now instant, rec *record) {
	i, ok := g.findHost(rec.host)
	if ok && g.hosts[i].until <= now {
		g.removeHost(i)
		ok = false
	}
	if !ok {
		if !rec.wants() {
			return
		}
		if i, ok = g.addHost(now, i, rec.host); !ok {
			return
		}
	}
	h := &g.hosts[i]
	before := len(h.sources)
	g.note(h, now.after(g.link.current.groupMembership()), rec)
	g.link.tracked.sources += len(h.sources) - before
	if h.mode == Include && len(h.sources) == 0 && !h.greedy {
		g.removeHost(i)
	}
}

// note changes what is known of a host by a record of it.
func (g *group) note(h *host, until instant, rec *record) {
	switch rec.kind {
	case igmp.IsExclude, igmp.ToExclude:
		h.mode, h.until = Exclude, until
		g.setSources(h, rec.sources)
	case igmp.ToInclude:
		h.mode, h.until = Include, until
		g.setSources(h, rec.sources)
	case igmp.IsInclude, igmp.Allow:
		// A host in EXCLUDE mode answers a question for sources with IS_IN
		// (RFC 9776 section 5.2), so the mode stays; but it is not refreshed.
		if h.mode == Exclude {
			h.drop(rec.sources)
			return
		}
		h.until = until
		g.addSources(h, rec.sources)
	case igmp.Block:
		if h.mode == Exclude {
			g.addSources(h, rec.sources)
			return
		}
		h.drop(rec.sources)
	}
}

// addHost makes room for a host at index i, or says that there is none.
func (g *group) addHost(now instant, i int, a netip.Addr) (int, bool) {
	l := g.link
	if len(g.hosts) >= maxHosts || l.tracked.hosts >= maxInterfaceHosts {
		g.dropStaleHosts(now)
		i, _ = g.findHost(a)
	}
	if len(g.hosts) >= maxHosts || l.tracked.hosts >= maxInterfaceHosts {
		g.crowdedUntil = now.after(l.current.groupMembership())
		return 0, false
	}
	l.tracked.hosts++
	g.hosts = slices.Insert(g.hosts, i, host{address: a})
	return i, true
}

func (g *group) removeHost(i int) {
	g.link.tracked.hosts--
	g.link.tracked.sources -= len(g.hosts[i].sources)
	g.hosts = slices.Delete(g.hosts, i, i+1)
}

func (g *group) dropStaleHosts(now instant) {
	for i := len(g.hosts) - 1; i >= 0; i-- {
		if g.hosts[i].until <= now {
			g.removeHost(i)
		}
	}
}

// setSources replaces the sources of a host.
func (g *group) setSources(h *host, sources []netip.Addr) {
	h.greedy = false
	if slices.Equal(h.sources, sources) {
		return
	}
	if len(sources) > g.room(h) {
		h.overflow()
		return
	}
	if len(sources) == 0 {
		h.sources = nil
		return
	}
	h.sources = append(h.sources[:0], sources...)
	slices.SortFunc(h.sources, netip.Addr.Compare)
	h.sources = slices.Compact(h.sources)
}

// addSources adds to the sources of a host.
func (g *group) addSources(h *host, sources []netip.Addr) {
	if h.greedy || slices.Equal(h.sources, sources) {
		return
	}
	room := g.room(h)
	for _, a := range sources {
		i, ok := slices.BinarySearchFunc(h.sources, a, netip.Addr.Compare)
		if ok {
			continue
		}
		if len(h.sources) >= room {
			h.overflow()
			return
		}
		h.sources = slices.Insert(h.sources, i, a)
	}
}

// room returns how many sources the host may have.
func (g *group) room(h *host) int {
	return min(maxHostSources, maxTrackedSources-g.link.tracked.sources+len(h.sources))
}

// overflow gives up the list of a host: in EXCLUDE mode what is not excluded is
// wanted, in INCLUDE mode greedy says so.
func (h *host) overflow() {
	h.sources = nil
	h.greedy = true
}

// drop removes sources of a host.
func (h *host) drop(sources []netip.Addr) {
	for _, a := range sources {
		if i, ok := slices.BinarySearchFunc(h.sources, a, netip.Addr.Compare); ok {
			h.sources = slices.Delete(h.sources, i, i+1)
		}
	}
	if len(h.sources) == 0 {
		h.sources = nil
	}
}

// wanted reports whether some host may want a source of the group.
func (g *group) wanted(now instant, a netip.Addr) bool {
	if g.crowdedUntil > now {
		return true
	}
	for i := range g.hosts {
		h := &g.hosts[i]
		if h.until <= now {
			continue
		}
		_, listed := slices.BinarySearchFunc(h.sources, a, netip.Addr.Compare)
		if h.greedy || listed == (h.mode == Include) {
			return true
		}
	}
	return false
}

// wantedByAny reports whether some host may be in EXCLUDE mode.
func (g *group) wantedByAny(now instant) bool {
	if g.crowdedUntil > now {
		return true
	}
	return slices.ContainsFunc(g.hosts, func(h host) bool {
		return h.until > now && (h.mode == Exclude || h.greedy)
	})
}
