package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"umroute/cmd/umroute/internal/control"
)

// views are the tables of "umroute show". Where FRR has the same table, the
// columns are FRR's, in FRR's order.
var views = []view{
	{"interfaces", "links, their state, addresses and queriers", table(interfaceTable)},
	{"groups", "what listeners on the links asked for", table(groupTable)},
	{"memberships", "the Multicast Group Manager's membership table", table(membershipTable)},
	{"routes", "the multicast forwarding entries", table(routeTable)},
	{"protocols", "the routing protocols that run", table(protocolTable)},
	{"neighbors", "the routers that protocols have found", table(neighborTable)},
	{"rib", "the routes by which sources are expected", table(ribTable)},
	{"stats", "the router as a whole", printStats},
	{"events", "the last records of the router's log", table(eventTable)},
}

// table prints rows of type T in aligned columns.
func table[T any](lay func(row func(cells ...any), documents []T)) func(io.Writer, []byte) error {
	return func(w io.Writer, document []byte) error {
		var rows []T
		if err := json.Unmarshal(document, &rows); err != nil {
			return fmt.Errorf("read the router's answer: %w", err)
		}
		aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		lay(func(cells ...any) {
			for i, cell := range cells {
				if i > 0 {
					fmt.Fprint(aligned, "\t")
				}
				fmt.Fprint(aligned, cell)
			}
			fmt.Fprintln(aligned)
		}, rows)
		return aligned.Flush()
	}
}

func interfaceTable(row func(...any), interfaces []control.Interface) {
	row("Interface", "State", "Address", "V", "Querier", "QuerierIp", "Link", "Netns", "Device",
		"MTU", "IO", "Groups", "Rx", "Tx", "Drops")
	for _, i := range interfaces {
		state := "up"
		if !i.Up {
			state = "down"
		}
		version, querier, address := "-", "-", "-"
		for _, family := range []control.Querying{i.IGMP, i.MLD} {
			if family.Enabled {
				version = strconv.Itoa(family.Version)
				querier = map[bool]string{true: "local", false: "other"}[family.IsQuerier]
				address = dash(family.Querier)
				break
			}
		}
		row(i.Name, state, dash(strings.Join(i.Addresses, ",")), version, querier, address,
			i.Link, dash(i.Netns), dash(i.Device), i.MTU, i.IO, i.IGMP.Groups+i.MLD.Groups,
			i.RxPackets, i.TxPackets, total(i.Drops))
	}
}

func groupTable(row func(...any), groups []control.Group) {
	row("Interface", "Group", "Mode", "Timer", "Srcs", "V", "Uptime", "Reporters")
	for _, g := range groups {
		timer := clock(g.Expires)
		switch {
		case g.Upstream:
			timer = "upstream"
		case g.Static:
			timer = "static"
		}
		row(g.Interface, g.Group, strings.ToUpper(g.Mode), timer, len(g.Sources), g.Version,
			clock(g.Uptime), dash(strings.Join(g.Reporters, ",")))
	}
}

func membershipTable(row func(...any), memberships []control.Membership) {
	row("Source", "Group", "Interface", "Client")
	for _, m := range memberships {
		row(m.Source, m.Group, m.Interface, m.Client)
	}
}

func routeTable(row func(...any), routes []control.Route) {
	row("Source", "Group", "Flags", "Proto", "Input", "Output", "TTL", "Uptime", "Packets",
		"WrongIf")
	for _, r := range routes {
		if len(r.OIFs) == 0 {
			row(r.Source, r.Group, "P", dash(r.Owner), dash(r.IIF), "none", "-",
				clock(r.Uptime), r.Packets, r.WrongIf)
		}
		for i, oif := range r.OIFs {
			if i == 0 {
				row(r.Source, r.Group, "T", dash(r.Owner), dash(r.IIF), oif.Interface,
					oif.Threshold, clock(r.Uptime), r.Packets, r.WrongIf)
				continue
			}
			row("", "", "", "", "", oif.Interface, oif.Threshold, "", "", "")
		}
	}
}

func protocolTable(row func(...any), protocols []control.Protocol) {
	row("Protocol", "Family", "Id", "Component", "Interfaces", "Joins", "Prunes", "Alerts",
		"Upstream")
	for _, p := range protocols {
		var upstream []string
		for _, u := range p.Upstream {
			upstream = append(upstream, upstreamText(u))
		}
		row(p.Name, dash(p.Family), p.ProtocolID, p.ComponentID,
			dash(strings.Join(p.Interfaces, ",")), p.Joins, p.Prunes, total(p.Alerts),
			dash(strings.Join(upstream, "; ")))
	}
}

// upstreamText is the state of a proxy's upstream interface in a few words.
func upstreamText(u control.ProxyUpstream) string {
	state := "up"
	if !u.Up {
		state = "down"
	}
	return fmt.Sprintf("%s %s, v%d, querier %s, %d groups", u.Interface, state, u.Version,
		dash(u.Querier), u.Groups)
}

func ribTable(row func(...any), routes []control.RIBRoute) {
	row("Prefix", "Kind", "Interface", "Via")
	for _, r := range routes {
		row(r.Prefix, r.Kind, r.Interface, dash(r.Via))
	}
}

func neighborTable(row func(...any), neighbors []control.Neighbor) {
	row("Protocol", "Interface", "Address", "DR", "Uptime", "Expires")
	for _, n := range neighbors {
		row(n.Protocol, n.Interface, n.Address, n.DR, clock(n.Uptime), clock(n.Expires))
	}
}

func printStats(w io.Writer, document []byte) error {
	var s control.Stats
	if err := json.Unmarshal(document, &s); err != nil {
		return fmt.Errorf("read the router's answer: %w", err)
	}
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(aligned, "router\t%s (version %s, pid %d)\n", s.Name, s.Version, s.PID)
	fmt.Fprintf(aligned, "uptime\t%s\n", clock(s.Uptime))
	fmt.Fprintf(aligned, "forwarding entries\t%d (%d without outputs)\n", s.Flows, s.Negative)
	fmt.Fprintf(aligned, "packets without an entry\t%d\n", s.Misses)
	fmt.Fprintf(aligned, "packets to the stack\t%d\n", s.Punted)
	fmt.Fprintf(aligned, "control events dropped\t%d\n", s.ControlEventsDropped)
	for _, reason := range slices.Sorted(maps.Keys(s.Dropped)) {
		fmt.Fprintf(aligned, "dropped: %s\t%d\n", reason, s.Dropped[reason])
	}
	return aligned.Flush()
}

// clock writes seconds as FRR does: 00:04:13, and days in front from a day on.
func clock(seconds float64) string {
	d := asDuration(seconds).Truncate(time.Second)
	hours := int(d.Hours())
	text := fmt.Sprintf("%02d:%02d:%02d", hours%24, int(d.Minutes())%60, int(d.Seconds())%60)
	if hours >= 24 {
		return fmt.Sprintf("%dd%s", hours/24, text)
	}
	return text
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func total(counts map[string]uint64) uint64 {
	var sum uint64
	for _, count := range counts {
		sum += count
	}
	return sum
}

// asDuration converts seconds as people and JSON write them.
func asDuration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second))
}
