package proxy

import (
	"cmp"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// The defaults of RFC 9776 section 8 and RFC 9777 section 9.
const (
	defaultRobustness = 2
	defaultInterval   = 125 * time.Second // Query Interval
	defaultResponse   = 10 * time.Second  // Query Response Interval
	defaultMTU        = 1500

	// unsolicitedInterval is the time within which a state change is repeated
	// (RFC 9776 section 8.11, RFC 9777 section 9.11).
	unsolicitedInterval = time.Second
	// unsolicitedIntervalOlder is that of the older versions (RFC 2236 section
	// 8.10, RFC 2710 section 7.10).
	unsolicitedIntervalOlder = 10 * time.Second
)

// Sender puts a complete IP packet on one link. The packet is the Host's again
// when Send returns.
type Sender interface {
	Send(index uint32, packet []byte) error
}

// HostConfig describes a Host. Sender is required.
type HostConfig struct {
	IPv6  bool
	Index uint32 // of the interface
	Name  string

	// Address is the source of reports: an IPv4 address of the interface, or its
	// link-local IPv6 address; 0.0.0.0 or :: without one.
	Address netip.Addr
	MTU     int // bounds a report; 0 means 1500

	// Version is the highest one spoken, 1 to 3 for IGMP, 1 and 2 for MLD; 0
	// means the newest.
	Version int

	Sender Sender
	Random *rand.Rand   // chooses delays; nil: a generator of its own
	Logger *slog.Logger // nil logs nothing
}

// Host is the group member of one family on one interface: the host side of
// IGMPv1 to v3 (RFC 9776 section 5) or MLDv1 and v2 (RFC 9777 section 6). It
// is not safe for concurrent use.
//
// It reports what SetFilter says, when it changes and when a querier asks, in
// the version of the oldest querier that was heard of late.
type Host struct {
	config HostConfig
	wire   wire
	log    *slog.Logger
	random *rand.Rand

	down    bool
	members map[netip.Addr]*member
	fresh   []*member // changes that nobody was told yet
	repeats []*member // changes that are to be told again
	timers  timers

	repeatAt  time.Time // next repetition of state changes
	generalAt time.Time // answer to a general query

	answeredBy time.Time // the last answer to a general query of an older version

	mode       uint8     // host compatibility mode, as of the last call
	v1Until    time.Time // IGMPv1 Querier Present timer
	v2Until    time.Time // IGMPv2 or MLDv1 Querier Present timer
	robustness int
	interval   time.Duration
	querier    netip.Addr // heard last
	querierAt  time.Time

	outbox   outbox
	packet   []byte
	counters HostCounters
}

// member is a group of a Host. One that is not wanted any more stays until
// that has been told often enough.
type member struct {
	group  netip.Addr
	filter Filter

	// Of version 3: what is still to be told (RFC 9776 section 5.1).
	modeReports int      // with a filter mode change
	changes     []change // ascending; sources with retransmission state
	isFresh     bool
	isRepeated  bool

	// Of the older versions.
	joins int       // unsolicited reports left
	next  time.Time // of them

	answerAt time.Time    // answer to a query for the group
	asked    []netip.Addr // the sources it was for, ascending; none: all
	alarm    time.Time    // its place in timers, zero for none
}

// change is a source whose reception has changed.
type change struct {
	address netip.Addr
	reports int // left
}

// HostCounters counts what a Host heard and said since it was made.
type HostCounters struct {
	Queries    [4]uint64 // heard, by version in IGMP's count; [0] is not used
	Reports    uint64    // sent, of any version
	Leaves     uint64    // sent, of version 2
	Suppressed uint64    // reports that another host's made needless
	Errors     uint64    // packets that could not be sent
}

// NewHost returns a member of no group.
func NewHost(config HostConfig) *Host {
	h := &Host{config: config, wire: wire{v6: config.IPv6}, log: config.Logger,
		random: config.Random, members: make(map[netip.Addr]*member), mode: version3,
		robustness: defaultRobustness, interval: defaultInterval}
	h.config.Address = config.Address.WithZone("")
	h.config.MTU = cmp.Or(config.MTU, defaultMTU)
	h.mode = h.newest()
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.random == nil {
		h.random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return h
}

// newest is the highest version spoken, in IGMP's count.
func (h *Host) newest() uint8 {
	switch {
	case h.config.Version == 0:
		return version3
	case h.config.IPv6:
		return uint8(h.config.Version) + 1
	}
	return uint8(h.config.Version)
}

// HostStatus is a snapshot of a Host.
type HostStatus struct {
	Up           bool
	Version      int           // host compatibility mode, in the family's count
	Querier      netip.Addr    // heard last; zero if none was
	QuerierHeard time.Duration // how long ago
	Counters     HostCounters
}

// Status describes the host.
func (h *Host) Status(now time.Time) HostStatus {
	s := HostStatus{Up: !h.down, Version: h.Version(now), Querier: h.querier,
		Counters: h.counters}
	if h.querier.IsValid() {
		s.QuerierHeard = now.Sub(h.querierAt)
	}
	return s
}

// Version returns the version that is spoken now.
func (h *Host) Version(now time.Time) int {
	h.updateMode(now)
	return h.external(h.mode)
}

// SetFilter says what is wanted of a group from now on; the zero Filter leaves
// it. The next Advance tells it: RFC 9776 section 5.1 wants that at once.
func (h *Host) SetFilter(now time.Time, group netip.Addr, f Filter) {
	h.updateMode(now)
	m := h.members[group]
	if m == nil {
		if f.IsZero() {
			return
		}
		m = &member{group: group}
		h.members[group] = m
	}
	if m.filter.Equal(f) {
		return
	}
	old := m.filter
	m.filter = f
	if h.down {
		h.removeIfDone(m)
		return
	}
	if h.mode < version3 {
		h.changeOlder(now, m, old)
		return
	}
	h.schedule(m, old)
}

// schedule notes that the change from an older filter is to be told as often
// as the robustness says (RFC 9776 section 5.1).
func (h *Host) schedule(m *member, old Filter) {
	switch {
	case old.Mode != m.filter.Mode:
		// The new list goes with the mode, so earlier changes are told by it.
		m.modeReports, m.changes = h.robustness, nil
	default:
		for _, s := range merged(without(old.Sources, m.filter.Sources),
			without(m.filter.Sources, old.Sources)) {
			m.noteChange(s, h.robustness)
		}
	}
	if !m.isFresh {
		m.isFresh = true
		h.fresh = append(h.fresh, m)
	}
}

func (m *member) noteChange(source netip.Addr, reports int) {
	i, ok := slices.BinarySearchFunc(m.changes, source, func(c change, a netip.Addr) int {
		return c.address.Compare(a)
	})
	if !ok {
		m.changes = slices.Insert(m.changes, i, change{address: source})
	}
	m.changes[i].reports = reports
}

// Deadline returns when Advance has to be called next; false for never.
func (h *Host) Deadline() (time.Time, bool) {
	if len(h.fresh) > 0 {
		return atOnce, true
	}
	at := earliest(h.repeatAt, h.generalAt)
	at = earliest(at, h.timers.next())
	at = earliest(at, h.outbox.next())
	at = earliest(at, h.modeUntil())
	return at, !at.IsZero()
}

// Advance does what is due.
func (h *Host) Advance(now time.Time) {
	h.updateMode(now)
	if len(h.fresh) > 0 {
		h.tellChanges(now, &h.fresh)
	}
	if isDue(h.repeatAt, now) {
		h.repeatAt = time.Time{}
		h.tellChanges(now, &h.repeats)
	}
	if isDue(h.generalAt, now) {
		h.generalAt = time.Time{}
		h.answerAll()
	}
	for m := h.timers.due(now); m != nil; m = h.timers.due(now) {
		h.serve(now, m)
	}
	h.drain(now)
}

// tellChanges sends state-change reports for the members of a list, and keeps
// those in h.repeats of which there is more to tell.
func (h *Host) tellChanges(now time.Time, list *[]*member) {
	told := *list
	*list = nil
	var records []record
	for _, m := range told {
		m.isFresh = m.isFresh && list != &h.fresh
		m.isRepeated = m.isRepeated && list != &h.repeats
		records = m.appendChange(records)
		if !m.isRepeated && (m.modeReports > 0 || len(m.changes) > 0) {
			m.isRepeated = true
			h.repeats = append(h.repeats, m)
		}
		h.removeIfDone(m)
	}
	h.report(records)
	if len(h.repeats) > 0 && h.repeatAt.IsZero() {
		h.repeatAt = now.Add(h.delay(unsolicitedInterval))
	}
}

// removeIfDone forgets a group that is not wanted when that has been told.
func (h *Host) removeIfDone(m *member) {
	if m.filter.IsZero() && !m.isFresh && !m.isRepeated {
		m.alarm = time.Time{}
		delete(h.members, m.group)
	}
}

// LinkUp says that the link works, perhaps again, and perhaps another one: it
// reports everything as if it were new, in the newest version.
func (h *Host) LinkUp(now time.Time) {
	h.cancel()
	h.down = false
	h.v1Until, h.v2Until = time.Time{}, time.Time{}
	h.robustness, h.interval = defaultRobustness, defaultInterval
	h.querier, h.mode = netip.Addr{}, h.newest()
	for _, m := range h.sorted() {
		if h.mode < version3 {
			h.changeOlder(now, m, Filter{})
			continue
		}
		h.schedule(m, Filter{})
	}
}

// LinkDown says that nothing can be sent. What is wanted is kept.
func (h *Host) LinkDown() {
	h.cancel()
	h.down = true
	for _, m := range h.sorted() {
		h.removeIfDone(m)
	}
}

// LeaveAll leaves all groups and says so at once: there is no later.
func (h *Host) LeaveAll(now time.Time) {
	for _, m := range h.sorted() {
		h.SetFilter(now, m.group, Filter{})
	}
	if len(h.fresh) > 0 {
		h.tellChanges(now, &h.fresh)
	}
	h.flush()
	h.cancel()
	clear(h.members)
}

// cancel gives up all pending responses and retransmissions.
func (h *Host) cancel() {
	h.generalAt, h.repeatAt, h.answeredBy = time.Time{}, time.Time{}, time.Time{}
	h.fresh, h.repeats = nil, nil
	h.timers = timers{}
	h.outbox = outbox{}
	for _, m := range h.members {
		*m = member{group: m.group, filter: m.filter}
	}
}

// sorted returns the members in the order of their groups.
func (h *Host) sorted() []*member {
	return slices.SortedFunc(maps.Values(h.members), func(a, b *member) int {
		return a.group.Compare(b.group)
	})
}

// delay returns a random time above zero and up to limit.
func (h *Host) delay(limit time.Duration) time.Duration {
	return time.Duration(h.random.Int64N(int64(max(limit, 1)))) + 1
}

// earliest returns the earlier of two times of which zero is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// atOnce is a time that has come.
var atOnce = time.Unix(0, 0)

func isDue(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }
