package router

import (
	"fmt"
	"slices"
	"sync/atomic"

	"umroute/cmd/umroute/internal/control"
	"umroute/mgm"
)

// client is a client of a Multicast Group Manager, with a name for people and
// counters of what went to and fro.
type client struct {
	*mgm.Client
	name   string // of the protocol
	family *family
	joins  atomic.Uint64 // memberships added
	prunes atomic.Uint64 // memberships deleted
	alerts [alertKinds]atomic.Uint64
}

// alertKind is a kind of callback.
type alertKind int

const (
	alertRPF alertKind = iota
	alertCreation
	alertJoin
	alertPrune
	alertWrongIf
	alertLocalJoin
	alertLocalLeave
	alertDisable
	alertEnable
	alertKinds
)

// alertNames are the keys of the counters in "show protocols".
var alertNames = [alertKinds]string{"rpf", "creation", "join", "prune", "wrong_if",
	"local_join", "local_leave", "disable", "enable"}

// register makes a client of f's manager. The name is that of the protocol.
func (f *family) register(name string, id mgm.ClientID, role mgm.Role,
	calls mgm.Callbacks) (*client, error) {
	c := &client{name: name, family: f}
	registered, err := f.manager.Register(id, role, c.counting(calls))
	if err != nil {
		return nil, fmt.Errorf("register %s with the multicast group manager of %s: %w",
			name, f.name, err)
	}
	c.Client = registered
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clients = append(f.clients, c)
	return c, nil
}

// deregister ends a client that has no interfaces.
func (f *family) deregister(c *client) error {
	if err := c.Deregister(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clients = slices.DeleteFunc(f.clients, func(other *client) bool { return other == c })
	return nil
}

// AddMembership implements what protocols and IGMP want of mgm.Client.
func (c *client) AddMembership(e mgm.Entry, i mgm.Iface, flags mgm.StateFlags) error {
	err := c.Client.AddMembership(e, i, flags)
	if err == nil {
		c.joins.Add(1)
	}
	return err
}

// DeleteMembership implements what protocols and IGMP want of mgm.Client.
func (c *client) DeleteMembership(e mgm.Entry, i mgm.Iface, flags mgm.StateFlags) error {
	err := c.Client.DeleteMembership(e, i, flags)
	if err == nil {
		c.prunes.Add(1)
	}
	return err
}

// counting gives callbacks that count and then call. What is nil stays nil,
// since the manager takes that for consent.
func (c *client) counting(calls mgm.Callbacks) mgm.Callbacks {
	return mgm.Callbacks{
		RPF:               counted(&c.alerts[alertRPF], calls.RPF),
		CreationAlert:     counted(&c.alerts[alertCreation], calls.CreationAlert),
		PruneAlert:        counted(&c.alerts[alertPrune], calls.PruneAlert),
		JoinAlert:         counted(&c.alerts[alertJoin], calls.JoinAlert),
		WrongIf:           counted(&c.alerts[alertWrongIf], calls.WrongIf),
		LocalJoin:         counted(&c.alerts[alertLocalJoin], calls.LocalJoin),
		LocalLeave:        counted(&c.alerts[alertLocalLeave], calls.LocalLeave),
		DisableMembership: counted(&c.alerts[alertDisable], calls.DisableMembership),
		EnableMembership:  counted(&c.alerts[alertEnable], calls.EnableMembership),
	}
}

func counted[T any](n *atomic.Uint64, call func(T)) func(T) {
	if call == nil {
		return nil
	}
	return func(argument T) {
		n.Add(1)
		call(argument)
	}
}

// document describes the client for "show protocols".
func (c *client) document(interfaces []*iface) control.Protocol {
	document := control.Protocol{
		Name: c.name, Family: c.family.addresses(), Interfaces: []string{},
		ProtocolID:  uint32(c.ID().Protocol),
		ComponentID: uint32(c.ID().Component),
		Joins:       c.joins.Load(), Prunes: c.prunes.Load(),
		Alerts: make(map[string]uint64),
	}
	for _, i := range interfaces {
		owner, err := c.family.manager.Owner(i.key())
		if err == nil && owner == c.ID() {
			document.Interfaces = append(document.Interfaces, i.config.Name)
		}
	}
	for m := range c.family.manager.Memberships() {
		if m.Client == c.ID() {
			document.Memberships++
		}
	}
	for kind, name := range alertNames {
		if n := c.alerts[kind].Load(); n > 0 {
			document.Alerts[name] = n
		}
	}
	return document
}
