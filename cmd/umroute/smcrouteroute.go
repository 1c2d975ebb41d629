package main

import (
	"context"
	"net/netip"
	"slices"

	"umroute/cmd/umroute/internal/control"
	"umroute/cmd/umroute/internal/smcroute"
)

// smcrouteWords are IIF [SOURCE] GROUP [OIF...] of a command line.
type smcrouteWords struct {
	in            string
	source, group netip.Prefix
	out           []string
}

// parseSMCRoute reads them. A first address that is multicast is the group.
func parseSMCRoute(command string, words []string) (w smcrouteWords, err error) {
	if len(words) < 2 {
		return w, usagef("%s %s: give an interface and a group", smcrouteName, command)
	}
	w.in = words[0]
	rest := words[1:]
	if w.group, err = smcroute.ParseGroup(rest[0]); err != nil {
		source, wrong := smcroute.ParseSource(rest[0])
		if wrong != nil {
			return w, usagef("%s %s: %w", smcrouteName, command, wrong)
		}
		if len(rest) < 2 {
			return w, usagef("%s %s: no group behind %s", smcrouteName, command, rest[0])
		}
		w.source, rest = source, rest[1:]
		if w.group, err = smcroute.ParseGroup(rest[0]); err != nil {
			return w, usagef("%s %s: %w", smcrouteName, command, err)
		}
	}
	if w.source.IsValid() && w.source.Addr().Is4() != w.group.Addr().Is4() {
		return w, usagef("%s %s: source and group are of two families", smcrouteName, command)
	}
	w.out = rest[1:]
	return w, nil
}

// routes gives the routes that the words name, one for each incoming interface,
// with the outputs that there are.
func (s *smcroutectl) routes(ctx context.Context, w smcrouteWords) ([]control.StaticRoute, error) {
	ins, err := s.named(ctx, w.in)
	if err != nil {
		return nil, err
	}
	present, err := s.present(ctx)
	if err != nil {
		return nil, err
	}
	routes := make([]control.StaticRoute, 0, len(ins))
	for _, in := range ins {
		route := control.StaticRoute{Source: prefixOf(w.source), Group: prefixOf(w.group), In: in}
		for _, other := range present {
			if sameKey(route, other) {
				route.Out, route.Threshold = other.Out, other.Threshold
			}
		}
		routes = append(routes, route)
	}
	return routes, nil
}

func sameKey(a, b control.StaticRoute) bool {
	return a.Source == b.Source && a.Group == b.Group && a.In == b.In
}

// prefixOf writes a prefix as the router does.
func prefixOf(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return "*"
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

// present lists the static routes of the router.
func (s *smcroutectl) present(ctx context.Context) ([]control.StaticRoute, error) {
	var protocols []control.Protocol
	if err := s.client.Show(ctx, "protocols", &protocols); err != nil {
		return nil, err
	}
	var routes []control.StaticRoute
	for _, p := range protocols {
		routes = append(routes, p.Routes...)
	}
	return routes, nil
}

// add adds a route, or outputs to the one there is.
func (s *smcroutectl) add(ctx context.Context, words []string) error {
	w, err := parseSMCRoute("add", words)
	if err != nil {
		return err
	}
	if len(w.out) == 0 {
		return usagef("%s add: give the outgoing interfaces", smcrouteName)
	}
	routes, err := s.routes(ctx, w)
	if err != nil {
		return err
	}
	outs, err := s.named(ctx, w.out...)
	if err != nil {
		return err
	}
	for _, route := range routes {
		for _, out := range outs {
			// A pattern may well stand for the incoming interface, too.
			isIn := out == route.In && !slices.Contains(w.out, out)
			if !isIn && !slices.Contains(route.Out, out) {
				route.Out = append(route.Out, out)
			}
		}
		if err := s.client.AddRoute(ctx, route); err != nil {
			return err
		}
	}
	return nil
}

// remove removes a route; where outputs are named, those of it. A route that
// has none left keeps its flows from going anywhere.
func (s *smcroutectl) remove(ctx context.Context, words []string) error {
	w, err := parseSMCRoute("remove", words)
	if err != nil {
		return err
	}
	routes, err := s.routes(ctx, w)
	if err != nil {
		return err
	}
	for _, route := range routes {
		if len(w.out) == 0 {
			err = s.client.DeleteRoute(ctx, route)
		} else {
			route.Out = slices.DeleteFunc(route.Out, func(out string) bool {
				return slices.ContainsFunc(w.out, func(pattern string) bool {
					return smcroute.Matches(pattern, out)
				})
			})
			err = s.client.AddRoute(ctx, route)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *smcroutectl) join(ctx context.Context, words []string) error {
	return s.changeGroups(ctx, "join", words, s.client.JoinAsHost)
}

func (s *smcroutectl) leave(ctx context.Context, words []string) error {
	return s.changeGroups(ctx, "leave", words, s.client.LeaveAsHost)
}

// maxSMCRouteGroups bounds the groups that one prefix stands for.
const maxSMCRouteGroups = 4096

// changeGroups joins or leaves every group of a prefix.
func (s *smcroutectl) changeGroups(ctx context.Context, command string, words []string,
	apply func(context.Context, control.HostGroup) error) error {
	w, err := parseSMCRoute(command, words)
	switch {
	case err != nil:
		return err
	case len(w.out) > 0:
		return usagef("%s %s: unexpected argument %q", smcrouteName, command, w.out[0])
	case w.source.IsValid() && !w.source.IsSingleIP():
		return usagef("%s %s: a prefix of sources is not supported", smcrouteName, command)
	case w.group.Addr().BitLen()-w.group.Bits() > 12:
		return usagef("%s %s: %s is more than %d groups", smcrouteName, command, w.group,
			maxSMCRouteGroups)
	}
	names, err := s.named(ctx, w.in)
	if err != nil {
		return err
	}
	for _, name := range names {
		for group := w.group.Addr(); w.group.Contains(group); group = group.Next() {
			change := control.HostGroup{Interface: name, Group: group.String()}
			if w.source.IsValid() {
				change.Source = w.source.Addr().String()
			}
			if err := apply(ctx, change); err != nil {
				return err
			}
		}
	}
	return nil
}
