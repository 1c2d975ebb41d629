package membership

import (
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"umroute/mgm"
	"umroute/stack/igmp"
	"umroute/stack/mld"
)

// Family chooses the protocol of a Router.
type Family uint8

// The two families.
const (
	IGMP Family = iota // IPv4, RFC 9776
	MLD                // IPv6, RFC 9777
)

// String returns "igmp" or "mld".
func (f Family) String() string {
	if f == MLD {
		return "mld"
	}
	return "igmp"
}

// Sender puts a complete IP packet on one link. The packet is the Router's
// again when Send returns.
type Sender interface {
	Send(index uint32, packet []byte) error
}

// Members is told which entries have members on an interface. *mgm.Client of
// the role RoleMembership is one.
type Members interface {
	AddMembership(mgm.Entry, mgm.Iface, mgm.StateFlags) error
	DeleteMembership(mgm.Entry, mgm.Iface, mgm.StateFlags) error
}

// Config is what a Router needs from its surroundings. Without a Sender it is
// mute, without Members it tells nobody; a nil Logger logs nothing.
type Config struct {
	Family  Family
	Sender  Sender
	Members Members
	Logger  *slog.Logger
}

// Router is the router side of one family on all its interfaces. It is not safe
// for concurrent use.
type Router struct {
	config Config
	log    *slog.Logger
	epoch  time.Time // instant 0 lies one hour before the first call
	links  map[uint32]*link
	alarms alarms

	elections uint64 // changes of other queriers

	// Memory for one call, kept for the next.
	igmpReport igmp.Report
	mldReport  mld.Report
	igmpQuery  igmp.Query
	mldQuery   mld.Query
	fresh      []source     // sources of a record that the group does not know
	asked      []netip.Addr // sources of a query
	packet     []byte       // a query to send
}

// New returns a Router without interfaces.
func New(config Config) *Router {
	log := config.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Router{config: config, log: log, links: make(map[uint32]*link)}
}

// instant is a point in time in nanoseconds of the Router's own count. Zero
// means never or not running: a third of the size of a time.Time, and there
// are several in each group.
type instant int64

// after returns the instant that lies d later.
func (t instant) after(d time.Duration) instant { return t + instant(d) }

// until returns how long it is from t to later, zero if it is past or unset.
func (t instant) until(later instant) time.Duration {
	return time.Duration(max(later-t, 0))
}

// earliest returns the earlier of two instants of which zero is never.
func earliest(a, b instant) instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func (r *Router) instant(now time.Time) instant {
	if r.epoch.IsZero() {
		r.epoch = now.Add(-time.Hour)
	}
	return instant(now.Sub(r.epoch))
}

// Deadline returns when Advance has to be called next. It may be too early,
// since refreshed timers are not moved, and then Advance does nothing; it is
// never too late. It returns false if nothing is due ever.
func (r *Router) Deadline() (time.Time, bool) {
	at, ok := r.alarms.next()
	if !ok {
		return time.Time{}, false
	}
	return r.epoch.Add(time.Duration(at)), true
}

// Advance does what is due: it sends queries and forgets what timed out. Its
// cost is in proportion to what is due.
func (r *Router) Advance(now time.Time) {
	t := r.instant(now)
	for {
		s, ok := r.alarms.due(t)
		if !ok {
			return
		}
		r.wake(t, s)
	}
}

// wake runs what is due of s, which may vanish thereby.
func (r *Router) wake(now instant, s sleeper) {
	r.alarms.remove(s)
	if at := s.serve(r, now); at != 0 {
		r.alarms.set(s, at)
	}
}

// Handle takes a complete IP packet that arrived on an interface: IPv4 with
// IGMP, or IPv6 with a Hop-by-Hop header and ICMPv6. What is wrong with it is
// counted by reason. Packets of unknown interfaces are dropped.
func (r *Router) Handle(now time.Time, index uint32, packet []byte) {
	l := r.links[index]
	if l == nil {
		return
	}
	t := r.instant(now)
	if !l.admit(t) {
		l.ignore(RateLimited)
		return
	}
	if l.alarm.isDue(t) {
		r.wake(t, l)
	}
	if r.config.Family == MLD {
		r.handleMLD(t, l, packet)
		return
	}
	r.handleIGMP(t, l, packet)
}

// sorted returns the interfaces in the order of their index.
func (r *Router) sorted() []*link {
	links := make([]*link, 0, len(r.links))
	for _, l := range r.links {
		links = append(links, l)
	}
	slices.SortFunc(links, func(a, b *link) int {
		return int(int64(a.config.Index) - int64(b.config.Index))
	})
	return links
}
