package relay

import (
	"encoding/binary"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"umroute/mgm"
)

// Sender sends a complete IP packet to a group out of one link.
type Sender interface {
	Send(index uint32, packet []byte) error
}

// Routes says by which link a source is reached.
type Routes interface {
	Lookup(source netip.Addr) (mgm.Route, bool)
}

// Config is what a Relay needs from its surroundings. All but Logger is required.
type Config struct {
	Sender Sender
	Routes Routes
	Logger *slog.Logger // nil discards
}

// Rule names what is relayed between links.
type Rule struct {
	Groups     []netip.AddrPort
	Interfaces []string // the names of links, of which some may not be there yet
	// Rate is how many datagrams a second each link may bring, 1 or more, and how
	// many at once.
	Rate int
}

// Link is one that a Relay knows.
type Link struct {
	Index uint32 // not 0
	Name  string
	MTU   int
	// Addresses are the router's own on the link, of both families. The first one
	// that is not link-local, or for IPv6 the first that is, replaces a source
	// that means nothing there.
	Addresses []netip.Addr
	// Replaces says that the link sends everything from an address of its own.
	Replaces bool
}

// Relay carries datagrams between links. Its methods are for one goroutine.
type Relay struct {
	config  Config
	rules   []*rule
	links   map[uint32]*link
	memory  memory
	seed    maphash.Seed
	dropped [drops]uint64
	relayed uint64
}

// link is a Link with its state.
type link struct {
	Link
	up bool
}

// rule is a Rule with its state.
type rule struct {
	Rule
	buckets           map[uint32]*bucket // by the link that datagrams come from
	received, relayed uint64
}

// New makes a Relay without rules and links.
func New(config Config) *Relay {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Relay{config: config, links: make(map[uint32]*link), seed: maphash.MakeSeed()}
}

// SetRules replaces all rules. Those that stay keep their counters.
func (r *Relay) SetRules(rules []Rule) {
	var next []*rule
	for _, each := range rules {
		kept := slices.IndexFunc(r.rules, func(old *rule) bool { return old.equal(each) })
		if kept >= 0 {
			next = append(next, r.rules[kept])
			continue
		}
		next = append(next, &rule{Rule: each, buckets: make(map[uint32]*bucket)})
	}
	r.rules = next
}

func (r *rule) equal(other Rule) bool {
	return slices.Equal(r.Groups, other.Groups) && r.Rate == other.Rate &&
		slices.Equal(r.Interfaces, other.Interfaces)
}

// AddLink says that a link is there, and up. One of that index is replaced.
func (r *Relay) AddLink(l Link) { r.links[l.Index] = &link{Link: l, up: true} }

// RemoveLink says that a link is gone.
func (r *Relay) RemoveLink(index uint32) {
	delete(r.links, index)
	for _, rule := range r.rules {
		delete(rule.buckets, index)
	}
}

// SetUp says that a link went down, or came up again.
func (r *Relay) SetUp(index uint32, up bool) {
	if l := r.links[index]; l != nil {
		l.up = up
	}
}

// Handle takes a packet that came in by a link, of which the caller gives up the
// bytes, and relays it where the rules say so.
func (r *Relay) Handle(now time.Time, index uint32, bytes []byte) {
	in := r.links[index]
	group, ok := destination(bytes)
	if in == nil || !ok {
		return
	}
	rules := r.matching(in, group)
	if len(rules) == 0 {
		return
	}
	p, why := parse(bytes)
	if why == none {
		why = r.admit(now, in, &p, rules)
	}
	if why != none {
		r.dropped[why]++
		return
	}
	for _, out := range r.outputs(in, rules) {
		if why := r.send(out, &p); why != none {
			r.dropped[why]++
			continue
		}
		r.relayed++
		for _, rule := range rules {
			if slices.Contains(rule.Interfaces, out.Name) {
				rule.relayed++
			}
		}
	}
}

// matching are the rules that a packet from a link to a group is for.
func (r *Relay) matching(in *link, group netip.AddrPort) (rules []*rule) {
	for _, rule := range r.rules {
		if slices.Contains(rule.Groups, group) && slices.Contains(rule.Interfaces, in.Name) {
			rules = append(rules, rule)
		}
	}
	return rules
}

// admit says whether a packet may be relayed.
func (r *Relay) admit(now time.Time, in *link, p *packet, rules []*rule) Drop {
	for _, rule := range rules {
		rule.received++
	}
	if r.isOwn(p.source) {
		return DropOwn
	}
	if !p.source.IsLinkLocalUnicast() {
		// RFC 1812 section 5.3.8: the source is where the packet came from.
		route, ok := r.config.Routes.Lookup(p.source)
		if !ok || route.Iface.Index != in.Index {
			return DropWrongInterface
		}
	}
	// Before anything is remembered: a flood is to leave the memory alone.
	for _, rule := range rules {
		if !rule.take(now, in.Index) {
			return DropRate
		}
	}
	if p.source.IsLinkLocalUnicast() {
		return r.memory.hear(now, r.digest(p), speaker{in.Index, p.source})
	}
	return none
}

// isOwn says whether an address is one of this router's.
func (r *Relay) isOwn(source netip.Addr) bool {
	for _, l := range r.links {
		if !l.Replaces && slices.Contains(l.Addresses, source) {
			return true
		}
	}
	return false
}

// digest tells apart what is said to whom.
func (r *Relay) digest(p *packet) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	address := p.group.Addr().As16()
	h.Write(address[:])
	h.Write(binary.BigEndian.AppendUint16(nil, p.group.Port()))
	h.Write(p.payload())
	return h.Sum64()
}

// outputs are the links that the rules name besides the one it came from, each
// once.
func (r *Relay) outputs(in *link, rules []*rule) (outputs []*link) {
	for _, l := range r.links {
		if l != in && slices.ContainsFunc(rules, func(rule *rule) bool {
			return slices.Contains(rule.Interfaces, l.Name)
		}) {
			outputs = append(outputs, l)
		}
	}
	return outputs
}

// send sends a packet out of one link.
func (r *Relay) send(out *link, p *packet) Drop {
	bytes := p.bytes
	switch {
	case !out.up:
		return DropDown
	case len(bytes) > out.MTU:
		return DropTooBig
	}
	if p.source.IsLinkLocalUnicast() && !out.Replaces {
		source, ok := out.address(p.source.Is4())
		if !ok {
			return DropNoAddress
		}
		bytes = p.from(source)
	}
	if err := r.config.Sender.Send(out.Index, bytes); err != nil {
		r.config.Logger.Debug("datagram not relayed", "if", out.Name, "group", p.group,
			"err", err)
		return DropSend
	}
	return none
}

// address is what replaces a link-local source: for IPv6 again a link-local one,
// as mDNS and its like expect.
func (l *link) address(v4 bool) (netip.Addr, bool) {
	i := slices.IndexFunc(l.Addresses, func(a netip.Addr) bool {
		return a.Is4() == v4 && a.IsLinkLocalUnicast() != v4
	})
	if i < 0 {
		return netip.Addr{}, false
	}
	return l.Addresses[i], true
}

// Advance forgets what is over.
func (r *Relay) Advance(now time.Time) { r.memory.advance(now) }

// Deadline says when Advance is due, if at all.
func (r *Relay) Deadline() (time.Time, bool) { return r.memory.deadline() }
