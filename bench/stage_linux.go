package bench

import (
	"fmt"
	"net/netip"

	"umroute/bench/engine"
	"umroute/bench/flood"
	"umroute/bench/plan"
	"umroute/bench/result"
	"umroute/bench/topology"
	"umroute/mgm"
)

// port is where the sinks listen, and burdenPort where those of a burden do.
const (
	port       = engine.TrafficPort
	burdenPort = port + 1
)

// stage is one engine with its hosts.
type stage struct {
	engine   plan.Engine
	topology *topology.Topology
	window   int           // of closed loops, 0: the usual
	router   engine.Router // ends before its topology does

	// The receivers are members from one measurement to the next where these want
	// the same: a thousand joins take longer than a sample.
	members *flood.Members
	joined  membership
}

// membership says which receivers are members of which groups.
type membership struct {
	oifs, groups int
	v6           bool
}

func (s *stage) close() {
	if s.members != nil {
		s.members.Close()
	}
	s.router.Close()
	s.topology.Close()
}

// groups are those of a row.
func groups(r plan.Row) []netip.Addr {
	flows := r.Flows
	if r.Unicast > 0 {
		flows = 10 - r.Unicast
	}
	var all []netip.Addr
	for i := range flows {
		all = append(all, engine.Group(i, r.IPv6))
	}
	return all
}

// open routes the flows of a row, makes the receivers members and opens the
// sockets. Asked to settle, it waits until the router has learnt of new members.
func (s *stage) open(r plan.Row, settle bool) (*flood.Flood, error) {
	if n := len(s.topology.Receivers()); r.Oifs > n {
		return nil, fmt.Errorf("%d receivers of %d", r.Oifs, n)
	}
	c := s.config(r)
	var flows []mgm.Flow
	for _, g := range c.Groups {
		flows = append(flows, mgm.Flow{Source: c.Source, Group: g})
	}
	if err := s.router.Route(flows, r.Oifs); err != nil {
		return nil, err
	}
	changed, err := s.join(r, c.Groups)
	if err != nil {
		return nil, err
	}
	if changed && settle && s.router.Membership() {
		if err := s.settle(r); err != nil {
			return nil, err
		}
	}
	return flood.New(c, s.topology, r.Oifs)
}

// config is the traffic of a row.
func (s *stage) config(r plan.Row) flood.Config {
	c := flood.Config{
		Groups: groups(r), Unicast: r.Unicast, Port: port,
		Source: s.topology.Sender().Address(r.IPv6), Size: r.Size, Rate: r.Rate, Burst: r.Burst,
		Segment: r.Sender == plan.Segment, GRO: r.Receiver == plan.GRO,
		SingleSend: r.Sender == plan.Single, SingleReceive: r.Receiver == plan.Single,
		Rewritten: s.engine.Name == plan.Relay, Window: s.window,
	}
	if r.Size == 0 {
		c.Mix = r.Sizes()
	}
	if r.Find != "" && r.Rate == 0 {
		c.Rate = flood.Unlimited
	}
	return c
}

// setWindow keeps closed loops below what waits for the router on a TUN.
func (s *stage) setWindow(link result.LinkFacts) {
	const spare = 64
	if s.engine.Link == plan.LinkTUN && link.QueueLen > spare {
		s.window = int(min(flood.DefaultWindow, link.QueueLen-spare))
	}
}

// join makes the receivers members, if they are not.
func (s *stage) join(r plan.Row, groups []netip.Addr) (changed bool, err error) {
	want := membership{r.Oifs, len(groups), r.IPv6}
	if s.members != nil && s.joined == want {
		return false, nil
	}
	if s.members != nil {
		s.members.Close()
	}
	s.members, err = flood.Join(s.topology, r.Oifs, groups)
	s.joined = want
	return true, err
}

// burden opens traffic that goes beside what is measured: unicast from the
// sender to each of the receivers in turn.
func (s *stage) burden(r plan.Row) (*flood.Flood, error) {
	n := len(s.topology.Receivers())
	return flood.New(flood.Config{
		Unicast: n, Port: burdenPort, Source: s.topology.Sender().Address(r.IPv6),
		Size: max(r.Size, plan.MinSize), Rate: r.Burden,
	}, s.topology, n)
}

// counters are the router's, with what was lost before it.
func (s *stage) counters() (engine.Counters, error) {
	c, err := s.router.Counters()
	if err != nil {
		return engine.Counters{}, err
	}
	all := make(map[string]uint64)
	for reason, n := range c.Dropped {
		all["by the router: "+reason] = n
	}
	all["before the router, for want of room"], err = s.topology.Sender().Refused()
	c.Dropped = all
	return c, err
}
