package router

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"umroute/cmd/umroute/internal/config"
	"umroute/cmd/umroute/internal/control"
	"umroute/routing"
	"umroute/stack"
	"umroute/stack/membership"
)

// Join adds a static membership.
func (r *Router) Join(ctx context.Context, change control.MembershipChange) error {
	return r.changeMembership(ctx, change, (*membership.Router).Join)
}

// Leave removes a static membership that Join added.
func (r *Router) Leave(ctx context.Context, change control.MembershipChange) error {
	return r.changeMembership(ctx, change, func(m *membership.Router, now time.Time,
		index uint32, source, group netip.Addr) error {
		return m.Leave(now, index, source, group)
	})
}

func (r *Router) changeMembership(ctx context.Context, change control.MembershipChange,
	apply func(*membership.Router, time.Time, uint32, netip.Addr, netip.Addr) error) error {
	group, err := netip.ParseAddr(change.Group)
	if err != nil || !group.IsMulticast() {
		return fmt.Errorf("%w group %q", control.ErrInvalid, change.Group)
	}
	var source netip.Addr
	if change.Source != "" {
		if source, err = netip.ParseAddr(change.Source); err != nil {
			return fmt.Errorf("%w source %q", control.ErrInvalid, change.Source)
		}
	}
	i := r.byName(change.Interface)
	if i == nil {
		return fmt.Errorf("%w interface %q", control.ErrUnknown, change.Interface)
	}
	f := r.igmp
	if group.Is6() {
		f = r.mld
	}
	if !r.loop.run(ctx, func(now time.Time) {
		err = apply(f.membership, now, i.index, source, group)
	}) {
		return errStopped
	}
	if errors.Is(err, membership.ErrInterfaceNotFound) {
		return fmt.Errorf("%w: %s is off on interface %s", control.ErrInvalid, f.name,
			change.Interface)
	}
	if errors.Is(err, membership.ErrInvalid) || errors.Is(err, membership.ErrMembershipUnknown) {
		return control.Invalid(err)
	}
	return err
}

// setRoutes gives the configured routes to the stack and the RIB.
func (r *Router) setRoutes(settings *config.Config) error {
	var unicast []stack.Route
	var rib []routing.UnicastRoute
	for _, route := range settings.Unicast.Routes {
		unicast = append(unicast, stack.Route{Prefix: route.Prefix, Via: route.Via})
		rib = append(rib, routing.UnicastRoute{Prefix: route.Prefix, Via: route.Via})
	}
	var multicast []routing.RPFRoute
	for _, route := range settings.RPF.Routes {
		i := r.byName(route.Interface)
		if i == nil {
			return fmt.Errorf("rpf route %s: %w interface %q", route.Prefix,
				control.ErrUnknown, route.Interface)
		}
		multicast = append(multicast, routing.RPFRoute{Prefix: route.Prefix, Index: i.index})
	}
	r.stack.SetRoutes(unicast)
	return errors.Join(r.rib.SetStatic(rib), r.rib.SetMulticast(multicast),
		r.forwarder.SetDomainRules(domainRules(settings)))
}

// routeChanged moves the forwarding entries that depend on a route.
func (r *Router) routeChanged(prefix netip.Prefix) {
	f := r.igmp
	if prefix.Addr().Is6() {
		f = r.mld
	}
	if f != nil { // the first interfaces come before the managers have entries
		f.manager.RouteChanged(prefix)
	}
}
