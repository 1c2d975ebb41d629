package proxy

import (
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"umroute/mgm"
)

// settling is how long groups and sources stay wanted after an interface came
// or went, although nobody seems to want them. The Multicast Group Manager then
// drops the memberships of IGMP and MLD and has them added again, of which
// upstream is not to notice anything.
const settling = time.Second

// others stands for all that is wanted outside of the proxy's interfaces, of
// which the manager tells by join and prune alerts. Interfaces begin with 1.
const others uint32 = 0

// Client is the proxy's registration with the Multicast Group Manager;
// *mgm.Client is one.
type Client interface {
	TakeInterface(mgm.Iface) error
	ReleaseInterface(mgm.Iface) error
	AddMembership(mgm.Entry, mgm.Iface, mgm.StateFlags) error
	DeleteMembership(mgm.Entry, mgm.Iface, mgm.StateFlags) error
}

// Listener is told what is wanted from an upstream interface. A *Host is one,
// which sends reports; another one may join by sockets.
type Listener interface {
	// SetFilter says what is wanted of a group; the zero Filter leaves it.
	SetFilter(now time.Time, group netip.Addr, f Filter)
	// LeaveAll leaves all groups, for good.
	LeaveAll(now time.Time)
	// Advance does what is due, and Deadline says when it has to be called next.
	Advance(now time.Time)
	Deadline() (time.Time, bool)
}

var _ Listener = (*Host)(nil)

// Config is what a Proxy needs from its surroundings.
type Config struct {
	// Flows lists the manager's forwarding entries behind a position, ascending
	// by group: Manager.MFEsAfter.
	Flows func(after mgm.Flow) iter.Seq[mgm.MFE]
	// Wake asks for a call of Advance. It is called by the manager's goroutine
	// and must not block.
	Wake   func()
	Logger *slog.Logger // nil logs nothing
}

// Proxy is one proxy of one family. It is not safe for concurrent use, apart
// from its Callbacks.
type Proxy struct {
	config Config
	log    *slog.Logger
	client Client

	database    *Database
	upstreams   map[uint32]Listener
	downstreams map[uint32]*downstream
	rules       Rules     // with all upstream interfaces, there or not
	settled     time.Time // until then nothing is given up
	held        []*group  // what would have been

	view  atomic.Pointer[view] // what Callbacks read
	inbox inbox
}

// downstream is an interface on which the proxy is the router.
type downstream struct {
	silent bool // another router is the querier, and so the forwarder
}

// view is what the manager's goroutine has to know of a Proxy. It never
// changes once it is published.
type view struct {
	rules       Rules
	upstreams   []uint32
	downstreams map[uint32]downstream
}

// New returns a proxy without interfaces. It works once it is bound.
func New(config Config) *Proxy {
	p := &Proxy{config: config, log: config.Logger, database: NewDatabase(),
		upstreams: make(map[uint32]Listener), downstreams: make(map[uint32]*downstream)}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.publish()
	return p
}

// Bind gives the proxy its client, which was registered with Callbacks, and the
// memberships that existed by then (MGM: "Starting Up a Multicast Routing
// Protocol").
func (p *Proxy) Bind(client Client, memberships iter.Seq[mgm.Entry]) {
	p.client = client
	for e := range memberships {
		p.wanted(e, true)
	}
}

// SetRules says which upstream interface is for what. Among Upstreams those that
// are not there do not count. Entries that exist are adapted.
func (p *Proxy) SetRules(now time.Time, rules Rules) {
	p.rules = rules
	p.reroute(now)
	p.adapt(p.config.Flows(mgm.Flow{}))
}

// AddUpstream makes the proxy a host on an interface: it owns it, and sends
// there what downstream sources send (RFC 4605 section 4.3).
func (p *Proxy) AddUpstream(now time.Time, index uint32, l Listener) error {
	if err := p.client.TakeInterface(mgm.Iface{Index: index}); err != nil {
		return fmt.Errorf("proxy: take upstream interface %d: %w", index, err)
	}
	p.upstreams[index] = l
	p.settle(now)
	p.reroute(now)
	// RFC 2715 rule 6: who does not learn what is wanted beyond an interface
	// wants everything there. Nothing says upstream what its hosts want.
	err := p.client.AddMembership(mgm.Entry{}, mgm.Iface{Index: index}, mgm.JoinState)
	if err != nil {
		return fmt.Errorf("proxy: forward to upstream interface %d: %w", index, err)
	}
	return nil
}

// AddDownstream makes the proxy the owner of an interface with listeners.
func (p *Proxy) AddDownstream(now time.Time, index uint32) error {
	if err := p.client.TakeInterface(mgm.Iface{Index: index}); err != nil {
		return fmt.Errorf("proxy: take downstream interface %d: %w", index, err)
	}
	p.downstreams[index] = &downstream{}
	p.settle(now)
	p.publish()
	return nil
}

// RemoveInterface gives an interface up. Of an upstream interface that is lost
// only the listener is; what downstream wants is kept for the day it returns.
func (p *Proxy) RemoveInterface(now time.Time, index uint32) {
	l := p.upstreams[index]
	if l == nil && p.downstreams[index] == nil {
		return
	}
	if l != nil {
		l.LeaveAll(now)
		delete(p.upstreams, index)
	}
	delete(p.downstreams, index)
	p.settle(now)
	p.reroute(now)
	if err := p.client.ReleaseInterface(mgm.Iface{Index: index}); err != nil {
		p.log.Error("interface not released", "if", index, "err", err)
	}
	p.database.drop(index)
}

// Stop leaves all groups upstream, and says so at once.
func (p *Proxy) Stop(now time.Time) {
	for _, l := range p.upstreams {
		l.LeaveAll(now)
	}
}

// Interfaces returns the interfaces that the proxy has, ascending.
func (p *Proxy) Interfaces() (upstream, downstream []uint32) {
	for index := range p.upstreams {
		upstream = append(upstream, index)
	}
	for index := range p.downstreams {
		downstream = append(downstream, index)
	}
	slices.Sort(upstream)
	slices.Sort(downstream)
	return upstream, downstream
}

// SetQuerier says whether the router is the querier of a downstream interface.
// Only that one forwards to the link (RFC 4605 section 4.2). Entries that exist
// are adapted.
func (p *Proxy) SetQuerier(index uint32, querier bool) {
	d := p.downstreams[index]
	if d == nil || d.silent == !querier {
		return
	}
	d.silent = !querier
	p.log.Info("forwarder changed", "if", index, "to", querier, "reason", "querier election")
	p.publish()
	p.adapt(p.config.Flows(mgm.Flow{}))
}

// settle starts the time in which nothing is given up.
func (p *Proxy) settle(now time.Time) { p.settled = now.Add(settling) }

// publish lets Callbacks see the interfaces and rules.
func (p *Proxy) publish() {
	v := &view{rules: Rules{Rules: slices.Clone(p.rules.Rules), SendToAll: p.rules.SendToAll},
		downstreams: make(map[uint32]downstream)}
	for _, index := range p.rules.Upstreams {
		if p.upstreams[index] != nil {
			v.rules.Upstreams = append(v.rules.Upstreams, index)
		}
	}
	for index := range p.upstreams {
		v.upstreams = append(v.upstreams, index)
	}
	slices.Sort(v.upstreams)
	if len(p.rules.Upstreams) == 0 {
		v.rules.Upstreams = v.upstreams
	}
	for index, d := range p.downstreams {
		v.downstreams[index] = *d
	}
	p.view.Store(v)
}

// reroute asks each upstream interface for its part, after the parts changed.
func (p *Proxy) reroute(now time.Time) {
	p.publish()
	for _, g := range p.database.sorted() {
		p.tell(now, g)
	}
}

// Advance does what is due: it takes in what the manager said, and tells the
// listeners what has changed thereby.
func (p *Proxy) Advance(now time.Time) {
	for _, e := range p.inbox.take() {
		p.apply(e)
	}
	if len(p.held) > 0 && !now.Before(p.settled) {
		for _, g := range p.held {
			p.database.mark(g)
		}
		p.held = nil
	}
	for _, g := range p.database.changed() {
		p.update(now, g)
	}
	for _, l := range p.upstreams {
		l.Advance(now)
	}
}

// update merges what is wanted of a group.
func (p *Proxy) update(now time.Time, g *group) {
	want := g.filter()
	if now.Before(p.settled) && !want.covers(g.told) {
		p.held = append(p.held, g)
		want = want.Union(g.told)
	}
	if !want.Equal(g.told) {
		if g.told.IsZero() {
			g.since = now
		}
		g.told = want
		p.tell(now, g)
	}
	if len(p.held) == 0 {
		p.database.forget(g)
	}
}

func (p *Proxy) tell(now time.Time, g *group) {
	v := p.view.Load()
	for _, index := range v.upstreams {
		p.upstreams[index].SetFilter(now, g.address, v.rules.split(index, g.address, g.told))
	}
}

// Deadline returns when Advance has to be called next; false for never.
func (p *Proxy) Deadline() (time.Time, bool) {
	if p.inbox.any() || len(p.database.dirty) > 0 {
		return atOnce, true
	}
	var at time.Time
	if len(p.held) > 0 {
		at = p.settled
	}
	for _, l := range p.upstreams {
		if d, ok := l.Deadline(); ok {
			at = earliest(at, d)
		}
	}
	return at, !at.IsZero()
}

// Request is what an upstream interface is asked for of one group.
type Request struct {
	Upstream uint32
	Group    netip.Addr
	Filter   Filter
	Since    time.Time // the group has been asked for, somewhere
}

// Requests lists what upstream is asked for, by interface and group.
func (p *Proxy) Requests() []Request {
	v := p.view.Load()
	groups := p.database.sorted()
	var list []Request
	for _, index := range v.upstreams {
		for _, g := range groups {
			f := v.rules.split(index, g.address, g.told)
			if !f.IsZero() {
				list = append(list, Request{index, g.address, f, g.since})
			}
		}
	}
	return list
}
