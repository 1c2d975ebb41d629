// Package router puts one router together: links, netstack, forwarder, RIB,
// the Multicast Group Manager of each family, and the router side of IGMP and
// MLD. It holds no protocol rule and looks into no packet.
package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"umroute/cmd/umroute/internal/config"
	"umroute/cmd/umroute/internal/control"
	"umroute/cmd/umroute/internal/eventlog"
	"umroute/cmd/umroute/internal/joindelay"
	"umroute/mgm"
	"umroute/routing"
	"umroute/stack"
	"umroute/stack/membership"
	"umroute/tun"
)

// Options are what a router needs besides its configuration.
type Options struct {
	Logger  *slog.Logger
	Version string
	Access  control.Access // who may use the control socket
	// Devices are links that are open already, by the name of the interface.
	// They take the place of the device that the configuration names.
	Devices map[string]tun.Device
	// Load reads the configuration again for a reload; nil where there is none.
	Load func() (*config.Config, error)
	// Reloaded is told of the new configuration; nil is nobody.
	Reloaded func(*config.Config)
}

// Router is one router. Serve runs it; the other methods may be called while
// it runs.
type Router struct {
	settings *config.Config // that it began with: what a reload changes is not read here
	options  Options
	log      *slog.Logger
	started  time.Time

	loop      *loop
	stack     *stack.Stack
	forwarder *routing.Forwarder
	rib       *routing.RIB
	igmp, mld *family
	protocols []protocol // the loop's
	static    *staticRoutes
	kernel    *kernelRoutes
	delays    *joindelay.Meter
	events    *eventlog.Log
	proxies   *proxies
	relays    *relays

	changing sync.Mutex     // held by one change of the interfaces at a time
	current  *config.Config // guarded by changing
	registry registry
	cleared  atomic.Pointer[control.Stats] // the counters that count as zero
}

// New opens all interfaces of a router. On an error nothing stays open.
func New(settings *config.Config, options Options) (*Router, error) {
	r := &Router{settings: settings, current: settings, options: options, log: options.Logger,
		started: time.Now(), loop: newLoop()}
	r.keepEvents()
	if err := r.assemble(); err != nil {
		r.close()
		return nil, err
	}
	for _, each := range settings.Interfaces {
		if err := r.openConfigured(each); err != nil {
			r.close()
			return nil, err
		}
	}
	err := errors.Join(r.setRoutes(settings), r.configureProtocols(time.Now(), &settings.Protocols))
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// assemble makes the parts that stand before any interface.
func (r *Router) assemble() (err error) {
	r.rib = routing.NewRIB(r.routeChanged)
	r.forwarder = routing.New(routing.Config{
		Punt: r.punt,
		TooBig: func(index uint32, packet []byte, mtu int) {
			r.stack.PacketTooBig(index, packet, mtu)
		},
		Threshold:   r.flowThreshold,
		ValidSource: r.validSource,
		Logger:      r.log,
	})
	r.stack, err = stack.New(stack.Config{
		Name:    r.settings.Name,
		Logger:  r.log,
		Forward: r.settings.Unicast.Forward,
		IGMP: func(index uint32, packet []byte) {
			r.loop.post(controlPacket{r.igmp, index, packet})
		},
		MLD: func(index uint32, packet []byte) {
			r.loop.post(controlPacket{r.mld, index, packet})
		},
	})
	if err != nil {
		return fmt.Errorf("start the network stack: %w", err)
	}
	r.delays = joindelay.New(r.sent)
	parts := familyParts{forwarder: r.forwarder, rib: r.rib, sender: r.stack,
		loop: r.loop, delays: r.delays, log: r.log, boundary: r.atBoundary}
	if r.igmp, err = newFamily(membership.IGMP, parts); err != nil {
		return err
	}
	if r.mld, err = newFamily(membership.MLD, parts); err != nil {
		return err
	}
	return r.newProtocols()
}

func (r *Router) families() []*family { return []*family{r.igmp, r.mld} }

// Serve forwards until ctx ends, answering on the control socket, if there is
// one. It calls ready once all interfaces forward. It returns after everything
// has been closed and removed.
func (r *Router) Serve(ctx context.Context, socket *net.UnixListener, ready func()) error {
	defer r.close()
	port, err := r.listenMetrics()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tasks, ctx := errgroup.WithContext(ctx)
	r.changing.Lock() // until everything that is there has begun
	if socket != nil {
		tasks.Go(func() error { return control.Serve(ctx, socket, r, r.options.Access, r.log) })
	}
	tasks.Go(func() error { return r.serveMetrics(ctx, port) })
	if r.settings.Unicast.Kernel {
		tasks.Go(func() error { r.kernel.follow(ctx); return nil })
	}
	tasks.Go(func() error {
		r.loop.serve(ctx, r.stopProtocols, r.machines()...)
		return nil
	})
	// The devices are closed when the loop has ended, so that protocols can say
	// goodbye: that is what ends their readers.
	tasks.Go(func() error {
		<-r.loop.done
		r.closeDevices()
		return nil
	})
	r.registry.serve(func(i *iface) {
		tasks.Go(func() error { r.serveInterface(ctx, i); return nil })
	})
	r.loop.run(ctx, func(now time.Time) { r.startMembership(now) })
	r.changing.Unlock()
	ready()
	return tasks.Wait()
}

// startMembership puts the protocols on every interface, and IGMP and MLD where
// they are to be.
func (r *Router) startMembership(now time.Time) {
	for _, i := range r.list() {
		if err := r.start(now, i); err != nil {
			r.log.Error("membership not started", "if", i.config.Name, "err", err)
		}
	}
}

// close gives up everything. Parts that were never made are nil.
func (r *Router) close() {
	r.closeDevices()
	for _, f := range r.families() {
		if f != nil {
			f.manager.Close()
		}
	}
	if r.stack != nil {
		r.stack.Close()
	}
}

// closeDevices closes all at once: the kernel takes about 20 ms to remove one,
// which would add up to seconds. No interface is added from then on.
func (r *Router) closeDevices() {
	var closing sync.WaitGroup
	for _, i := range r.registry.close() {
		closing.Go(func() { r.closeDevice(i) })
	}
	closing.Wait()
}

func (r *Router) closeDevice(i *iface) {
	if err := i.device.Close(); err != nil {
		r.log.Warn("device not closed", "if", i.config.Name, "err", err)
	}
}

// atBoundary says whether a group does not cross an interface. The managers ask
// while they are locked.
func (r *Router) atBoundary(i mgm.Iface, group netip.Addr) bool {
	found := r.byIndex(i.Index)
	return found != nil && slices.ContainsFunc(found.config.Boundary,
		func(groups netip.Prefix) bool { return groups.Contains(group) })
}

// list is the interfaces, in the order in which they came.
func (r *Router) list() []*iface { return r.registry.list() }

func (r *Router) byName(name string) *iface { return r.registry.byName(name) }

// byIndex is how forwarding entries name an interface.
func (r *Router) byIndex(index uint32) *iface { return r.registry.byIndex(index) }

// agingInterval is how often packets that wait for a decision are looked at.
const agingInterval = time.Second

// forwarderAge lets the loop age the packets that wait for a decision.
type forwarderAge struct {
	forwarder *routing.Forwarder
	due       time.Time
}

func (a *forwarderAge) Advance(now time.Time) {
	if now.Before(a.due) {
		return
	}
	a.forwarder.Advance(now)
	a.due = now.Add(agingInterval)
}

func (a *forwarderAge) Deadline() (time.Time, bool) { return a.due, true }
