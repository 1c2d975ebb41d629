package router

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"umroute/cmd/umroute/internal/config"
	"umroute/cmd/umroute/internal/control"
	"umroute/mgm"
	"umroute/routing"
	"umroute/routing/static"
)

// netManagement is IANA's number for routes that somebody wrote down
// (IANA ipMRouteProtocol: netmgmt(3)).
const netManagement mgm.ProtocolID = 3

// staticRoutes runs routing/static, one machine for each family.
type staticRoutes struct {
	router  *Router
	members []*staticFamily // IPv4, IPv6
}

// staticFamily is the static routes of one family.
type staticFamily struct {
	*static.Machine
	client *client
}

func (r *Router) newStatic() (*staticRoutes, error) {
	s := &staticRoutes{router: r}
	for _, f := range r.families() {
		member := new(staticFamily)
		machine, err := static.New(static.Config{
			V6:      f.v6,
			Manager: f.manager,
			Register: func(calls mgm.Callbacks) (static.Client, error) {
				var err error
				calls.PruneAlert = f.shortenEmptyFlow
				member.client, err = f.register("static",
					mgm.ClientID{Protocol: netManagement}, mgm.RoleRouting, calls)
				return member.client, err
			},
			Paths:  func(paths []static.Path) { r.setPaths(f.v6, paths) },
			Logger: r.log.With("protocol", "static", "family", f.addresses()),
		})
		if err != nil {
			return nil, err
		}
		member.Machine = machine
		s.members = append(s.members, member)
	}
	return s, nil
}

// setPaths tells the RIB where static routes expect their sources.
func (r *Router) setPaths(v6 bool, paths []static.Path) {
	routes := make([]routing.RPFRoute, 0, len(paths))
	for _, p := range paths {
		routes = append(routes, routing.RPFRoute{Prefix: p.Source, Index: p.Index})
	}
	if err := r.rib.SetPaths(v6, routes); err != nil {
		r.log.Error("static routes not in the RIB", "err", err)
	}
}

// Configure implements protocol.
func (s *staticRoutes) Configure(_ time.Time, settings *config.Protocols) error {
	routes := make([][]static.Route, len(s.members))
	for _, each := range settings.Static.Routes {
		route := static.Route{
			Key: static.Key{Source: each.Source, Group: each.Group, In: each.In},
			Out: each.Out, Threshold: each.Threshold,
		}
		if err := route.Check(); err != nil {
			return err
		}
		family := familyIndex(route.V6())
		routes[family] = append(routes[family], route)
	}
	var errs []error
	for i, member := range s.members {
		errs = append(errs, member.Set(routes[i]))
	}
	return errors.Join(errs...)
}

// familyIndex is where a family stands in Router.families.
func familyIndex(v6 bool) int {
	if v6 {
		return 1
	}
	return 0
}

// AddInterface implements protocol.
func (s *staticRoutes) AddInterface(_ time.Time, i *iface) {
	for _, member := range s.members {
		member.AddInterface(i.config.Name, i.index)
	}
}

// RemoveInterface implements protocol.
func (s *staticRoutes) RemoveInterface(_ time.Time, i *iface) {
	for _, member := range s.members {
		member.RemoveInterface(i.config.Name)
	}
}

// SetLink implements protocol. A link that is down keeps its routes, as they
// cost nothing there.
func (s *staticRoutes) SetLink(time.Time, *iface, bool) {}

// Advance implements machine.
func (s *staticRoutes) Advance(now time.Time) {
	for _, member := range s.members {
		member.Advance(now)
	}
}

// Deadline implements machine.
func (s *staticRoutes) Deadline() (earliest time.Time, ok bool) {
	for _, member := range s.members {
		if due, set := member.Deadline(); set && (!ok || due.Before(earliest)) {
			earliest, ok = due, true
		}
	}
	return earliest, ok
}

// Stop implements protocol. No neighbour needs a word.
func (s *staticRoutes) Stop(time.Time) {}

// Status implements protocol.
func (s *staticRoutes) Status(time.Time) []control.Protocol {
	var documents []control.Protocol
	for _, member := range s.members {
		routes := member.Routes()
		if len(routes) == 0 {
			continue
		}
		document := member.client.document(s.router.list())
		for _, route := range routes {
			document.Routes = append(document.Routes, staticDocument(route))
		}
		documents = append(documents, document)
	}
	return documents
}

func staticDocument(route static.Status) control.StaticRoute {
	return control.StaticRoute{
		Source: prefixText(route.Source), Group: prefixText(route.Group),
		In: route.In, Out: append([]string{}, route.Out...), Threshold: route.Threshold,
		Configured: route.Configured, Waiting: append([]string{}, route.Waiting...),
		Flows: route.Flows,
	}
}

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

func (r *Router) changeStatic(ctx context.Context, v6 bool,
	change func(*static.Machine) error) (err error) {
	if !r.loop.run(ctx, func(time.Time) {
		err = change(r.static.members[familyIndex(v6)].Machine)
	}) {
		return errStopped
	}
	return err
}
