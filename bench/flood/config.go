package flood

import (
	"fmt"
	"net/netip"

	"umroute/bench/load"
)

// DefaultWindow is how many datagrams may be under way in a closed loop.
const DefaultWindow = 1024

// TTL is the TTL or hop limit that datagrams are sent with.
const TTL = 8

// turn is how many datagrams one call sends.
const turn = 32

// Config describes traffic.
type Config struct {
	Groups  []netip.Addr // one for each flow
	Port    uint16
	Source  netip.Addr
	Size    int     // UDP payload, load.MinSize to 1452 bytes
	Rate    float64 // datagrams per second over all flows; 0: a closed loop
	Window  int     // of a closed loop; 0: DefaultWindow. Small buffers narrow it.
	Segment bool    // send with UDP_SEGMENT
	GRO     bool    // receive with UDP_GRO
}

func (c Config) validate() error {
	switch {
	case len(c.Groups) == 0 || len(c.Groups) > maxFlows:
		return fmt.Errorf("%d flows: not from 1 to %d", len(c.Groups), maxFlows)
	case c.Size < load.MinSize || c.Size > maxSize:
		return fmt.Errorf("size %d is not from %d to %d", c.Size, load.MinSize, maxSize)
	case c.Port == 0 || !(c.Rate >= 0) || c.Window < 0:
		return fmt.Errorf("port %d, rate %v, window %d: not all are possible",
			c.Port, c.Rate, c.Window)
	}
	for _, g := range c.Groups {
		if !g.IsMulticast() || g.Is4() != c.Source.Is4() || g.Is4In6() {
			return fmt.Errorf("group %s is no group of the family of %s", g, c.Source)
		}
	}
	return nil
}

// maxSize is what an Ethernet frame can carry over IPv6.
const maxSize = 1452

// run is how many datagrams of one flow follow one another: what one message
// holds.
func (c Config) run() int {
	if c.Segment {
		return turn
	}
	return 1
}

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

// maxFlows is how many a stream ID has room for.
const maxFlows = 1 << 10

// streamOf names one flow of one run.
func streamOf(run, flow uint64) load.StreamID { return load.StreamID(run*maxFlows + flow) }
