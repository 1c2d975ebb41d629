package router

import (
	"context"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"umroute/cmd/umroute/internal/config"
	"umroute/cmd/umroute/internal/control"
	"umroute/mgm"
	"umroute/routing"
	"umroute/routing/kernel"
)

// kernelRoutes gives the RIB the kernel's routes by devices that are interfaces
// of the router, too. It is no protocol, but hears of interfaces like one.
type kernelRoutes struct {
	router *Router
	routes []kernel.Route // the loop's
}

// follow takes the kernel's routes until ctx ends.
func (k *kernelRoutes) follow(ctx context.Context) {
	err := kernel.Follow(ctx, func(routes []kernel.Route) {
		k.router.loop.send(ctx, func(time.Time) {
			k.routes = routes
			k.apply()
		})
	})
	if err != nil {
		k.router.log.Warn("the kernel's routes are not known", "err", err)
	}
}

// apply tells the RIB what the routes and the interfaces make together.
func (k *kernelRoutes) apply() {
	devices := k.devices()
	var routes []routing.KernelRoute
	for _, route := range k.routes {
		i := devices[route.Device]
		if i == nil || !k.leadsAway(route, i) {
			continue
		}
		routes = append(routes, routing.KernelRoute{
			UnicastRoute: routing.UnicastRoute{Prefix: route.Prefix, Via: route.Via, Index: i.index},
			Metric:       route.Metric, Protocol: routeProtocol(route.Protocol),
		})
	}
	if err := k.router.rib.SetKernel(routes); err != nil {
		k.router.log.Error("the kernel's routes are not in the RIB", "err", err)
	}
}

// devices are the interfaces whose devices are in the router's own namespace, by
// the kernel's index.
func (k *kernelRoutes) devices() map[int]*iface {
	devices := make(map[int]*iface)
	for _, i := range k.router.list() {
		if i.config.Netns != (config.Netns{}) || i.config.Device == "" {
			continue
		}
		if device, err := net.InterfaceByName(i.config.Device); err == nil {
			devices[device.Index] = i
		}
	}
	return devices
}

// leadsAway says whether a route leads to others on the link. Behind a TUN or
// TAP the kernel is a host of the link: what it sends there without gateway, or
// to the router, comes to the router.
func (k *kernelRoutes) leadsAway(route kernel.Route, i *iface) bool {
	if i.config.Link == config.LinkPacket || i.config.Link == config.LinkHost {
		return true
	}
	if !route.Via.IsValid() || route.Via == k.router.stack.LinkLocal(i.index) {
		return false
	}
	for _, own := range i.config.Addresses {
		if own.Addr() == route.Via {
			return false
		}
	}
	return true
}

// routeProtocol translates the kernel's number of who made a route
// (rtnetlink(7)) into that of IANA's list of route protocols.
func routeProtocol(number int) mgm.ProtocolID {
	known := map[int]mgm.ProtocolID{
		unix.RTPROT_KERNEL: routing.ProtocolConnected,
		unix.RTPROT_BOOT:   routing.ProtocolStatic,
		unix.RTPROT_STATIC: routing.ProtocolStatic,
		unix.RTPROT_RIP:    8, unix.RTPROT_ISIS: 9, unix.RTPROT_OSPF: 13,
		unix.RTPROT_BGP: 14, unix.RTPROT_EIGRP: 16, unix.RTPROT_DHCP: 19,
	}
	if id, ok := known[number]; ok {
		return id
	}
	return 1 // other
}

// RIB lists the routes by which sources are expected.
func (r *Router) RIB() []control.RIBRoute {
	documents := []control.RIBRoute{}
	for _, route := range r.rib.Routes() {
		documents = append(documents, control.RIBRoute{
			Prefix: route.Prefix.String(), Kind: routeKind(route.Protocol),
			Interface: r.name(route.Iface), Via: text(route.NextHop),
		})
	}
	return documents
}

// The rest makes it hear of interfaces.

// Configure implements protocol.
func (k *kernelRoutes) Configure(time.Time, *config.Protocols) error { return nil }

// AddInterface implements protocol.
func (k *kernelRoutes) AddInterface(time.Time, *iface) { k.apply() }

// RemoveInterface implements protocol.
func (k *kernelRoutes) RemoveInterface(time.Time, *iface) {}

// SetLink implements protocol.
func (k *kernelRoutes) SetLink(time.Time, *iface, bool) {}

// Status implements protocol.
func (k *kernelRoutes) Status(time.Time) []control.Protocol { return nil }

// Stop implements protocol.
func (k *kernelRoutes) Stop(time.Time) {}

// Advance implements machine.
func (k *kernelRoutes) Advance(time.Time) {}

// Deadline implements machine.
func (k *kernelRoutes) Deadline() (time.Time, bool) { return time.Time{}, false }

var _ protocol = (*kernelRoutes)(nil)
