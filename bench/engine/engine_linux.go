package engine

import (
	"fmt"
	"net/netip"

	"umroute/bench/plan"
	"umroute/bench/topology"
	"umroute/mgm"
)

// Router forwards between the ports of a topology.
type Router interface {
	// Route lets flows that come from the sender go to the first oifs receivers,
	// and nowhere else, from now on.
	Route(flows []mgm.Flow, oifs int) error
	// Dropped counts what the router has dropped so far, by reason.
	Dropped() (map[string]uint64, error)
	// PID is the router's process, 0 if the kernel routes.
	PID() int
	// Close ends the router and removes its devices.
	Close() error
}

// UnusedFlows is how many entries each router's table holds besides.
const UnusedFlows = 1000

// Start makes a topology and starts the engine in it. Close both, the router
// first.
func Start(e plan.Engine, receivers int) (*topology.Topology, Router, error) {
	if e.Link == plan.LinkVeth {
		t, err := topology.NewVeth(receivers)
		if err != nil {
			return nil, nil, err
		}
		return withRouter(t, func() (Router, error) { return startKernel(t) })
	}
	t, err := topology.New(receivers)
	if err != nil {
		return nil, nil, err
	}
	return withRouter(t, func() (Router, error) { return startProcess(e, t) })
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
	if v6 {
		return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x15, 13: 7, 14: byte((i + 1) >> 8),
			15: byte(i + 1)})
	}
	return netip.AddrFrom4([4]byte{239, 7, byte((i + 1) >> 8), byte(i + 1)})
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
