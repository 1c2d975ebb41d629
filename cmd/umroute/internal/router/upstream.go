package router

import (
	"log/slog"
	"net/netip"
	"time"

	"umroute/routing/proxy"
)

// upstream is how a proxy asks for groups on one interface, as a host: by
// reports, or by the sockets of the host's own network.
type upstream interface {
	proxy.Listener
	Handle(now time.Time, packet []byte)
	LinkUp(now time.Time)
	LinkDown()
	Status(now time.Time) proxy.HostStatus
	Version(now time.Time) int
}

var (
	_ upstream = (*proxy.Host)(nil)
	_ upstream = (*socketSide)(nil)
)

// newUpstream makes the side of an interface that asks for groups.
func (r *Router) newUpstream(f *family, i *iface) upstream {
	log := r.log.With("family", f.name)
	if i.host != nil {
		return newSocketSide(i, f.v6, log)
	}
	return proxy.NewHost(proxy.HostConfig{
		IPv6: f.v6, Index: i.index, Name: i.config.Name,
		Address: r.queryAddress(f, i), MTU: i.device.MTU(),
		Version: f.settings(i.config).Version, Sender: r.stack, Logger: log,
	})
}

// runsOn says whether f's protocol is wanted on an interface, in either role.
// To the host's network the kernel speaks it.
func (f *family) runsOn(i *iface) bool {
	return i.host != nil || f.settings(i.config).Enabled
}

// socketSide joins by sockets. The host's kernel reports what they want, and
// answers queries.
type socketSide struct {
	device interface {
		SetFilter(group netip.Addr, exclude bool, sources []netip.Addr) error
	}
	name     string
	wanted   map[netip.Addr]proxy.Filter
	down     bool
	newest   int
	counters proxy.HostCounters
	log      *slog.Logger
}

func newSocketSide(i *iface, v6 bool, log *slog.Logger) *socketSide {
	s := &socketSide{device: i.host.Member(), name: i.config.Name, newest: 3, log: log,
		wanted: make(map[netip.Addr]proxy.Filter)}
	if v6 {
		s.newest = 2
	}
	return s
}

// SetFilter implements proxy.Listener.
func (s *socketSide) SetFilter(_ time.Time, group netip.Addr, f proxy.Filter) {
	if s.wanted[group].Equal(f) {
		return
	}
	if f.IsZero() {
		delete(s.wanted, group)
	} else {
		s.wanted[group] = f
	}
	if err := s.device.SetFilter(group, f.Mode == proxy.Exclude, f.Sources); err != nil {
		s.counters.Errors++
		s.log.Warn("group not joined upstream", "if", s.name, "group", group, "err", err)
	}
}

// LeaveAll implements proxy.Listener.
func (s *socketSide) LeaveAll(now time.Time) {
	for group := range s.wanted {
		s.SetFilter(now, group, proxy.Filter{})
	}
}

// Advance implements proxy.Listener: the kernel keeps the time.
func (s *socketSide) Advance(time.Time) {}

// Deadline implements proxy.Listener.
func (s *socketSide) Deadline() (at time.Time, ok bool) { return at, false }

// Handle implements upstream: no query comes this far.
func (s *socketSide) Handle(time.Time, []byte) {}

// LinkUp implements upstream: the device joins again by itself.
func (s *socketSide) LinkUp(time.Time) { s.down = false }

// LinkDown implements upstream.
func (s *socketSide) LinkDown() { s.down = true }

// Version implements upstream: the newest that the kernel may speak.
func (s *socketSide) Version(time.Time) int { return s.newest }

// Status implements upstream.
func (s *socketSide) Status(time.Time) proxy.HostStatus {
	return proxy.HostStatus{Up: !s.down, Version: s.newest, Counters: s.counters}
}
