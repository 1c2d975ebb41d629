package flood

import (
	"fmt"
	"math"
	"net/netip"
	"slices"

	"umroute/bench/load"
)

// DefaultWindow is how many datagrams may be under way in a closed loop.
const DefaultWindow = 1024

// TTL is the TTL or hop limit that datagrams are sent with.
const TTL = 8

// turn is how many datagrams one call sends.
const turn = 32

// Unlimited is the rate of a source that never waits.
var Unlimited = math.Inf(1)

// Config describes traffic.
type Config struct {
	Groups []netip.Addr // one for each flow; the receivers are members: see Join
	// Unicast is how many flows follow those of the groups that go to one
	// receiver each, to each receiver in turn.
	Unicast int
	Port    uint16
	Source  netip.Addr
	Size    int   // UDP payload, load.MinSize to MaxSize bytes
	Mix     []int // in the place of Size: sizes by turns
	// Rate is datagrams per second over all flows; 0 is a closed loop.
	Rate   float64
	Burst  bool // send at the rate in bursts of 32
	Window int  // of a closed loop; 0: DefaultWindow. Small buffers narrow it.

	Segment       bool // send with UDP_SEGMENT; not with Mix
	GRO           bool // receive with UDP_GRO
	SingleSend    bool // send one datagram a call
	SingleReceive bool // receive one datagram a call
	// Rewritten says that the router changes source and TTL, so that what comes
	// tells nothing.
	Rewritten bool
}

func (c Config) validate() error {
	switch {
	case c.flows() == 0 || c.flows() > maxFlows || c.Unicast < 0:
		return fmt.Errorf("%d flows: not from 1 to %d", c.flows(), maxFlows)
	case c.Port == 0 || !(c.Rate >= 0) || c.Window < 0:
		return fmt.Errorf("port %d, rate %v, window %d: not all are possible",
			c.Port, c.Rate, c.Window)
	case c.Segment && (len(c.Mix) > 0 || c.SingleSend):
		return fmt.Errorf("UDP_SEGMENT needs one size, and many datagrams a call")
	}
	for _, size := range c.sizes() {
		if size < load.MinSize || size > MaxSize {
			return fmt.Errorf("size %d is not from %d to %d", size, load.MinSize, MaxSize)
		}
	}
	for _, g := range c.Groups {
		if !g.IsMulticast() || g.Is4() != c.Source.Is4() || g.Is4In6() {
			return fmt.Errorf("group %s is no group of the family of %s", g, c.Source)
		}
	}
	return nil
}

// MaxSize is the largest UDP payload that an Ethernet frame carries, over IPv4.
const MaxSize = 1472

func (c Config) flows() int { return len(c.Groups) + c.Unicast }

// sizes are those of the datagrams, by turns.
func (c Config) sizes() []int {
	if len(c.Mix) > 0 {
		return c.Mix
	}
	return []int{c.Size}
}

func (c Config) largest() int { return slices.Max(c.sizes()) }

// perMessage is how many datagrams of one flow follow one another: what one
// message holds.
func (c Config) perMessage() int {
	if c.Segment {
		return turn
	}
	return 1
}

// perCall is how many datagrams one call sends.
func (c Config) perCall() int {
	if c.SingleSend {
		return 1
	}
	return turn
}

// paced says whether there is a rate to hold, so that latencies mean something.
func (c Config) paced() bool { return c.Rate > 0 && c.Rate != Unlimited }

// numbering tells how datagrams of several flows are numbered: all together,
// as they are sent, and in each flow without gaps.
type numbering struct{ flows, run uint64 }

// locate gives flow and sequence number of datagram n.
func (g numbering) locate(n uint64) (flow, sequence uint64) {
	message := n / g.run
	return message % g.flows, message/g.flows*g.run + n%g.run
}

// number is the inverse of locate.
func (g numbering) number(flow, sequence uint64) uint64 {
	return (sequence/g.run*g.flows+flow)*g.run + sequence%g.run
}

// of gives how many of the first n datagrams, in whole messages, are of a flow.
func (g numbering) of(flow, n uint64) uint64 {
	messages := n / g.run
	return (messages + g.flows - 1 - flow) / g.flows * g.run
}

// maxFlows is how many a stream ID has room for.
const maxFlows = 1 << 17

// streamOf names one flow of one run.
func streamOf(run, flow uint64) load.StreamID { return load.StreamID(run*maxFlows + flow) }
