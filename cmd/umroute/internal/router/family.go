package router

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"umroute/cmd/umroute/internal/joindelay"
	"umroute/mgm"
	"umroute/routing"
	"umroute/stack/membership"
)

// igmpOnly is IANA's number for a link on which only IGMP or MLD runs
// (IANA ipMRouteProtocol: igmpOnly(10)).
const igmpOnly mgm.ProtocolID = 10

// emptyFlowLifetime is how long an entry without receivers stays in the cache
// after its last receiver went, or after its first packet. It is shorter than
// the 900 s of a flow that somebody wants, so that a sweep over many groups
// does not hold the table for a quarter of an hour.
const emptyFlowLifetime = 60 * time.Second

// family is IGMP or MLD, with the Multicast Group Manager of its address
// family. membership belongs to the loop, the manager to everybody.
type family struct {
	name       string // "igmp" or "mld"
	v6         bool
	manager    *mgm.Manager
	client     *client
	membership *membership.Router
	upstream   map[uint32]upstream // where the router is a host; the loop's

	// heard get every IGMP or MLD packet, too, on the loop: who joins groups as a
	// host does on some links. They stay as they are once the router runs.
	heard []func(now time.Time, index uint32, packet []byte)

	mu      sync.RWMutex // guards clients
	clients []*client    // all of manager's, in the order of registration
}

// familyParts is what a family stands on.
type familyParts struct {
	forwarder *routing.Forwarder
	rib       *routing.RIB
	sender    membership.Sender
	loop      *loop
	delays    *joindelay.Meter
	log       *slog.Logger
	boundary  func(mgm.Iface, netip.Addr) bool
}

func newFamily(kind membership.Family, parts familyParts) (*family, error) {
	f := &family{name: "igmp", v6: kind == membership.MLD,
		upstream: make(map[uint32]upstream)}
	if f.v6 {
		f.name = "mld"
	}
	log := parts.log.With("family", f.name)
	manager, err := mgm.New(mgm.Config{
		IPv6:      f.v6,
		RIB:       parts.rib,
		Forwarder: parts.forwarder.Plane(f.v6),
		Logger:    log,
		Boundary:  parts.boundary,
	})
	if err != nil {
		return nil, fmt.Errorf("start the multicast group manager of %s: %w", f.name, err)
	}
	f.manager = manager
	parts.forwarder.Bind(f.v6, manager)
	f.client, err = f.register(f.name, mgm.ClientID{Protocol: igmpOnly},
		mgm.RoleMembership, f.callbacks(parts.loop))
	if err != nil {
		manager.Close()
		return nil, err
	}
	f.membership = membership.New(membership.Config{
		Family:  kind,
		Sender:  parts.sender,
		Members: measured{f.client, parts.delays},
		Logger:  log,
	})
	return f, nil
}

// callbacks are IGMP's or MLD's answers to the manager. They run on the
// manager's goroutine, so what touches the machine goes through the loop.
func (f *family) callbacks(l *loop) mgm.Callbacks {
	return mgm.Callbacks{
		DisableMembership: func(i mgm.Iface) {
			l.send(context.Background(), func(time.Time) { f.membership.Suspend(i.Index) })
		},
		EnableMembership: func(i mgm.Iface) {
			l.send(context.Background(), func(now time.Time) { f.enable(now, i) })
		},
		PruneAlert: f.shortenEmptyFlow,
	}
}

// enable ends a change of owner. The new one may be a proxy that is a host there:
// then the router side ends (RFC 4605 section 4.1).
func (f *family) enable(now time.Time, i mgm.Iface) {
	if f.upstream[i.Index] == nil {
		f.membership.Resume(now, i.Index)
		return
	}
	f.membership.RemoveInterface(now, i.Index)
	_ = f.client.ReleaseInterface(i) // it fails where that has been done
}

// handle takes an IGMP or MLD packet that came in on an interface.
func (f *family) handle(now time.Time, index uint32, packet []byte) {
	for _, hear := range f.heard {
		hear(now, index, packet)
	}
	if side := f.upstream[index]; side != nil {
		side.Handle(now, packet)
		return
	}
	f.membership.Handle(now, index, packet)
}

// addresses is the address family, as people call it.
func (f *family) addresses() string {
	if f.v6 {
		return "ipv6"
	}
	return "ipv4"
}

// clientName is the name of a client of f's manager.
func (f *family) clientName(id mgm.ClientID) string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, c := range f.clients {
		if c.ID() == id {
			return c.name
		}
	}
	return ""
}

// shortenEmptyFlow gives a flow that nobody wants a shorter life. The timeout
// counts from the creation of the entry (MGM, PMGM_PRUNE_ALERT_CALLBACK), so
// the time that it has been up is added.
func (f *family) shortenEmptyFlow(alert *mgm.PruneAlert) {
	if alert.MemberDelete {
		return
	}
	entry, err := f.manager.MFE(mgm.Flow(alert.Entry))
	if err != nil {
		alert.Timeout = emptyFlowLifetime
		return
	}
	alert.Timeout = min(alert.Timeout, entry.Up+emptyFlowLifetime)
}
