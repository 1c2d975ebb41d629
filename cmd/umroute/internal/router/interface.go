package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"umroute/cmd/umroute/internal/config"
	"umroute/cmd/umroute/internal/control"
	"umroute/mgm"
	"umroute/routing"
	"umroute/stack/membership"
	"umroute/tun"
	"umroute/tun/host"
)

// startupResponse is how long hosts may take to answer the first queries. It is
// short, so that a router that was restarted knows its listeners soon.
const startupResponse = time.Second

// iface is one interface of the router. It does not change: one with another
// configuration takes its place in the registry.
type iface struct {
	index  uint32
	config config.Interface
	origin origin
	device tun.Device
	link   *tun.Link    // the device, where it is one of the kernel's
	host   *host.Device // the device, where the link is host
	joins  *host.Member // joins what the static protocol says there
	port   *routing.Interface
	state  *state // shared with those that take its place
}

// origin says who asked for an interface.
type origin uint8

const (
	configured origin = iota // the configuration: it stays until a reload
	attached                 // a command: it goes with its device
)

// state is what becomes of an interface. Its fields are guarded by the registry.
type state struct {
	up      bool
	reason  string                            // why it is down
	gone    bool                              // its device is gone for good
	cleared atomic.Pointer[control.Interface] // the counters that count as zero

	served chan struct{} // closed once nobody reads from it; nil where nobody has

	punted atomic.Pointer[[]netip.Prefix] // groups that are not forwarded from it
}

// iface is the interface as the Multicast Group Manager names it.
func (i *iface) key() mgm.Iface { return mgm.Iface{Index: i.index} }

func (r *Router) openDevice(i *iface) (err error) {
	if device, given := r.options.Devices[i.config.Name]; given {
		i.device = device
		i.link, _ = device.(*tun.Link)
		return nil
	}
	if i.config.Link == config.LinkHost {
		return r.openHost(i)
	}
	settings := r.deviceConfig(i)
	if i.config.FD != 0 {
		i.link, err = tun.FromDescriptor(i.config.FD, settings)
	} else {
		i.link, err = tun.Open(settings)
	}
	if err != nil {
		return err
	}
	i.device = i.link
	return nil
}

// deviceConfig is how an interface's device is opened. One that a command
// attached does not outlive the router, which would not know of it any more.
func (r *Router) deviceConfig(i *iface) tun.Config {
	settings := tun.Config{
		Name:          i.config.Device,
		Netns:         i.config.Netns.String(),
		IO:            string(i.config.IO),
		Offload:       tun.OffloadSegmentation,
		MTU:           i.config.MTU,
		Addresses:     i.config.Addresses,
		PeerAddresses: i.config.PeerAddresses,
		PeerRoutes:    i.config.PeerRoutes,
		Logger:        r.log.With("if", i.config.Name),
	}
	if i.origin == configured {
		settings.Owner = r.settings.Name
	}
	switch i.config.Link {
	case config.LinkTAP:
		settings.Kind = tun.KindTAP
	case config.LinkPacket:
		settings.Kind = tun.KindPacket
	}
	return settings
}

func (i *iface) hardwareAddr() net.HardwareAddr {
	if i.link == nil {
		return nil
	}
	return i.link.HardwareAddr()
}

// subnets are the prefixes that lie on the link, each once.
func (i *iface) subnets() []netip.Prefix {
	var subnets []netip.Prefix
	seen := make(map[netip.Prefix]bool)
	lists := [][]netip.Prefix{i.config.Addresses, i.config.PeerAddresses}
	if i.host != nil {
		lists = append(lists, i.host.Addresses())
	}
	for _, list := range lists {
		for _, address := range list {
			if subnet := address.Masked(); !seen[subnet] {
				seen[subnet] = true
				subnets = append(subnets, subnet)
			}
		}
	}
	return subnets
}

// start puts the protocols on an interface, and IGMP and MLD as far as it has
// them. It runs on the loop.
func (r *Router) start(now time.Time, i *iface) error {
	r.addToProtocols(now, i)
	var errs []error
	for _, f := range r.families() {
		errs = append(errs, f.addInterface(now, i, r.routerSide(f, i), r.queryAddress(f, i)))
	}
	return errors.Join(errs...)
}

// settings are those of f's protocol on an interface.
func (f *family) settings(i config.Interface) config.Membership {
	if f.v6 {
		return i.MLD
	}
	return i.IGMP
}

// routerSide is settings, off where a proxy makes the router a host.
func (r *Router) routerSide(f *family, i *iface) config.Membership {
	settings := f.settings(i.config)
	settings.Enabled = settings.Enabled && f.upstream[i.index] == nil
	return settings
}

// queryAddress is the source of f's queries on an interface.
func (r *Router) queryAddress(f *family, i *iface) netip.Addr {
	if f.v6 {
		return r.stack.LinkLocal(i.index)
	}
	for _, address := range i.config.Addresses {
		if address.Addr().Is4() {
			return address.Addr()
		}
	}
	return netip.Addr{}
}

// stop takes the protocols, IGMP and MLD off an interface. It runs on the loop.
func (r *Router) stop(now time.Time, i *iface) {
	r.removeFromProtocols(now, i)
	for _, f := range r.families() {
		f.removeInterface(now, i, r.log)
	}
}

func (f *family) removeInterface(now time.Time, i *iface, log *slog.Logger) {
	f.membership.RemoveInterface(now, i.index)
	err := f.client.ReleaseInterface(i.key())
	if err != nil && !errors.Is(err, mgm.ErrInvalidParameter) {
		log.Error("interface not released", "if", i.config.Name, "err", err)
	}
}

// addInterface makes f's membership client take an interface and query there.
func (f *family) addInterface(now time.Time, i *iface, settings config.Membership,
	address netip.Addr) error {
	switch {
	case f.upstream[i.index] != nil:
		return nil
	case i.host != nil:
		return f.takeHost(i)
	case !settings.Enabled:
		return nil
	}
	if err := f.client.TakeInterface(i.key()); err != nil {
		return fmt.Errorf("take interface %s for %s: %w", i.config.Name, f.name, err)
	}
	return f.membership.AddInterface(now, i.membershipConfig(settings, address))
}

func (i *iface) membershipConfig(settings config.Membership,
	address netip.Addr) membership.InterfaceConfig {
	result := membership.InterfaceConfig{
		Index:                   i.index,
		Name:                    i.config.Name,
		Address:                 address,
		Prefixes:                i.subnets(),
		MTU:                     i.device.MTU(),
		Version:                 settings.Version,
		QueryInterval:           settings.QueryInterval,
		QueryResponseInterval:   settings.QueryResponseInterval,
		StartupResponseInterval: min(settings.QueryResponseInterval, startupResponse),
		LastMemberQueryInterval: settings.LastMemberQueryInterval,
		Robustness:              settings.Robustness,
		StartupQueryCount:       settings.StartupQueryCount,
		FastLeave:               settings.FastLeave.On(i.config.Link),
		MaxGroups:               settings.MaxGroups,
		MaxSources:              settings.MaxSources,
		PacketRate:              settings.PacketRate,
		RequireRouterAlert:      settings.RequireRouterAlert,
		Allow:                   settings.Allow,
	}
	for _, static := range settings.Static {
		result.Static = append(result.Static,
			mgm.Entry{Group: static.Group, Source: static.Source})
	}
	return result
}

// serveInterface reads from an interface until its device ends, and follows
// what becomes of the device.
func (r *Router) serveInterface(ctx context.Context, i *iface) {
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		r.follow(ctx, i)
	}()
	if err := i.port.Run(); err != nil && ctx.Err() == nil {
		r.withdraw(ctx, i, err)
	}
	<-followed
	close(i.state.served)
	if i.origin == attached && r.registry.isGone(i) {
		r.dismiss(ctx, i)
	}
}

func (r *Router) apply(ctx context.Context, i *iface, event tun.Event) {
	switch event.Type {
	case tun.EventDown:
		r.setDown(ctx, i, "the device is down")
	case tun.EventRemoved:
		// The reader meets the end of the device by itself.
	case tun.EventUp:
		r.setUp(ctx, i)
	case tun.EventAddresses:
		r.hostAddressesChanged(i)
	case tun.EventMTU:
		r.log.Warn("the device's MTU changed; restart the router to use it",
			"if", i.config.Name, "from", i.config.MTU, "to", event.MTU)
	}
}

// setDown stops the queries of an interface. Its memberships stay until they
// expire, so that a link that flaps loses nothing.
func (r *Router) setDown(ctx context.Context, i *iface, reason string) {
	if !r.registry.setState(i, false, reason) {
		return
	}
	r.stack.SetUp(i.index, false)
	r.log.Warn("interface down", "if", i.config.Name, "from", "up", "to", "down",
		"reason", reason)
	r.loop.send(ctx, func(now time.Time) {
		for _, f := range r.families() {
			f.membership.LinkDown(now, i.index)
		}
		r.setProtocolLink(now, i, false)
	})
}

// withdraw gives an interface up whose device is gone for good: its listeners
// are gone with it, and no source is reached there any more. The descriptor is
// closed, since it keeps the network namespace alive.
func (r *Router) withdraw(ctx context.Context, i *iface, cause error) {
	r.setDown(ctx, i, cause.Error())
	r.registry.setGone(i)
	r.loop.send(ctx, func(now time.Time) { r.stop(now, i) })
	r.rib.RemoveInterface(i.index)
	r.closeDevice(i)
}

// setUp starts the queries of an interface: a host does not report again by
// itself when the reader of its TUN returns.
func (r *Router) setUp(ctx context.Context, i *iface) {
	if !r.registry.setState(i, true, "") {
		return
	}
	r.stack.SetUp(i.index, true)
	r.log.Info("interface up", "if", i.config.Name, "from", "down", "to", "up",
		"reason", "the device is up")
	r.loop.send(ctx, func(now time.Time) {
		for _, f := range r.families() {
			f.membership.LinkUp(now, i.index)
		}
		r.setProtocolLink(now, i, true)
	})
}
