package proxy

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Database holds what each downstream interface wants of each group, and
// merges it (RFC 4605 section 4.1). Interfaces are numbers of the caller's.
//
// It takes single facts, as the Multicast Group Manager tells them: a group
// is wanted from any source, a source is wanted, a source is excluded. Each
// costs in proportion to the sources of that one group on that interface, not
// to what the other interfaces have.
type Database struct {
	groups map[netip.Addr]*group
	dirty  []*group // whose merged filter may have changed, each once
}

// group is what all interfaces want of one group.
type group struct {
	address netip.Addr
	ports   []port  // by interface, ascending
	tallies []tally // by source, ascending
	any     int     // ports that want any source
	dirty   bool
	told    Filter    // what upstream was told last
	since   time.Time // when it began to be more than nothing
}

// port is what one interface wants of one group. In EXCLUDE mode any is set;
// an included source is then wanted whatever is excluded.
type port struct {
	index   uint32
	any     bool
	sources []portSource // ascending
}

type portSource struct {
	address            netip.Addr
	included, excluded bool
}

// tally counts the interfaces that name a source.
type tally struct {
	address            netip.Addr
	included, excluded int // the latter only among ports that want any
}

// NewDatabase returns an empty Database.
func NewDatabase() *Database { return &Database{groups: make(map[netip.Addr]*group)} }

// fact is one thing that an interface says of a group.
type fact uint8

const (
	wantsAny fact = iota // (*,G)
	includes             // (S,G)
	excludes             // all but S, where any is wanted
)

// set notes that a fact is true of an interface, or is so no longer. Saying
// it twice is the same as once.
func (d *Database) set(index uint32, address, source netip.Addr, f fact, holds bool) {
	g := d.groups[address]
	if g == nil {
		if !holds {
			return
		}
		g = &group{address: address}
		d.groups[address] = g
	}
	p := g.port(index)
	switch f {
	case wantsAny:
		g.setAny(p, holds)
	default:
		g.setSource(p, source, f, holds)
	}
	if !p.any && len(p.sources) == 0 {
		i := slices.IndexFunc(g.ports, func(q port) bool { return q.index == index })
		g.ports = slices.Delete(g.ports, i, i+1)
	}
	d.mark(g)
}

// port returns the place of an interface, made if there is none.
func (g *group) port(index uint32) *port {
	i, ok := slices.BinarySearchFunc(g.ports, index, func(p port, index uint32) int {
		return int(int64(p.index) - int64(index))
	})
	if !ok {
		g.ports = slices.Insert(g.ports, i, port{index: index})
	}
	return &g.ports[i]
}

// setAny changes the mode of an interface. Exclusions count in EXCLUDE mode
// alone: they come before it and go after it.
func (g *group) setAny(p *port, holds bool) {
	if p.any == holds {
		return
	}
	p.any = holds
	step := 1
	if !holds {
		step = -1
	}
	g.any += step
	for i := range p.sources {
		if p.sources[i].excluded {
			g.count(p.sources[i].address, excludes, step)
		}
	}
}

func (g *group) setSource(p *port, source netip.Addr, f fact, holds bool) {
	i, ok := slices.BinarySearchFunc(p.sources, source, func(s portSource, a netip.Addr) int {
		return s.address.Compare(a)
	})
	if !ok {
		if !holds {
			return
		}
		p.sources = slices.Insert(p.sources, i, portSource{address: source})
	}
	s := &p.sources[i]
	said := &s.included
	if f == excludes {
		said = &s.excluded
	}
	if *said == holds {
		return
	}
	*said = holds
	step := 1
	if !holds {
		step = -1
	}
	if f == includes || p.any {
		g.count(source, f, step)
	}
	if !s.included && !s.excluded {
		p.sources = slices.Delete(p.sources, i, i+1)
	}
}

// count changes the tally of a source.
func (g *group) count(source netip.Addr, f fact, step int) {
	i, ok := slices.BinarySearchFunc(g.tallies, source, func(t tally, a netip.Addr) int {
		return t.address.Compare(a)
	})
	if !ok {
		g.tallies = slices.Insert(g.tallies, i, tally{address: source})
	}
	t := &g.tallies[i]
	if f == includes {
		t.included += step
	} else {
		t.excluded += step
	}
	if t.included == 0 && t.excluded == 0 {
		g.tallies = slices.Delete(g.tallies, i, i+1)
	}
}

// filter merges what the interfaces want (RFC 3376 section 3.2).
func (g *group) filter() Filter {
	f := Filter{Mode: Include}
	if g.any > 0 {
		f.Mode = Exclude
	}
	if len(g.tallies) > 0 {
		f.Sources = make([]netip.Addr, 0, len(g.tallies))
	}
	for i := range g.tallies {
		t := &g.tallies[i]
		listed := t.included > 0
		if f.Mode == Exclude {
			listed = t.included == 0 && t.excluded == g.any
		}
		if listed {
			f.Sources = append(f.Sources, t.address)
		}
	}
	if len(f.Sources) == 0 {
		f.Sources = nil
	}
	return f
}

// Filter returns what all interfaces want of a group together.
func (d *Database) Filter(address netip.Addr) Filter {
	if g := d.groups[address]; g != nil {
		return g.filter()
	}
	return Filter{}
}

// drop forgets what an interface wants.
func (d *Database) drop(index uint32) {
	for address, g := range d.groups {
		i := slices.IndexFunc(g.ports, func(p port) bool { return p.index == index })
		if i < 0 {
			continue
		}
		gone := g.ports[i]
		gone.sources = slices.Clone(gone.sources)
		for _, s := range gone.sources {
			d.set(index, address, s.address, includes, false)
			d.set(index, address, s.address, excludes, false)
		}
		d.set(index, address, netip.Addr{}, wantsAny, false)
	}
}

// changed returns the groups that facts have changed since the last call, in
// the order of their first change.
func (d *Database) changed() []*group {
	list := d.dirty
	d.dirty = nil
	for _, g := range list {
		g.dirty = false
	}
	return list
}

// mark has changed return the group again.
func (d *Database) mark(g *group) {
	if !g.dirty {
		g.dirty = true
		d.dirty = append(d.dirty, g)
	}
}

// forget drops a group that nobody wants, and of which upstream was told so.
func (d *Database) forget(g *group) {
	if len(g.ports) == 0 && g.told.IsZero() && !g.dirty {
		delete(d.groups, g.address)
	}
}

// sorted returns the groups in the order of their addresses.
func (d *Database) sorted() []*group {
	return slices.SortedFunc(maps.Values(d.groups), func(a, b *group) int {
		return a.address.Compare(b.address)
	})
}
