package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"runtime"
	"time"

	"umroute/bench/engine"
	"umroute/bench/flood"
	"umroute/bench/meter"
	"umroute/bench/plan"
	"umroute/bench/result"
	"umroute/bench/topology"
	"umroute/mgm"
	"umroute/tun/netns"
)

// labCommand is the first argument that a program starts itself with to be the
// lab.
const labCommand = "benchmark-lab"

// labConn is the descriptor of the lab's socket to its parent.
const labConn = 3

// port is where the sinks listen.
const port = 5000

// IsHelper says whether a program was started by this package, or what it
// runs, to be something else than itself: its first argument says so.
func IsHelper(argument string) bool {
	return argument == labCommand || argument == engine.RouterCommand
}

// RunHelper is that something. It returns the exit status.
func RunHelper(argument string) int {
	if argument == engine.RouterCommand {
		return engine.RunRouter()
	}
	// Routers end with the thread that starts them.
	runtime.LockOSThread()
	if err := serveLab(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// lab holds the engines that are prepared. All of them stay until the end: an
// idle one costs nothing, and starting takes longer than a sample.
type lab struct {
	meter  *meter.Meter
	stages map[plan.Engine]*stage
}

// stage is one engine with its hosts.
type stage struct {
	topology *topology.Topology
	router   engine.Router // ends before its topology does
}

func serveLab() error {
	file := os.NewFile(labConn, "benchmark")
	conn, err := net.FileConn(file)
	if err != nil {
		return fmt.Errorf("reach the benchmark: %w", err)
	}
	file.Close()
	defer conn.Close()
	// The meter needs it. Without namespaces of its own the lab finds it up.
	if err := netns.RaiseLoopback(); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	m, err := meter.Open()
	if err != nil {
		return err
	}
	l := &lab{meter: m, stages: make(map[plan.Engine]*stage)}
	defer l.close()
	requests, answers := json.NewDecoder(conn), json.NewEncoder(conn)
	for {
		var asked request
		if err := requests.Decode(&asked); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		var reply answer
		switch {
		case asked.Prepare != nil:
			err = l.prepare(*asked.Prepare)
		case asked.Measure != nil:
			reply.Sample, err = l.measure(*asked.Measure)
		default:
			err = errors.New("empty request")
		}
		if err != nil {
			reply.Error = err.Error()
		}
		if err := answers.Encode(reply); err != nil {
			return nil // nobody waits for it any more
		}
	}
}

func (l *lab) close() {
	for _, s := range l.stages {
		s.router.Close()
		s.topology.Close()
	}
}

// prepare starts an engine.
func (l *lab) prepare(p preparation) error {
	if p.Engine.Name == plan.Memory {
		return nil // it needs nothing
	}
	t, router, err := engine.Start(p.Engine, p.Receivers)
	if err != nil {
		return err
	}
	s := &stage{t, router}
	err = s.prove(false)
	if err == nil && p.IPv6 {
		err = s.prove(true)
	}
	if err != nil {
		router.Close()
		t.Close()
		return err
	}
	l.stages[p.Engine] = s
	return nil
}

// traffic is what a measurement drives: a flood, or the memory engine.
type traffic interface {
	Start()
	Counters() flood.Counters
	Stop() (flood.Report, error)
}

func (l *lab) measure(m measurement) (*result.Sample, error) {
	if m.Engine.Name == plan.Memory {
		loop, err := engine.NewLoop(m.Row)
		if err != nil {
			return nil, err
		}
		return l.sample(m, loop, 0)
	}
	s := l.stages[m.Engine]
	if s == nil {
		return nil, fmt.Errorf("engine %s is not prepared", m.Engine)
	}
	// Both around the whole run: to ask in the middle would cost the router time.
	before, err := s.dropped()
	if err != nil {
		return nil, err
	}
	f, err := s.flood(m.Row)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sample, err := l.sample(m, f, s.router.PID())
	if err != nil {
		return nil, err
	}
	after, err := s.dropped()
	if err != nil {
		return nil, err
	}
	sample.Dropped = difference(after, before)
	if n := sample.Traffic.Overflows; n > 0 {
		sample.Dropped["in receivers' buffers"] = n
	}
	return sample, nil
}

// dropped counts what was lost so far before and in the router.
func (s *stage) dropped() (map[string]uint64, error) {
	byRouter, err := s.router.Dropped()
	if err != nil {
		return nil, err
	}
	all := make(map[string]uint64)
	for reason, n := range byRouter {
		all["by the router: "+reason] = n
	}
	all["before the router, for want of room"], err = s.topology.Sender().Refused()
	return all, err
}

// flood routes the flows of a row and opens its sockets.
func (s *stage) flood(r plan.Row) (*flood.Flood, error) {
	c := flood.Config{
		Port: port, Source: s.topology.Sender().Address(r.IPv6), Size: r.Size, Rate: r.Rate,
		Segment: r.Sender == plan.Segment, GRO: r.Receiver == plan.GRO,
	}
	var flows []mgm.Flow
	for i := range r.Flows {
		group := engine.Group(i, r.IPv6)
		c.Groups = append(c.Groups, group)
		flows = append(flows, mgm.Flow{Source: c.Source, Group: group})
	}
	if n := len(s.topology.Receivers()); r.Oifs > n {
		return nil, fmt.Errorf("%d receivers of %d", r.Oifs, n)
	}
	if err := s.router.Route(flows, r.Oifs); err != nil {
		return nil, err
	}
	return flood.New(c, s.topology, r.Oifs)
}

// sample measures the time between warming up and slowing down.
func (l *lab) sample(m measurement, t traffic, router int) (*result.Sample, error) {
	t.Start()
	time.Sleep(m.Warmup)
	// Counters and clocks are read together, so that an interval that is longer
	// than it should be, on a busy machine, is so for both.
	from := t.Counters()
	earlier, err := l.meter.Read(router)
	time.Sleep(m.Duration)
	to := t.Counters()
	later, err2 := l.meter.Read(router)
	report, err3 := t.Stop()
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, err
	}
	return &result.Sample{
		Engine: m.Engine, Row: m.Row,
		Interval: flood.Counters{
			Sent: to.Sent - from.Sent, Delivered: to.Delivered - from.Delivered,
		},
		Usage: later.Since(earlier), Traffic: report,
	}, nil
}

// difference gives what was counted in between, without zeros.
func difference(after, before map[string]uint64) map[string]uint64 {
	d := make(map[string]uint64)
	for reason, n := range after {
		if n > before[reason] {
			d[reason] = n - before[reason]
		}
	}
	return d
}
