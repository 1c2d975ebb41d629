package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"umroute/tun"
	"umroute/tun/netns"
)

// HostsCommand is the first argument that a program starts itself with to be
// the hosts of the demonstration. A main function that sees it calls RunHosts.
const HostsCommand = "demonstrate-hosts"

// hostsConn is the descriptor of RunHosts' socket to its parent.
const hostsConn = 3

// request is what the demonstration asks its hosts, one line of JSON each.
type request struct {
	Start bool  `json:"start,omitempty"`
	Step  *step `json:"step,omitempty"`
}

// answer is what the hosts say to each request.
type answer struct {
	Error string `json:"error,omitempty"`
	Tally tally  `json:"tally"`
}

// RunHosts makes the hosts of the demonstration in network namespaces of its
// own, hands their links to the parent process, and does what that asks until
// it closes the connection. It returns the exit status.
func RunHosts() int {
	if err := serveHosts(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serveHosts() error {
	file := os.NewFile(hostsConn, "parent")
	generic, err := net.FileConn(file)
	if err != nil {
		return fmt.Errorf("reach the demonstration: %w", err)
	}
	file.Close()
	conn, ok := generic.(*net.UnixConn)
	if !ok {
		return errors.New("reach the demonstration: no unix socket")
	}
	defer conn.Close()
	network, links, err := openLinux()
	if err != nil {
		return err
	}
	hosts, err := newStage(network)
	if err != nil {
		return err
	}
	for _, link := range links {
		if err := tun.Send(conn, link); err != nil {
			return err
		}
	}
	return answerRequests(conn, hosts)
}

func answerRequests(conn io.ReadWriter, hosts lab) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	requests, answers := json.NewDecoder(conn), json.NewEncoder(conn)
	for {
		var asked request
		if err := requests.Decode(&asked); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		var reply answer
		err := obey(ctx, hosts, asked)
		if err == nil {
			reply.Tally, err = hosts.tally(ctx)
		}
		if err != nil {
			reply.Error = err.Error()
		}
		if err := answers.Encode(reply); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}

func obey(ctx context.Context, hosts lab, asked request) error {
	switch {
	case asked.Start:
		return hosts.start(ctx)
	case asked.Step != nil:
		return hosts.do(ctx, *asked.Step)
	}
	return nil
}

// process is hosts in a process of their own.
type process struct {
	command   *exec.Cmd
	complaint bytes.Buffer
	links     []*tun.Link

	mu   sync.Mutex // one request at a time
	conn *net.UnixConn
	read *json.Decoder
}

// answerTimeout bounds how long the hosts may take to answer. They take
// microseconds.
const answerTimeout = 10 * time.Second

// startHosts starts the hosts in user and network namespaces of their own and
// takes over their links. The calling goroutine must be locked to its thread
// until close: the kernel ends the hosts with the thread that started them.
func startHosts() (*process, error) {
	ours, theirs, err := connection()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	p := &process{conn: ours, read: json.NewDecoder(ours),
		command: &exec.Cmd{Path: "/proc/self/exe", Args: []string{os.Args[0], HostsCommand}}}
	p.command.Stderr = &p.complaint
	p.command.ExtraFiles = []*os.File{theirs}
	if err := netns.Isolate(p.command, false); err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	if err := p.command.Start(); err != nil {
		ours.Close()
		return nil, fmt.Errorf("make a user namespace: %w", err)
	}
	theirs.Close()
	for range hosts() {
		link, err := p.receive()
		if err != nil {
			p.close()
			return nil, err
		}
		p.links = append(p.links, link)
	}
	return p, nil
}

// receive takes one link. If none comes, what the hosts printed says why.
func (p *process) receive() (*tun.Link, error) {
	if err := p.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, err
	}
	link, err := tun.Receive(p.conn, tun.Config{})
	if err == nil {
		return link, nil
	}
	// Its end makes the complaint complete.
	p.conn.Close()
	_ = p.command.Wait()
	if text := strings.TrimSpace(p.complaint.String()); text != "" {
		return nil, errors.New(text)
	}
	return nil, err
}

func connection() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	file := os.NewFile(uintptr(fds[0]), "hosts")
	defer file.Close()
	theirs = os.NewFile(uintptr(fds[1]), "demonstration")
	conn, err := net.FileConn(file)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("use a socket pair: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}

func (p *process) start(context.Context) error {
	_, err := p.ask(request{Start: true})
	return err
}

func (p *process) do(_ context.Context, s step) error {
	_, err := p.ask(request{Step: &s})
	return err
}

func (p *process) tally(context.Context) (tally, error) { return p.ask(request{}) }

func (p *process) ask(asked request) (tally, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return tally{}, err
	}
	if err := json.NewEncoder(p.conn).Encode(asked); err != nil {
		return tally{}, fmt.Errorf("ask the hosts: %w", err)
	}
	var reply answer
	if err := p.read.Decode(&reply); err != nil {
		return tally{}, fmt.Errorf("ask the hosts: %w", err)
	}
	if reply.Error != "" {
		return tally{}, errors.New(reply.Error)
	}
	return reply.Tally, nil
}

// close ends the hosts: they live as long as the connection.
func (p *process) close() {
	p.conn.Close()
	_ = p.command.Wait() // its status says no more than what was asked
	runtime.KeepAlive(p)
}
