package router

import (
	"slices"
	"sync"
)

// registry is the set of a router's interfaces. Its methods are safe for
// concurrent use, and none of them waits.
type registry struct {
	mu      sync.RWMutex
	ordered []*iface // in the order in which they came; replaced, never changed
	indices map[uint32]*iface
	launch  func(*iface) // has an interface served; nil before the router serves
	closed  bool
}

// reserve gives the lowest index that no interface has. Low ones are used
// again, since the forwarder keeps a place for every index that it has seen.
func (g *registry) reserve() uint32 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	index := uint32(1)
	for g.indices[index] != nil {
		index++
	}
	return index
}

// add takes in a new interface, and has it served if the router serves. It says
// no where the router is stopping, which closes no device any more.
func (g *registry) add(i *iface) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	if g.indices == nil {
		g.indices = make(map[uint32]*iface)
	}
	g.indices[i.index] = i
	g.ordered = append(slices.Clone(g.ordered), i)
	g.start(i)
	return true
}

// replace puts next, which has the same index, in the place of its forerunner.
func (g *registry) replace(next *iface) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ordered = slices.Clone(g.ordered)
	at := slices.Index(g.ordered, g.indices[next.index])
	g.ordered[at], g.indices[next.index] = next, next
}

// remove forgets the interface with this index.
func (g *registry) remove(index uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.indices, index)
	g.ordered = slices.DeleteFunc(slices.Clone(g.ordered),
		func(i *iface) bool { return i.index == index })
}

// serve has every interface served by launch, from now on also new ones.
func (g *registry) serve(launch func(*iface)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.launch = launch
	for _, i := range g.ordered {
		g.start(i)
	}
}

func (g *registry) start(i *iface) {
	if g.launch != nil && !g.closed {
		i.state.served = make(chan struct{})
		g.launch(i)
	}
}

// close gives the interfaces whose devices are to be closed, and takes in no
// more.
func (g *registry) close() []*iface {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return g.ordered
}

func (g *registry) list() []*iface {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.ordered
}

func (g *registry) byIndex(index uint32) *iface {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.indices[index]
}

func (g *registry) byName(name string) *iface {
	for _, i := range g.list() {
		if i.config.Name == name {
			return i
		}
	}
	return nil
}

// state says whether an interface is up, and if not, why.
func (g *registry) state(i *iface) (up bool, reason string) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return i.state.up, i.state.reason
}

// setState says whether the interface went up or down.
func (g *registry) setState(i *iface, up bool, reason string) (changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	changed = i.state.up != up
	i.state.up, i.state.reason = up, reason
	return changed
}

// setGone notes that an interface has lost its device for good.
func (g *registry) setGone(i *iface) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i.state.gone = true
}

func (g *registry) isGone(i *iface) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return i.state.gone
}
