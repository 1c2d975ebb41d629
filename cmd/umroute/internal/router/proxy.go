package router

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"umroute/cmd/umroute/internal/config"
	"umroute/mgm"
	"umroute/routing/proxy"
)

// otherProtocol is the number of a protocol that IANA's list does not have
// (IANA ipMRouteProtocol: other(1)).
const otherProtocol mgm.ProtocolID = 1

// proxies runs routing/proxy, one machine for each family of each proxy.
type proxies struct {
	router    *Router
	instances []*proxyInstance
	present   map[uint32]*iface // interfaces that protocols were told of
}

// proxyInstance is one proxy of the configuration.
type proxyInstance struct {
	settings config.Proxy
	members  []*proxyFamily // IPv4, IPv6
}

// proxyFamily is one family of a proxy.
type proxyFamily struct {
	*proxy.Proxy
	family *family
	client *client
	sides  map[uint32]upstream // by upstream interface
	seen   uint64              // elections on the downstream interfaces that are known
}

func newProxies(r *Router) *proxies {
	return &proxies{router: r, present: make(map[uint32]*iface)}
}

// Configure implements protocol. What did not change is not touched.
func (p *proxies) Configure(now time.Time, settings *config.Protocols) error {
	for len(p.instances) < len(settings.Proxies) {
		instance, err := p.newInstance(len(p.instances) + 1)
		if err != nil {
			return err
		}
		p.instances = append(p.instances, instance)
	}
	for n, instance := range p.instances {
		var wanted config.Proxy
		if n < len(settings.Proxies) {
			wanted = settings.Proxies[n]
		}
		if !reflect.DeepEqual(instance.settings, wanted) {
			p.releaseUnwanted(now, instance, wanted)
		}
	}
	// All have let go of what another one may want now.
	for n, instance := range p.instances {
		if n < len(settings.Proxies) && !reflect.DeepEqual(instance.settings, settings.Proxies[n]) {
			instance.settings = settings.Proxies[n]
			p.takeWanted(now, instance)
		}
	}
	return p.dropInstances(len(settings.Proxies))
}

// newInstance registers a proxy with both managers; number is its component.
func (p *proxies) newInstance(number int) (*proxyInstance, error) {
	instance := &proxyInstance{}
	for _, f := range p.router.families() {
		member := &proxyFamily{family: f, sides: make(map[uint32]upstream)}
		member.Proxy = proxy.New(proxy.Config{
			Flows:  f.manager.MFEsAfter,
			Wake:   p.router.loop.wake,
			Logger: p.router.log.With("protocol", "proxy", "family", f.addresses()),
		})
		id := mgm.ClientID{Protocol: otherProtocol, Component: mgm.ComponentID(number)}
		calls := member.Callbacks()
		prune := calls.PruneAlert
		calls.PruneAlert = func(alert *mgm.PruneAlert) {
			prune(alert)
			f.shortenEmptyFlow(alert)
		}
		var err error
		member.client, err = f.register("proxy", id, mgm.RoleRouting, calls)
		if err != nil {
			return nil, err
		}
		member.Bind(member.client, member.client.Memberships(mgm.AllSources))
		instance.members = append(instance.members, member)
	}
	return instance, nil
}

// dropInstances ends the proxies beyond the first n, which have no interfaces
// any more.
func (p *proxies) dropInstances(n int) error {
	for _, instance := range p.instances[n:] {
		for _, member := range instance.members {
			if err := member.family.deregister(member.client); err != nil {
				return fmt.Errorf("end proxy: %w", err)
			}
		}
	}
	p.instances = p.instances[:n]
	return nil
}

// releaseUnwanted gives up the interfaces whose part in a proxy changes.
func (p *proxies) releaseUnwanted(now time.Time, instance *proxyInstance, wanted config.Proxy) {
	for _, i := range p.interfaces() {
		before := partOf(instance.settings, i.config.Name)
		if before == noPart || before == partOf(wanted, i.config.Name) {
			continue
		}
		p.release(now, instance, i)
		if before != upstreamPart {
			continue
		}
		for _, f := range p.router.families() { // the router side begins
			err := f.addInterface(now, i, p.router.routerSide(f, i), p.router.queryAddress(f, i))
			if err != nil {
				p.router.log.Error("membership not started", "if", i.config.Name, "err", err)
			}
		}
	}
}

// takeWanted takes the interfaces that a proxy wants and has not.
func (p *proxies) takeWanted(now time.Time, instance *proxyInstance) {
	p.setRules(now, instance)
	for _, i := range p.interfaces() {
		p.take(now, instance, i)
	}
	for _, member := range instance.members {
		member.followElections(instance.settings.RequireQuerier)
	}
}

// interfaces lists those that are there, ascending.
func (p *proxies) interfaces() []*iface {
	var list []*iface
	for _, index := range slices.Sorted(maps.Keys(p.present)) {
		if i := p.router.byIndex(index); i != nil {
			list = append(list, i)
		}
	}
	return list
}

// AddInterface implements protocol.
func (p *proxies) AddInterface(now time.Time, i *iface) {
	p.present[i.index] = i
	for _, instance := range p.instances {
		if partOf(instance.settings, i.config.Name) != noPart {
			p.setRules(now, instance)
			p.take(now, instance, i)
		}
	}
}

// RemoveInterface implements protocol.
func (p *proxies) RemoveInterface(now time.Time, i *iface) {
	delete(p.present, i.index)
	for _, instance := range p.instances {
		if partOf(instance.settings, i.config.Name) != noPart {
			p.release(now, instance, i)
			p.setRules(now, instance)
		}
	}
}

// take makes an interface the proxy's, in the families that are enabled there.
func (p *proxies) take(now time.Time, instance *proxyInstance, i *iface) {
	part := partOf(instance.settings, i.config.Name)
	for _, member := range instance.members {
		if member.has(i.index) || !member.family.runsOn(i) || !instance.serves(member.family) {
			continue
		}
		var err error
		switch part {
		case upstreamPart:
			err = p.takeUpstream(now, member, i)
		case downstreamPart:
			err = member.AddDownstream(now, i.index)
		}
		if err != nil {
			p.router.log.Error("interface not proxied", "if", i.config.Name, "err", err)
		}
	}
}

func (p *proxies) takeUpstream(now time.Time, member *proxyFamily, i *iface) error {
	f := member.family
	side := p.router.newUpstream(f, i)
	f.upstream[i.index] = side
	if err := member.AddUpstream(now, i.index, side); err != nil {
		delete(f.upstream, i.index)
		return err
	}
	member.sides[i.index] = side
	return nil
}

// serves says whether the proxy is for a family.
func (i *proxyInstance) serves(f *family) bool {
	return i.settings.Family == "" || i.settings.Family == f.addresses()
}

// release gives an interface up.
func (p *proxies) release(now time.Time, instance *proxyInstance, i *iface) {
	for _, member := range instance.members {
		if member.sides[i.index] != nil {
			delete(member.sides, i.index)
			delete(member.family.upstream, i.index)
		}
		member.RemoveInterface(now, i.index)
	}
}

func (m *proxyFamily) has(index uint32) bool {
	upstream, downstream := m.Interfaces()
	return slices.Contains(upstream, index) || slices.Contains(downstream, index)
}

// setRules tells a proxy which of its upstream interfaces is for what, and the
// RIB where data of unknown sources comes in.
func (p *proxies) setRules(now time.Time, instance *proxyInstance) {
	indices := make(map[string]uint32)
	for _, i := range p.interfaces() {
		indices[i.config.Name] = i.index
	}
	var order []uint32
	for _, name := range instance.settings.Upstream {
		if index := indices[name]; index != 0 {
			order = append(order, index)
		}
	}
	var rules []proxy.Rule
	for _, rule := range instance.settings.Rules {
		// While its interface is not there nobody has what the rule is for.
		rules = append(rules, proxy.Rule{Upstream: indices[rule.Upstream],
			Groups: rule.Groups, Sources: rule.Sources})
	}
	for _, member := range instance.members {
		member.SetRules(now, proxy.Rules{Upstreams: order, Rules: rules,
			SendToAll: instance.settings.SendToAll})
	}
	p.setDefaults(indices)
}

func (p *proxies) setDefaults(indices map[string]uint32) {
	for n, f := range p.router.families() {
		var defaults []uint32
		for _, instance := range p.instances {
			for _, name := range instance.settings.Upstream {
				i := p.router.byIndex(indices[name])
				if i != nil && f.runsOn(i) && instance.serves(f) {
					defaults = append(defaults, i.index)
				}
			}
		}
		p.router.rib.SetDefaults(n == 1, defaults)
	}
}

// SetLink implements protocol.
func (p *proxies) SetLink(now time.Time, i *iface, up bool) {
	for _, f := range p.router.families() {
		side := f.upstream[i.index]
		switch {
		case side == nil:
		case up:
			side.LinkUp(now)
		default:
			side.LinkDown()
		}
	}
}

// Advance implements machine.
func (p *proxies) Advance(now time.Time) {
	for _, instance := range p.instances {
		for _, member := range instance.members {
			if member.seen != member.family.membership.Elections() {
				member.followElections(instance.settings.RequireQuerier)
			}
			member.Advance(now)
		}
	}
}

// followElections tells the proxy on which links another router forwards, if
// that matters.
func (m *proxyFamily) followElections(matters bool) {
	m.seen = m.family.membership.Elections()
	_, downstream := m.Interfaces()
	for _, index := range downstream {
		m.SetQuerier(index, !matters || !m.family.membership.HasOtherQuerier(index))
	}
}

// Deadline implements machine.
func (p *proxies) Deadline() (earliest time.Time, ok bool) {
	for _, instance := range p.instances {
		for _, member := range instance.members {
			if due, set := member.Deadline(); set && (!ok || due.Before(earliest)) {
				earliest, ok = due, true
			}
		}
	}
	return earliest, ok
}

// Stop implements protocol.
func (p *proxies) Stop(now time.Time) {
	for _, instance := range p.instances {
		for _, member := range instance.members {
			member.Stop(now)
		}
	}
}

// part is what an interface is in a proxy.
type part int

const (
	noPart part = iota
	upstreamPart
	downstreamPart
)

func partOf(settings config.Proxy, name string) part {
	switch {
	case slices.Contains(settings.Upstream, name):
		return upstreamPart
	case slices.Contains(settings.Downstream, name):
		return downstreamPart
	}
	return noPart
}
