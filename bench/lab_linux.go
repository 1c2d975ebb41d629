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
	"slices"

	"umroute/bench/engine"
	"umroute/bench/meter"
	"umroute/bench/plan"
	"umroute/bench/result"
	"umroute/tun/netns"
)

// labCommand is the first argument that a program starts itself with to be the
// lab.
const labCommand = "benchmark-lab"

// isolatedLab is the second, where it has namespaces of its own.
const isolatedLab = "isolated"

// labConn is the descriptor of the lab's socket to its parent.
const labConn = 3

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
	if err := serveLab(slices.Contains(os.Args, isolatedLab)); err != nil {
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

func serveLab(isolated bool) error {
	file := os.NewFile(labConn, "benchmark")
	conn, err := net.FileConn(file)
	if err != nil {
		return fmt.Errorf("reach the benchmark: %w", err)
	}
	file.Close()
	defer conn.Close()
	// The meter needs loopback. Without namespaces of its own the lab finds it up.
	if isolated {
		err = netns.Furnish()
	} else if err = netns.RaiseLoopback(); errors.Is(err, fs.ErrPermission) {
		err = nil
	}
	if err != nil {
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
			reply.Link, err = l.prepare(*asked.Prepare)
		case asked.Measure != nil:
			reply.Samples, err = l.measure(*asked.Measure)
			reply.Ended = err != nil && l.ended(asked.Measure.Engine)
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
		s.close()
	}
}

// ended says whether an engine answers no more, and forgets it.
func (l *lab) ended(e plan.Engine) bool {
	s := l.stages[e]
	if s == nil {
		return false
	}
	if _, err := s.router.Counters(); err == nil {
		return false
	}
	s.close()
	delete(l.stages, e)
	return true
}

// prepare starts an engine.
func (l *lab) prepare(p preparation) (result.LinkFacts, error) {
	if p.Engine.Name == plan.Memory {
		return result.LinkFacts{}, nil // it needs nothing
	}
	t, router, err := engine.Start(p.Engine, p.Receivers, p.Interfaces)
	if err != nil {
		return result.LinkFacts{}, err
	}
	s := &stage{engine: p.Engine, topology: t, router: router}
	err = s.prove(false)
	if err == nil && p.IPv6 {
		err = s.prove(true)
	}
	var facts result.LinkFacts
	if err == nil {
		facts, err = linkFacts(t.Sender())
	}
	if err != nil {
		s.close()
		return result.LinkFacts{}, err
	}
	s.setWindow(facts)
	l.stages[p.Engine] = s
	return facts, nil
}
