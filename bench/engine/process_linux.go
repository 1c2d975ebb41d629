package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"umroute/bench/plan"
	"umroute/bench/topology"
	"umroute/mgm"
	"umroute/tun/netns"
)

// RouterCommand is the first argument that a program starts itself with to be
// a router under test. A main function that sees it calls RunRouter.
const RouterCommand = "benchmark-router"

// firstNamespace is the descriptor of the first host's namespace in a router
// process; its connection comes before.
const (
	routerConn     = 3
	firstNamespace = 4
)

// answerTimeout bounds how long a router may take to answer. It takes
// milliseconds.
const answerTimeout = 20 * time.Second

// request is what a router process is asked, one line of JSON each. The first
// has Start.
type request struct {
	Start *start     `json:"start,omitempty"`
	Flows []mgm.Flow `json:"flows,omitempty"`
	Oifs  int        `json:"oifs,omitempty"`
}

// start says what to be. The hosts' namespaces are descriptors, in order.
type start struct {
	Engine plan.Engine `json:"engine"`
	Ports  []port      `json:"ports"`
	// Namespace is the descriptor of the router's own, 0 where the hosts' are
	// given.
	Namespace int `json:"namespace,omitempty"`
	// Idle is how many interfaces there are besides. They are in the sender's
	// namespace, where they disturb nobody.
	Idle int `json:"idle,omitempty"`
}

// answer is what it says.
type answer struct {
	Error   string            `json:"error,omitempty"`
	Dropped map[string]uint64 `json:"dropped,omitempty"`
	Allocs  uint64            `json:"allocs"`
}

// process is a router in a process of its own.
type process struct {
	command   *exec.Cmd
	complaint bytes.Buffer
	conn      *net.UnixConn
	read      *json.Decoder
}

// startProcess starts the router. It dies with the calling thread, which must
// be locked.
func startProcess(e plan.Engine, t *topology.Topology, idle int) (Router, error) {
	ours, theirs, err := connection()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	p := &process{conn: ours, read: json.NewDecoder(ours),
		command: &exec.Cmd{Path: "/proc/self/exe", Args: []string{os.Args[0], RouterCommand},
			ExtraFiles:  []*os.File{theirs},
			SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}}}
	// What it prints, it prints when it ends: see failure.
	p.command.Stderr = &p.complaint
	asked := start{Engine: e, Idle: idle}
	var namespaces []*netns.Namespace
	for i, h := range t.Hosts {
		// The router opens the devices itself, as the product does.
		asked.Ports = append(asked.Ports, port{
			Descriptor: firstNamespace + i, Addresses: h.Gateways, Peer: h.Addresses,
		})
		namespaces = append(namespaces, h.Namespace)
	}
	if t.Router != nil {
		asked.Namespace, namespaces = firstNamespace, []*netns.Namespace{t.Router}
	}
	inherited, err := open(namespaces)
	if err != nil {
		ours.Close()
		return nil, err
	}
	defer closeAll(inherited)
	p.command.ExtraFiles = append(p.command.ExtraFiles, inherited...)
	if err := p.command.Start(); err != nil {
		ours.Close()
		return nil, fmt.Errorf("start a router: %w", err)
	}
	theirs.Close() // so that the end of the process ends the connection
	if _, err := p.askFor(StartTime(idle), request{Start: &asked}); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// open opens namespaces for a process to inherit.
func open(namespaces []*netns.Namespace) ([]*os.File, error) {
	var files []*os.File
	for _, namespace := range namespaces {
		file, err := os.Open(namespace.Path())
		if err != nil {
			closeAll(files)
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		file.Close()
	}
}

// connection makes a pair of sockets, one of them to be inherited.
func connection() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	file := os.NewFile(uintptr(fds[0]), "router")
	defer file.Close()
	theirs = os.NewFile(uintptr(fds[1]), "benchmark")
	conn, err := net.FileConn(file)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("use a socket pair: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}

// Route implements Router.
func (p *process) Route(flows []mgm.Flow, oifs int) error {
	_, err := p.ask(request{Flows: flows, Oifs: oifs})
	return err
}

// Counters implements Router.
func (p *process) Counters() (Counters, error) {
	reply, err := p.ask(request{})
	return Counters{Dropped: reply.Dropped, Allocs: &reply.Allocs}, err
}

// Membership implements Router.
func (p *process) Membership() bool { return false }

// PID implements Router.
func (p *process) PID() int { return p.command.Process.Pid }

// ask sends one request and waits for its answer.
func (p *process) ask(asked request) (answer, error) { return p.askFor(0, asked) }

// askFor gives a request that takes long as much more time.
func (p *process) askFor(longer time.Duration, asked request) (answer, error) {
	if err := p.conn.SetDeadline(time.Now().Add(answerTimeout + longer)); err != nil {
		return answer{}, err
	}
	err := json.NewEncoder(p.conn).Encode(asked)
	var reply answer
	if err == nil {
		err = p.read.Decode(&reply)
	}
	switch {
	case err != nil:
		return answer{}, p.failure(err)
	case reply.Error != "":
		return answer{}, errors.New(reply.Error)
	}
	return reply, nil
}

// failure says why a router does not answer. What it printed when it ended
// says more than that it has.
func (p *process) failure(err error) error {
	p.Close()
	if text, _, _ := strings.Cut(strings.TrimSpace(p.complaint.String()), "\n"); text != "" {
		return fmt.Errorf("the router ended: %s", text)
	}
	return fmt.Errorf("ask the router: %w", err)
}

// Close implements Router.
func (p *process) Close() error {
	err := p.conn.Close()
	_ = p.command.Process.Kill() // it may have ended
	_ = p.command.Wait()         // its status says nothing
	return err
}
