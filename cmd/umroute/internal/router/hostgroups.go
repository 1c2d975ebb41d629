package router

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"time"

	"umroute/cmd/umroute/internal/config"
	"umroute/cmd/umroute/internal/control"
	"umroute/routing/proxy"
)

// hostGroups are the groups that the router joins on its links as a host does
// (RFC 9776 section 5), so that other routers and switches send them there.
type hostGroups struct {
	sender proxy.Sender
	log    *slog.Logger
	linkOf func(*iface, *family) netip.Addr // the source of reports

	joined map[hostGroup]bool // true: it is in the configuration
	links  map[string]*iface  // those that exist
	hosts  map[hostLink]*proxy.Host
}

// hostGroup is one membership. The zero source is any.
type hostGroup struct {
	iface         string
	group, source netip.Addr
}

// hostLink is a link of one family.
type hostLink struct {
	iface  string
	family *family
}

func (r *Router) newHostGroups() *hostGroups {
	h := &hostGroups{
		sender: r.stack, log: r.log, linkOf: r.hostAddress,
		joined: make(map[hostGroup]bool),
		links:  make(map[string]*iface),
		hosts:  make(map[hostLink]*proxy.Host),
	}
	for _, f := range r.families() {
		f.heard = append(f.heard, func(now time.Time, index uint32, packet []byte) {
			for at, host := range h.hosts {
				if at.family == f && h.links[at.iface].index == index {
					host.Handle(now, packet)
				}
			}
		})
	}
	return h
}

// hostAddress is what the router reports with on a link: its IPv4 address, or
// its link-local IPv6 address.
func (r *Router) hostAddress(i *iface, f *family) netip.Addr {
	if f.v6 {
		return r.stack.LinkLocal(i.index)
	}
	for _, a := range i.config.Addresses {
		if a.Addr().Is4() {
			return a.Addr()
		}
	}
	return netip.IPv4Unspecified()
}

// set makes joins the configured ones, in place of the earlier.
func (h *hostGroups) set(now time.Time, families []*family, joins []config.StaticJoin) {
	wanted := make(map[hostGroup]bool)
	for _, j := range joins {
		wanted[hostGroup{j.Interface, j.Group, j.Source}] = true
	}
	for g, configured := range h.joined {
		if configured && !wanted[g] {
			delete(h.joined, g)
			h.apply(now, families[familyIndex(g.group.Is6())], g)
		}
	}
	for g := range wanted {
		h.joined[g] = true
		h.apply(now, families[familyIndex(g.group.Is6())], g)
	}
}

var errNotJoined = errors.New("not joined")

// join joins a group at run time.
func (h *hostGroups) join(now time.Time, f *family, g hostGroup) {
	if _, known := h.joined[g]; !known {
		h.joined[g] = false
		h.apply(now, f, g)
	}
}

// leave leaves a group.
func (h *hostGroups) leave(now time.Time, f *family, g hostGroup) error {
	if _, known := h.joined[g]; !known {
		return fmt.Errorf("%w: %s on %s", errNotJoined, g.group, g.iface)
	}
	delete(h.joined, g)
	h.apply(now, f, g)
	return nil
}

// apply has the host on a link want of a group what is joined.
func (h *hostGroups) apply(now time.Time, f *family, g hostGroup) {
	i := h.links[g.iface]
	if i == nil {
		return
	}
	if i.host != nil { // the host's kernel reports
		want := h.filter(g.iface, g.group)
		err := i.joins.SetFilter(g.group, want.Mode == proxy.Exclude, want.Sources)
		if err != nil {
			h.log.Warn("group not joined", "if", g.iface, "group", g.group, "err", err)
		}
		return
	}
	at := hostLink{g.iface, f}
	host := h.hosts[at]
	if host == nil {
		host = proxy.NewHost(proxy.HostConfig{
			IPv6: f.v6, Index: i.index, Name: i.config.Name, MTU: i.device.MTU(),
			Address: h.linkOf(i, f), Sender: h.sender,
			Logger: h.log.With("if", i.config.Name, "family", f.name),
		})
		host.LinkUp(now)
		h.hosts[at] = host
	}
	host.SetFilter(now, g.group, h.filter(g.iface, g.group))
}

// filter is what all memberships of one group on one link want together (RFC
// 9776 section 3.2).
func (h *hostGroups) filter(name string, group netip.Addr) proxy.Filter {
	var sources []netip.Addr
	for g := range h.joined {
		switch {
		case g.iface != name || g.group != group:
		case !g.source.IsValid():
			return proxy.Filter{Mode: proxy.Exclude}
		default:
			sources = append(sources, g.source)
		}
	}
	slices.SortFunc(sources, netip.Addr.Compare)
	return proxy.Filter{Mode: proxy.Include, Sources: sources}
}

// addInterface joins what waits for an interface.
func (h *hostGroups) addInterface(now time.Time, families []*family, i *iface) {
	h.links[i.config.Name] = i
	for g := range h.joined {
		if g.iface == i.config.Name {
			h.apply(now, families[familyIndex(g.group.Is6())], g)
		}
	}
}

// removeInterface forgets the hosts on an interface, which can send no more.
func (h *hostGroups) removeInterface(i *iface) {
	delete(h.links, i.config.Name)
	maps.DeleteFunc(h.hosts, func(at hostLink, _ *proxy.Host) bool {
		return at.iface == i.config.Name
	})
}

// setLink says that an interface went down, or came up again.
func (h *hostGroups) setLink(now time.Time, i *iface, up bool) {
	for at, host := range h.hosts {
		switch {
		case at.iface != i.config.Name:
		case up:
			host.LinkUp(now)
		default:
			host.LinkDown()
		}
	}
}

// stop leaves all groups, and says so.
func (h *hostGroups) stop(now time.Time) {
	for _, host := range h.hosts {
		host.LeaveAll(now)
	}
}

// Advance implements machine.
func (h *hostGroups) Advance(now time.Time) {
	for _, host := range h.hosts {
		host.Advance(now)
	}
}

// Deadline implements machine.
func (h *hostGroups) Deadline() (time.Time, bool) {
	return earliest(slices.Collect(maps.Values(h.hosts)))
}

// earliest is the first deadline of several machines.
func earliest[M machine](machines []M) (first time.Time, ok bool) {
	for _, m := range machines {
		if due, set := m.Deadline(); set && (!ok || due.Before(first)) {
			first, ok = due, true
		}
	}
	return first, ok
}

// documents lists the groups, by interface and group.
func (h *hostGroups) documents() []control.HostGroup {
	list := make([]control.HostGroup, 0, len(h.joined))
	for g, configured := range h.joined {
		list = append(list, control.HostGroup{Interface: g.iface, Group: g.group.String(),
			Source: text(g.source), Configured: configured})
	}
	slices.SortFunc(list, control.HostGroup.Compare)
	return list
}
