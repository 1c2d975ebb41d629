package main

import (
	"context"
	"fmt"
	"strings"

	"umroute/cmd/umroute/internal/control"
)

// show prints what SMCRoute's show prints, in its columns and without colours.
func (s *smcroutectl) show(ctx context.Context, words []string) error {
	what := "routes"
	views := map[string]func(context.Context) error{
		"routes": s.showRoutes, "mroutes": s.showRoutes, "groups": s.showGroups,
		"interfaces": s.showInterfaces,
	}
	if len(words) > 0 {
		var err error
		if what, err = complete(words[0], "view", views); err != nil {
			return err
		}
	}
	return views[what](ctx)
}

// heading prints the title of a table and of its columns.
func (s *smcroutectl) heading(title, columns string) {
	if s.noHeading {
		return
	}
	if title != "" {
		fmt.Fprintln(s.out, title)
	}
	fmt.Fprintf(s.out, "%s\n%s\n", columns, strings.Repeat("=", 79))
}

// showRoutes prints the routes for ranges, the other routes, and the flows of
// the forwarding table.
func (s *smcroutectl) showRoutes(ctx context.Context) error {
	present, err := s.present(ctx)
	if err != nil {
		return err
	}
	var entries []control.Route
	if err := s.client.Show(ctx, "routes", &entries); err != nil {
		return err
	}
	s.routeTable("(*,G) routes", present, func(r control.StaticRoute) bool { return !exactRoute(r) })
	s.routeTable("(S,G) routes", present, exactRoute)
	if len(entries) == 0 {
		return nil
	}
	s.heading("Forwarding entries", s.row("ROUTE (S,G)", "IIF", "PACKETS", "BYTES", "OIFS"))
	for _, e := range entries {
		outs := make([]string, 0, len(e.OIFs))
		for _, oif := range e.OIFs {
			outs = append(outs, oif.Interface)
		}
		fmt.Fprintln(s.out, s.row(pair(e.Source, e.Group), e.IIF, e.Packets, e.Bytes,
			strings.Join(outs, " ")))
	}
	return nil
}

// exactRoute says whether a route is for one source and one group.
func exactRoute(r control.StaticRoute) bool {
	return r.Source != "*" && !strings.Contains(r.Source+r.Group, "/")
}

func (s *smcroutectl) routeTable(title string, routes []control.StaticRoute,
	belongs func(control.StaticRoute) bool) {
	first := true
	for _, r := range routes {
		if !belongs(r) {
			continue
		}
		if first {
			s.heading(title, s.row("ROUTE (S,G)", "IIF", "FLOWS", "", "OIFS"))
			first = false
		}
		fmt.Fprintln(s.out, s.row(pair(r.Source, r.Group), r.In, r.Flows, "",
			strings.Join(r.Out, " ")))
	}
}

// row lays out a route; the counters are there with -d.
func (s *smcroutectl) row(pair, in string, packets, bytes any, outs string) string {
	if s.detail {
		return fmt.Sprintf("%-42s %-16s %10v %10v  %s", pair, in, packets, bytes, outs)
	}
	return fmt.Sprintf("%-42s %-16s %s", pair, in, outs)
}

func pair(source, group string) string { return fmt.Sprintf("(%s, %s)", source, group) }

func (s *smcroutectl) showGroups(ctx context.Context) error {
	var protocols []control.Protocol
	if err := s.client.Show(ctx, "protocols", &protocols); err != nil {
		return err
	}
	s.heading("Groups joined", fmt.Sprintf("%-42s %s", "GROUP (S,G)", "IIF"))
	for _, p := range protocols {
		for _, g := range p.Groups {
			source := g.Source
			if source == "" {
				source = "*"
			}
			fmt.Fprintf(s.out, "%-42s %s\n", pair(source, g.Group), g.Interface)
		}
	}
	return nil
}

func (s *smcroutectl) showInterfaces(ctx context.Context) error {
	var interfaces []control.Interface
	if err := s.client.Show(ctx, "interfaces", &interfaces); err != nil {
		return err
	}
	s.heading("", fmt.Sprintf("%6s %-16s %s", "INDEX", "PHYINT", "TTL"))
	for _, i := range interfaces {
		fmt.Fprintf(s.out, "%6d %-16s %d\n", i.Index, i.Name, i.Threshold)
	}
	return nil
}
