package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/metrics"

	"umroute/bench/plan"
	"umroute/bench/topology"
	"umroute/mgm"
	"umroute/tun"
)

// port says where a router's device is and what addresses its ends have.
type port struct {
	Descriptor int            `json:"descriptor"` // of the namespace
	Addresses  []netip.Prefix `json:"addresses"`  // the router's
	Peer       []netip.Prefix `json:"peer"`
}

// forwarder is what a router process runs. Index i+1 stands for port i.
type forwarder interface {
	add(index uint32, device tun.Device, addresses []netip.Prefix) error
	route(f mgm.Flow, oifs int) error
	dropped() map[string]uint64
}

// RunRouter is a router under test until its parent closes the connection. It
// returns the exit status.
func RunRouter() int {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serve() error {
	file := os.NewFile(routerConn, "benchmark")
	conn, err := net.FileConn(file)
	if err != nil {
		return fmt.Errorf("reach the benchmark: %w", err)
	}
	file.Close()
	defer conn.Close()
	requests, answers := json.NewDecoder(conn), json.NewEncoder(conn)
	// Requests come between samples, so nothing here disturbs one.
	var engine forwarder
	for {
		var asked request
		if err := requests.Decode(&asked); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		var reply answer
		if asked.Start != nil {
			engine, err = begin(*asked.Start)
		} else {
			reply, err = obey(engine, asked)
		}
		if err != nil {
			reply.Error = err.Error()
		}
		if err := answers.Encode(reply); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}

func obey(engine forwarder, asked request) (answer, error) {
	if engine == nil {
		return answer{}, errors.New("the router was not started")
	}
	for _, f := range asked.Flows {
		if err := engine.route(f, asked.Oifs); err != nil {
			return answer{}, flowError(f, err)
		}
	}
	return answer{Dropped: engine.dropped(), Allocs: allocations()}, nil
}

// allocations is how many this process has made from its heap.
func allocations() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// begin starts an engine and opens its devices.
func begin(s start) (forwarder, error) {
	if s.Namespace != 0 {
		return newRelay(s)
	}
	engine, err := newForwarder(s.Engine)
	if err != nil {
		return nil, err
	}
	offload := tun.OffloadNone
	if s.Engine.Name == plan.Umroute {
		offload = tun.OffloadSegmentation
	}
	for i, p := range s.Ports {
		link, err := tun.Open(tun.Config{
			Name: topology.Device, IO: s.Engine.IO, TxQueueLen: topology.QueueLen,
			Offload:   offload,
			Netns:     fmt.Sprintf("/proc/self/fd/%d", p.Descriptor),
			Addresses: p.Addresses, PeerAddresses: p.Peer, PeerRoutes: true,
		})
		if err != nil {
			return nil, err
		}
		if err := engine.add(uint32(i+1), link, p.Addresses); err != nil {
			return nil, err
		}
	}
	if len(s.Ports) == 0 {
		return engine, nil
	}
	if err := addIdle(engine, s); err != nil {
		return nil, err
	}
	// A table of a few flows would fit into a cache as no router's does.
	for _, source := range s.Ports[0].Peer {
		for _, f := range unusedFlows(source.Addr()) {
			if err := engine.route(f, len(s.Ports)-1); err != nil {
				return nil, flowError(f, err)
			}
		}
	}
	return engine, nil
}

// addIdle opens devices that nobody uses, beside the one of the first host.
func addIdle(engine forwarder, s start) error {
	for i := range s.Idle {
		link, err := tun.Open(tun.Config{
			Name: fmt.Sprintf("idle%d", i), IO: s.Engine.IO,
			Netns: fmt.Sprintf("/proc/self/fd/%d", s.Ports[0].Descriptor),
		})
		if err != nil {
			return err
		}
		address := netip.AddrFrom4([4]byte{10, 201 + byte(i>>14), byte(i >> 6), byte(i<<2) + 1})
		addresses := []netip.Prefix{netip.PrefixFrom(address, 30)}
		if err := engine.add(uint32(len(s.Ports)+i+1), link, addresses); err != nil {
			return err
		}
	}
	return nil
}

func newForwarder(e plan.Engine) (forwarder, error) {
	switch e.Name {
	case plan.Umroute:
		return newUmroute(), nil
	case plan.Naive:
		return newNaive(), nil
	case plan.Netstack:
		return newNetstack()
	}
	return nil, fmt.Errorf("engine %s is no process", e)
}
