package demo

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// The hosts of the demonstration, each in a network namespace of its own.
const (
	sender    = "sender"
	receiver1 = "receiver-1"
	receiver2 = "receiver-2"
)

// host is one network namespace, or one simulated host, behind a link.
type host struct {
	Name   string
	Router []netip.Prefix // the router's addresses on the link
	Peer   []netip.Prefix // the host's own
}

func hosts() []host {
	var all []host
	for i, name := range []string{sender, receiver1, receiver2} {
		all = append(all, host{
			Name: name,
			Router: []netip.Prefix{
				netip.MustParsePrefix(fmt.Sprintf("10.99.%d.1/24", i+1)),
				netip.MustParsePrefix(fmt.Sprintf("fd99:%d::1/64", i+1)),
			},
			Peer: []netip.Prefix{
				netip.MustParsePrefix(fmt.Sprintf("10.99.%d.2/24", i+1)),
				netip.MustParsePrefix(fmt.Sprintf("fd99:%d::2/64", i+1)),
			},
		})
	}
	return all
}

// stream is a numbered stream that the sender keeps sending.
type stream struct {
	Label string
	Group netip.AddrPort
}

// streamRate is in datagrams per second, streamSize and streamTTL as load
// has them.
const (
	streamRate = 200
	streamSize = 200
	streamTTL  = 8
)

// The streams: any-source groups in both families, and groups of the
// source-specific ranges 232/8 (RFC 4607) and ff3x::/32.
const (
	asm4 = iota
	ssm4
	asm6
	ssm6
)

func streams() []stream {
	return []stream{
		asm4: {"IPv4 any source", netip.MustParseAddrPort("239.99.1.1:5001")},
		ssm4: {"IPv4 source-specific", netip.MustParseAddrPort("232.99.1.1:5002")},
		asm6: {"IPv6 any source", netip.MustParseAddrPort("[ff15::99:1]:5003")},
		ssm6: {"IPv6 source-specific", netip.MustParseAddrPort("[ff3e::8000:99]:5004")},
	}
}

// step is a join or a leave of one receiver. A step of an absent source joins
// a source that does not send, so nothing may arrive.
type step struct {
	At     float64 // as a fraction of the demonstration's length
	Host   string
	Stream int
	Leave  bool
	Absent bool
}

// schedule is what the receivers do, in order of time. The first tenth and
// the last show that nothing arrives while nobody asks.
func schedule() []step {
	return []step{
		{At: 0.10, Host: receiver1, Stream: asm4},
		{At: 0.18, Host: receiver1, Stream: asm6},
		{At: 0.26, Host: receiver2, Stream: asm4},
		{At: 0.32, Host: receiver2, Stream: ssm4},
		{At: 0.38, Host: receiver2, Stream: ssm6},
		{At: 0.42, Host: receiver1, Stream: ssm4, Absent: true},
		{At: 0.50, Host: receiver1, Stream: asm4, Leave: true},
		{At: 0.58, Host: receiver1, Stream: ssm6},
		{At: 0.64, Host: receiver2, Stream: asm4, Leave: true},
		{At: 0.68, Host: receiver1, Stream: asm4},
		{At: 0.74, Host: receiver1, Stream: asm6, Leave: true},
		{At: 0.78, Host: receiver2, Stream: ssm4, Leave: true},
		{At: 0.80, Host: receiver1, Stream: ssm4, Leave: true, Absent: true},
		{At: 0.84, Host: receiver2, Stream: ssm6, Leave: true},
		{At: 0.86, Host: receiver1, Stream: ssm6, Leave: true},
		{At: 0.90, Host: receiver1, Stream: asm4, Leave: true},
	}
}

// source is the address that a step's join names, or the zero Addr for any.
// The absent source is an address of the sender's subnet that nobody has.
func (s step) source() netip.Addr {
	if s.Stream != ssm4 && s.Stream != ssm6 {
		return netip.Addr{}
	}
	of := hosts()[slices.IndexFunc(hosts(), func(h host) bool { return h.Name == sender })]
	for _, peer := range of.Peer {
		if peer.Addr().Is4() == (s.Stream == ssm4) {
			if s.Absent {
				return peer.Addr().Next()
			}
			return peer.Addr()
		}
	}
	return netip.Addr{}
}

func (s step) String() string {
	verb := "joins"
	if s.Leave {
		verb = "leaves"
	}
	of := streams()[s.Stream]
	text := fmt.Sprintf("%s %s %s", s.Host, verb, of.Group.Addr())
	if source := s.source(); source.IsValid() {
		text += fmt.Sprintf(" from %s", source)
	}
	if s.Absent && !s.Leave {
		text += " (who sends nothing)"
	}
	return text
}

// due is the time of a step in a demonstration of that length.
func (s step) due(start time.Time, length time.Duration) time.Time {
	return start.Add(time.Duration(s.At * float64(length)))
}
