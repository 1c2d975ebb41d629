package router

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"umroute/cmd/umroute/internal/control"
	"umroute/mgm"
	"umroute/routing/static"
)

// prefixText writes a prefix as people do: a single address without its length,
// "*" for the zero Prefix.
func prefixText(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return "*"
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

// parsePrefix reads what prefixText wrote. "", "*" and the unspecified addresses
// are the zero Prefix.
func parsePrefix(text string) (netip.Prefix, error) {
	if text == "" || text == "*" {
		return netip.Prefix{}, nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("%w address %q", control.ErrInvalid, text)
		}
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	if prefix.Addr().IsUnspecified() {
		return netip.Prefix{}, nil
	}
	if prefix.Addr().Zone() != "" || prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%w address %q", control.ErrInvalid, text)
	}
	return prefix.Masked(), nil
}

// staticRoute reads a route of a request.
func staticRoute(change control.StaticRoute) (static.Route, error) {
	group, err := parsePrefix(change.Group)
	source, err2 := parsePrefix(change.Source)
	if err := cmp.Or(err, err2); err != nil {
		return static.Route{}, err
	}
	return static.Route{
		Key: static.Key{Source: source, Group: group, In: change.In},
		Out: change.Out, Threshold: change.Threshold,
	}, nil
}

// AddRoute implements control.RouteBackend.
func (r *Router) AddRoute(ctx context.Context, change control.StaticRoute) error {
	route, err := staticRoute(change)
	if err != nil {
		return err
	}
	if err := route.Check(); err != nil {
		return control.Invalid(err)
	}
	return r.changeStatic(ctx, route.V6(), func(m *static.Machine) error {
		err := m.Add(route)
		if errors.Is(err, mgm.ErrInterfaceOwned) {
			return control.Invalid(err)
		}
		return err
	})
}

// DeleteRoute implements control.RouteBackend. Without an incoming interface it
// deletes the route from wherever, as far as that is one route.
func (r *Router) DeleteRoute(ctx context.Context, change control.StaticRoute) error {
	route, err := staticRoute(change)
	if err != nil {
		return err
	}
	return r.changeStatic(ctx, route.V6(), func(m *static.Machine) error {
		key, err := findRoute(m, route.Key)
		if err != nil {
			return err
		}
		return m.Delete(key)
	})
}

// findRoute completes a key that may lack its incoming interface.
func findRoute(m *static.Machine, key static.Key) (static.Key, error) {
	var found []static.Key
	for _, route := range m.Routes() {
		if route.Source == key.Source && route.Group == key.Group &&
			(key.In == "" || key.In == route.In) {
			found = append(found, route.Key)
		}
	}
	switch {
	case slices.Contains(found, key):
		return key, nil
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return key, control.Invalid(fmt.Errorf("%d routes for %s: give the incoming interface",
			len(found), key))
	}
	return key, fmt.Errorf("%w static route %s", control.ErrUnknown, key)
}

// FlushRoutes implements control.RouteBackend.
func (r *Router) FlushRoutes(ctx context.Context) error {
	if !r.loop.run(ctx, func(time.Time) {
		for _, member := range r.static.members {
			member.Flush()
		}
	}) {
		return errStopped
	}
	return nil
}

// JoinAsHost implements control.RouteBackend.
func (r *Router) JoinAsHost(ctx context.Context, change control.HostGroup) error {
	return r.changeHostGroup(ctx, change, func(now time.Time, f *family, g hostGroup) error {
		r.static.groups.join(now, f, g)
		return nil
	})
}

// LeaveAsHost implements control.RouteBackend.
func (r *Router) LeaveAsHost(ctx context.Context, change control.HostGroup) error {
	return r.changeHostGroup(ctx, change, r.static.groups.leave)
}

func (r *Router) changeHostGroup(ctx context.Context, change control.HostGroup,
	apply func(time.Time, *family, hostGroup) error) error {
	group, err := netip.ParseAddr(change.Group)
	if err != nil || !group.IsMulticast() || group.Is4In6() {
		return fmt.Errorf("%w group %q", control.ErrInvalid, change.Group)
	}
	source, err := parsePrefix(change.Source)
	if err != nil || source.IsValid() && (!source.IsSingleIP() ||
		source.Addr().Is4() != group.Is4()) {
		return fmt.Errorf("%w source %q", control.ErrInvalid, change.Source)
	}
	if r.byName(change.Interface) == nil {
		return fmt.Errorf("%w interface %q", control.ErrUnknown, change.Interface)
	}
	g := hostGroup{iface: change.Interface, group: group}
	if source.IsValid() {
		g.source = source.Addr()
	}
	if !r.loop.run(ctx, func(now time.Time) {
		err = apply(now, r.families()[familyIndex(group.Is6())], g)
	}) {
		return errStopped
	}
	if errors.Is(err, errNotJoined) {
		return control.Invalid(err)
	}
	return err
}

func (r *Router) changeStatic(ctx context.Context, v6 bool,
	change func(*static.Machine) error) (err error) {
	if !r.loop.run(ctx, func(time.Time) {
		err = change(r.static.members[familyIndex(v6)].Machine)
	}) {
		return errStopped
	}
	return err
}
