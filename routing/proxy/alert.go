package proxy

import (
	"errors"
	"iter"
	"net/netip"
	"slices"
	"sync"

	"umroute/mgm"
)

// event is something that the manager said of memberships.
type event struct {
	entry mgm.Entry
	index uint32 // others for an alert
	fact  fact
	holds bool
}

// inbox keeps events until the next Advance.
type inbox struct {
	mu     sync.Mutex
	events []event
}

// add reports whether the inbox was empty.
func (i *inbox) add(e event) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.events = append(i.events, e)
	return len(i.events) == 1
}

func (i *inbox) take() []event {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := i.events
	i.events = nil
	return list
}

func (i *inbox) any() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.events) > 0
}

// Callbacks are the proxy's answers to the manager, for its registration. They
// may be called by any goroutine.
func (p *Proxy) Callbacks() mgm.Callbacks {
	return mgm.Callbacks{
		RPF:           p.chooseUpstream,
		CreationAlert: p.chooseOutputs,
		JoinAlert: func(a mgm.JoinAlert) {
			if a.MemberUpdate {
				p.note(event{entry: a.Entry, index: others, fact: factOf(a.Entry), holds: true})
			}
		},
		PruneAlert: func(a *mgm.PruneAlert) {
			if a.MemberDelete {
				p.note(event{entry: a.Entry, index: others, fact: factOf(a.Entry)})
			}
		},
		LocalJoin:  func(c mgm.LocalChange) { p.noteLocal(c, true) },
		LocalLeave: func(c mgm.LocalChange) { p.noteLocal(c, false) },
	}
}

func factOf(e mgm.Entry) fact {
	if e.Source.IsValid() {
		return includes
	}
	return wantsAny
}

func (p *Proxy) noteLocal(c mgm.LocalChange, holds bool) {
	f := factOf(c.Entry)
	if c.Exclude {
		f = excludes
	}
	p.note(event{entry: c.Entry, index: c.Iface.Index, fact: f, holds: holds})
}

func (p *Proxy) note(e event) {
	if p.inbox.add(e) && p.config.Wake != nil {
		p.config.Wake()
	}
}

// apply takes in an event. That others want all groups, (*,*), cannot be said
// in IGMP or MLD.
func (p *Proxy) apply(e event) {
	if !e.entry.Group.IsValid() {
		return
	}
	p.database.set(e.index, e.entry.Group, e.entry.Source, e.fact, e.holds)
	if d := p.downstreams[e.index]; d != nil && d.silent && e.holds {
		p.adaptGroup(e.entry.Group) // new listeners do not ask for our approval
	}
}

// wanted notes that others want an entry.
func (p *Proxy) wanted(e mgm.Entry, holds bool) {
	p.apply(event{entry: e, index: others, fact: factOf(e), holds: holds})
}

// chooseUpstream has a flow from upstream come in where the rules say, whatever
// upstream interface the RIB gives for its source.
func (p *Proxy) chooseUpstream(q *mgm.RPFQuery) {
	v := p.view.Load()
	if !v.isUpstream(q.Iface.Index) {
		return
	}
	index := v.rules.Upstream(q.Flow.Source, q.Flow.Group)
	if index != 0 && index != q.Iface.Index {
		q.Iface, q.Upstream = mgm.Iface{Index: index}, netip.Addr{}
	}
}

func (p *Proxy) chooseOutputs(a *mgm.CreationAlert) {
	v := p.view.Load()
	for i := range a.OIFs {
		o := &a.OIFs[i]
		o.Enabled = v.forwards(a.Flow, a.In.Index, o.Iface.Index)
	}
}

func (v *view) isUpstream(index uint32) bool {
	return slices.Contains(v.upstreams, index)
}

// forwards says whether a flow that comes in on an interface goes out of one of
// the proxy's, if its listeners want it (RFC 4605 section 4.3): from downstream
// to the flow's upstream interface; from anywhere to the downstream interfaces
// of which the router is the querier.
func (v *view) forwards(flow mgm.Flow, in, out uint32) bool {
	if v.isUpstream(out) {
		_, fromBelow := v.downstreams[in]
		return fromBelow &&
			(v.rules.SendToAll || v.rules.Upstream(flow.Source, flow.Group) == out)
	}
	return !v.downstreams[out].silent
}

// adapt has the entries that exist follow a change of rules or queriers.
func (p *Proxy) adapt(flows iter.Seq[mgm.MFE]) {
	v := p.view.Load()
	for entry := range flows {
		for _, out := range v.outputs() {
			p.adaptOutput(v, entry, mgm.Iface{Index: out})
		}
	}
}

// adaptGroup is adapt for the entries of one group.
func (p *Proxy) adaptGroup(group netip.Addr) {
	p.adapt(func(yield func(mgm.MFE) bool) {
		for entry := range p.config.Flows(mgm.Flow{Group: group}) {
			if entry.Group != group || !yield(entry) {
				return
			}
		}
	})
}

// adaptOutput keeps an entry from an interface, or lets it go there again. That
// its owner adds an interface lifts what it said against it; the membership is
// only for that.
func (p *Proxy) adaptOutput(v *view, entry mgm.MFE, out mgm.Iface) {
	present := slices.Contains(entry.OIFs, out)
	allowed := v.forwards(entry.Flow, entry.In.Index, out.Index)
	if out == entry.In || present == allowed {
		return
	}
	var err error
	if allowed {
		err = errors.Join(p.client.AddMembership(mgm.Entry(entry.Flow), out, mgm.JoinState),
			p.client.DeleteMembership(mgm.Entry(entry.Flow), out, mgm.JoinState))
	} else {
		err = p.client.DeleteMembership(mgm.Entry(entry.Flow), out, mgm.ForwardState)
	}
	if err != nil {
		p.log.Debug("forwarding entry not adapted", "source", entry.Source,
			"group", entry.Group, "err", err)
	}
}

// outputs lists the interfaces of the proxy.
func (v *view) outputs() []uint32 {
	list := slices.Clone(v.upstreams)
	for index := range v.downstreams {
		list = append(list, index)
	}
	return list
}
