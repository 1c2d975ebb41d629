package demo

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// lab is the hosts of the demonstration and what goes on in them, wherever
// they are.
type lab interface {
	// do carries out one step and says how much had been sent at that moment.
	do(ctx context.Context, s step) error
	// tally counts what has been sent and received so far.
	tally(ctx context.Context) (tally, error)
	// start makes the sender send.
	start(ctx context.Context) error
}

// tally is what the hosts have counted so far.
type tally struct {
	Sent     []uint64            `json:"sent"` // by stream
	Sessions []session           `json:"sessions"`
	Unwanted map[string][]uint64 `json:"unwanted"` // by receiver and stream
}

// session is one membership of one receiver, from its join to its leave.
type session struct {
	Host   string `json:"host"`
	Stream int    `json:"stream"`
	Absent bool   `json:"absent"` // of a source that does not send
	Open   bool   `json:"open"`

	SentAtJoin  uint64 `json:"sent_at_join"`
	SentAtLeave uint64 `json:"sent_at_leave"`

	Received   uint64 `json:"received"`
	First      uint64 `json:"first"` // sequence numbers, meaningless where nothing came
	Last       uint64 `json:"last"`
	Lost       uint64 `json:"lost"`
	Duplicates uint64 `json:"duplicates"`
	Corrupt    uint64 `json:"corrupt"`
}

// listener receives for one membership.
type listener interface {
	// snapshot fills in what the session has received.
	snapshot(s *session)
	// leave ends the membership; what was received stays.
	leave() error
}

// network is what a set of hosts must be able to do; hosts are known by name.
type network interface {
	listen(host string, of stream, source netip.Addr) (listener, error)
	send(ctx context.Context, of stream) (sent func() uint64, err error)
	// unwanted counts datagrams of a stream that reached a host while the
	// judge says that nobody there wants them.
	watch(host string, judge func(stream int) bool) (counts func() []uint64, err error)
}

// leaveGrace is how long after a leave datagrams may still arrive. Leaving
// takes the host's kernel about 10 ms, and its report may be lost once, which
// it repeats within a second.
const leaveGrace = 1500 * time.Millisecond

// stage keeps the account of what the hosts of a network do.
type stage struct {
	network network

	mu        sync.Mutex
	sent      []func() uint64
	sessions  []*running
	wantedTil map[place]time.Time // the zero Time while wanted
	unwanted  map[string]func() []uint64
}

type place struct {
	host   string
	stream int
}

type running struct {
	session
	listener listener
}

func newStage(n network) (*stage, error) {
	g := &stage{network: n, wantedTil: make(map[place]time.Time),
		unwanted: make(map[string]func() []uint64)}
	for _, each := range hosts() {
		if each.Name == sender {
			continue
		}
		counts, err := n.watch(each.Name, func(stream int) bool {
			return g.wanted(place{each.Name, stream}, time.Now())
		})
		if err != nil {
			return nil, fmt.Errorf("watch %s: %w", each.Name, err)
		}
		g.unwanted[each.Name] = counts
	}
	return g, nil
}

// wanted says whether a datagram may arrive now.
func (g *stage) wanted(at place, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, known := g.wantedTil[at]
	return known && (until.IsZero() || now.Before(until))
}

func (g *stage) start(ctx context.Context) error {
	for _, of := range streams() {
		sent, err := g.network.send(ctx, of)
		if err != nil {
			return fmt.Errorf("send to %s: %w", of.Group, err)
		}
		g.sent = append(g.sent, sent)
	}
	return nil
}

func (g *stage) do(_ context.Context, s step) error {
	if s.Leave {
		return g.leave(s)
	}
	at := place{s.Host, s.Stream}
	if !s.Absent {
		g.setWanted(at, time.Time{})
	}
	listener, err := g.network.listen(s.Host, streams()[s.Stream], s.source())
	if err != nil {
		return err
	}
	joined := session{Host: s.Host, Stream: s.Stream, Absent: s.Absent, Open: true,
		SentAtJoin: g.sent[s.Stream]()}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sessions = append(g.sessions, &running{joined, listener})
	return nil
}

func (g *stage) leave(s step) error {
	leaving := g.openSession(s)
	if leaving == nil {
		return fmt.Errorf("%s is no member of %s", s.Host, streams()[s.Stream].Group)
	}
	sent := g.sent[s.Stream]()
	err := leaving.listener.leave()
	if !leaving.Absent {
		g.setWanted(place{s.Host, s.Stream}, time.Now().Add(leaveGrace))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	leaving.SentAtLeave, leaving.Open = sent, false
	return err
}

func (g *stage) openSession(s step) *running {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, candidate := range g.sessions {
		if candidate.Open && candidate.Host == s.Host && candidate.Stream == s.Stream {
			return candidate
		}
	}
	return nil
}

func (g *stage) setWanted(at place, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wantedTil[at] = until
}

func (g *stage) tally(context.Context) (tally, error) {
	t := tally{Unwanted: make(map[string][]uint64)}
	for _, sent := range g.sent {
		t.Sent = append(t.Sent, sent())
	}
	for host, counts := range g.unwanted {
		t.Unwanted[host] = counts()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.sessions {
		current := r.session
		r.listener.snapshot(&current)
		t.Sessions = append(t.Sessions, current)
	}
	return t, nil
}
