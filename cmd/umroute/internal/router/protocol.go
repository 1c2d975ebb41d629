package router

import (
	"fmt"
	"slices"
	"time"

	"umroute/cmd/umroute/internal/config"
	"umroute/cmd/umroute/internal/control"
)

// protocol is a routing protocol as the router runs it. All methods are called
// on the control loop, so none may wait for it, nor for mgm's Sync. What mgm
// asks by RPF and CreationAlert comes on mgm's own goroutine: a protocol
// answers those from what is guarded or never changes, and hands the other
// alerts to the loop by Router.loop.send.
//
// How a protocol NAME is added:
//
//   - routing/NAME is the protocol: a state machine without clock, which knows
//     mgm and no other protocol;
//   - config/NAME.go reads the section protocols.NAME into a field of
//     config.Protocols, hooked into decoder.protocols; decoder.claim says which
//     interfaces it wants to own, so that two protocols never want the same;
//   - router/NAME.go adapts one to the other: its constructor registers with the
//     manager of each family by Router.register, and stands in newProtocols.
//
// The order of calls: Configure once before there is any interface,
// AddInterface for each interface before IGMP and MLD start on it, then whatever
// happens, and Stop at the end while the devices still are open.
type protocol interface {
	machine // Advance, and Deadline: when Advance is due next

	// Configure applies the settings of all protocols, of which it takes its own;
	// at a reload the interfaces stay. A protocol that is not in the settings
	// gives up its interfaces. On an error nothing has changed.
	Configure(now time.Time, settings *config.Protocols) error
	// AddInterface says that an interface is there, and up.
	AddInterface(now time.Time, i *iface)
	// RemoveInterface says that an interface is going for good. The protocol
	// releases it.
	RemoveInterface(now time.Time, i *iface)
	// SetLink says that an interface went down, or came up again.
	SetLink(now time.Time, i *iface, up bool)
	// Status describes the protocol for "show protocols": a document for each
	// client by client.document, to which it may add. None where it is off.
	Status(now time.Time) []control.Protocol
	// Stop leaves upstream groups and withdraws what neighbours were told.
	Stop(now time.Time)
}

// newProtocols makes all protocols, in the order of their documents. None has
// settings yet.
func (r *Router) newProtocols() (err error) {
	if r.static, err = r.newStatic(); err != nil {
		return err
	}
	r.proxies = newProxies(r)
	r.relays = newRelays(r)
	r.kernel = &kernelRoutes{router: r}
	r.protocols = []protocol{r.static, r.proxies, r.relays, r.kernel}
	return nil
}

// configureProtocols gives the protocols their settings. It runs on the loop,
// or before the loop does.
func (r *Router) configureProtocols(now time.Time, settings *config.Protocols) error {
	for _, p := range r.protocols {
		if err := p.Configure(now, settings); err != nil {
			return fmt.Errorf("configure protocols: %w", err)
		}
	}
	return nil
}

// addToProtocols tells the protocols of a new interface. It runs on the loop.
func (r *Router) addToProtocols(now time.Time, i *iface) {
	for _, p := range r.protocols {
		p.AddInterface(now, i)
	}
}

// removeFromProtocols has the protocols release an interface. It runs on the
// loop.
func (r *Router) removeFromProtocols(now time.Time, i *iface) {
	for _, p := range r.protocols {
		p.RemoveInterface(now, i)
	}
}

// setProtocolLink tells the protocols of an interface's state. It runs on the
// loop.
func (r *Router) setProtocolLink(now time.Time, i *iface, up bool) {
	for _, p := range r.protocols {
		p.SetLink(now, i, up)
	}
}

// stopProtocols ends the protocols, the last first. It runs on the loop.
func (r *Router) stopProtocols(now time.Time) {
	for _, p := range slices.Backward(r.protocols) {
		p.Stop(now)
	}
}

// machines is everything that the loop advances.
func (r *Router) machines() []machine {
	all := []machine{r.igmp.membership, r.mld.membership,
		&forwarderAge{forwarder: r.forwarder}, r.delays}
	for _, p := range r.protocols {
		all = append(all, p)
	}
	return all
}
