package engine

import (
	"fmt"
	"net/netip"
	"time"

	"umroute/bench/plan"
	"umroute/bench/topology"
	"umroute/mgm"
)

// Router forwards between the ports of a topology.
type Router interface {
	// Route lets flows that come from the sender go to the first oifs receivers,
	// and nowhere else, from now on.
	Route(flows []mgm.Flow, oifs int) error
	// Counters counts so far.
	Counters() (Counters, error)
	// Membership says whether the router learns from the hosts what they want, so
	// that Route does nothing.
	Membership() bool
	// PID is the router's process, 0 if the kernel routes.
	PID() int
	// Close ends the router and removes its devices.
	Close() error
}

// Counters is what a router says of itself.
type Counters struct {
	Dropped map[string]uint64 // packets, by reason
	Allocs  *uint64           // allocations from its heap; nil where it does not know
}

// UnusedFlows is how many entries each router's table holds besides.
const UnusedFlows = 1000

// StartTime is how long a router with many interfaces may take to open them.
func StartTime(interfaces int) time.Duration {
	return time.Duration(interfaces) * 50 * time.Millisecond
}

// Start makes a topology and starts the engine in it, with at least as many
// interfaces. Close both, the router first.
func Start(e plan.Engine, receivers, interfaces int) (*topology.Topology, Router, error) {
	idle := max(0, interfaces-receivers-1)
	if err := e.Bears(idle); err != nil {
		return nil, nil, err
	}
	make := topology.New
	if e.Link == plan.LinkVeth {
		make = topology.NewVeth
	}
	t, err := make(receivers)
	if err != nil {
		return nil, nil, err
	}
	return withRouter(t, func() (Router, error) {
		switch {
		case e.External():
			return startExternal(e, t)
		case e.Name == plan.Kernel:
			return startKernel(t)
		case e.Name == plan.Router:
			return startProduct(t, Membership{})
		}
		return startProcess(e, t, idle)
	})
}

func withRouter(t *topology.Topology, start func() (Router, error)) (
	*topology.Topology, Router, error) {
	r, err := start()
	if err != nil {
		t.Close()
		return nil, nil, err
	}
	return t, r, nil
}

// Group is the group of flow i of a measurement: 239.7.0.1 or ff15::7:1, and
// so on.
func Group(i int, v6 bool) netip.Addr {
	n := 7<<16 + i + 1
	if v6 {
		return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x15, 12: byte(n >> 24), 13: byte(n >> 16),
			14: byte(n >> 8), 15: byte(n)})
	}
	return netip.AddrFrom4([4]byte{239, byte(n >> 16), byte(n >> 8), byte(n)})
}

// unusedFlows are in the table as others' flows would be.
func unusedFlows(source netip.Addr) []mgm.Flow {
	var flows []mgm.Flow
	for i := range UnusedFlows {
		flows = append(flows, mgm.Flow{Source: source, Group: Group(i+plan.MaxFlows, source.Is6())})
	}
	return flows
}

// flowError names the flow that cannot be forwarded.
func flowError(f mgm.Flow, err error) error {
	return fmt.Errorf("forward %s from %s: %w", f.Group, f.Source, err)
}
