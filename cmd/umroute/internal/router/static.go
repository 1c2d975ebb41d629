package router

import (
	"errors"
	"slices"
	"strings"
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
	groups  *hostGroups
}

// staticFamily is the static routes of one family.
type staticFamily struct {
	*static.Machine
	client *client
}

func (r *Router) newStatic() (*staticRoutes, error) {
	s := &staticRoutes{router: r, groups: r.newHostGroups()}
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

// flowThreshold is what a static route wants of a flow's TTL on an interface.
func (r *Router) flowThreshold(f mgm.Flow, index uint32) uint8 {
	return r.static.members[familyIndex(f.Group.Is6())].Threshold(f, index)
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
func (s *staticRoutes) Configure(now time.Time, settings *config.Protocols) error {
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
	s.groups.set(now, s.router.families(), settings.Static.Joins)
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
func (s *staticRoutes) AddInterface(now time.Time, i *iface) {
	for _, member := range s.members {
		member.AddInterface(i.config.Name, i.index)
	}
	s.groups.addInterface(now, s.router.families(), i)
}

// RemoveInterface implements protocol.
func (s *staticRoutes) RemoveInterface(_ time.Time, i *iface) {
	for _, member := range s.members {
		member.RemoveInterface(i.config.Name)
	}
	s.groups.removeInterface(i)
}

// SetLink implements protocol. A link that is down keeps its routes, as they
// cost nothing there.
func (s *staticRoutes) SetLink(now time.Time, i *iface, up bool) {
	s.groups.setLink(now, i, up)
}

// Advance implements machine.
func (s *staticRoutes) Advance(now time.Time) {
	for _, member := range s.members {
		member.Advance(now)
	}
	s.groups.Advance(now)
}

// Deadline implements machine.
func (s *staticRoutes) Deadline() (time.Time, bool) {
	machines := []machine{s.groups}
	for _, member := range s.members {
		machines = append(machines, member)
	}
	return earliest(machines)
}

// Stop implements protocol.
func (s *staticRoutes) Stop(now time.Time) { s.groups.stop(now) }

// Status implements protocol.
func (s *staticRoutes) Status(time.Time) []control.Protocol {
	var documents []control.Protocol
	groups := s.groups.documents()
	for _, member := range s.members {
		routes := member.Routes()
		joined := slices.DeleteFunc(slices.Clone(groups), func(g control.HostGroup) bool {
			return strings.Contains(g.Group, ":") != member.client.family.v6
		})
		if len(routes)+len(joined) == 0 {
			continue
		}
		document := member.client.document(s.router.list())
		for _, route := range routes {
			document.Routes = append(document.Routes, staticDocument(route))
		}
		document.Groups = joined
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
