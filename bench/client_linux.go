package bench

import (
	"bytes"
	"context"
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

	"umroute/bench/engine"
	"umroute/bench/plan"
	"umroute/bench/result"
	"umroute/tun/netns"
)

// answerTimeout bounds how long the lab may take for a request, besides the
// time that the request is about. Proving a link that does not work takes some
// seconds.
const answerTimeout = 60 * time.Second

// client is the lab as its parent sees it.
type client struct {
	command   *exec.Cmd
	complaint bytes.Buffer
	conn      *net.UnixConn
	read      *json.Decoder
}

// startLab starts the lab in user and network namespaces of its own. The
// calling goroutine must be locked to its thread until close: the kernel ends
// the lab with the thread that started it.
func startLab() (*client, error) {
	c, err := newClient()
	if err != nil {
		return nil, err
	}
	c.command.Args = append(c.command.Args, isolatedLab)
	if err := netns.Isolate(c.command, false); err != nil {
		c.abandon()
		return nil, err
	}
	if err := c.start(); err != nil {
		return nil, fmt.Errorf("make user and network namespaces: %w", err)
	}
	return c, nil
}

// startPlainLab starts it with the rights of this process and no more.
func startPlainLab() (*client, error) {
	c, err := newClient()
	if err != nil {
		return nil, err
	}
	c.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.start(); err != nil {
		return nil, fmt.Errorf("start the lab: %w", err)
	}
	return c, nil
}

func newClient() (*client, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket pair: %w", err)
	}
	file := os.NewFile(uintptr(fds[0]), "lab")
	defer file.Close()
	theirs := os.NewFile(uintptr(fds[1]), "benchmark")
	conn, err := net.FileConn(file)
	if err != nil {
		theirs.Close()
		return nil, fmt.Errorf("use a socket pair: %w", err)
	}
	c := &client{conn: conn.(*net.UnixConn), read: json.NewDecoder(conn), command: &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{os.Args[0], labCommand},
		ExtraFiles: []*os.File{theirs},
	}}
	// Nothing of it reaches the user's terminal but through ask.
	c.command.Stderr = &c.complaint
	return c, nil
}

func (c *client) start() error {
	// Ctrl-C is for the parent, which prints what there is.
	c.command.SysProcAttr.Setpgid = true
	if err := c.command.Start(); err != nil {
		c.abandon()
		return err
	}
	return c.command.ExtraFiles[0].Close()
}

// abandon gives up a lab that was not started.
func (c *client) abandon() {
	c.conn.Close()
	c.command.ExtraFiles[0].Close()
}

func (c *client) prepare(ctx context.Context, p preparation) (result.LinkFacts, error) {
	reply, err := c.ask(ctx, request{Prepare: &p}, engine.StartTime(p.Interfaces))
	return reply.Link, err
}

func (c *client) measure(ctx context.Context, m measurement) ([]result.Sample, error) {
	reply, err := c.ask(ctx, request{Measure: &m}, m.longest())
	if err == nil && len(reply.Samples) == 0 {
		err = errors.New("the lab gave no sample")
	}
	return reply.Samples, err
}

// longest is how long the lab may work on a measurement.
func (m measurement) longest() time.Duration {
	switch {
	case m.Row.Joins(), m.Row.Test == plan.Capacity:
		return 5 * time.Minute
	case m.Row.Sender == plan.Iperf:
		return m.Duration + 30*time.Second
	case m.Row.Find != "":
		const trials = 100 // of a search, at the most
		return trials * (m.Warmup + m.Duration + time.Second)
	}
	return m.Warmup + m.Duration
}

// errEnded marks the end of an engine: it can measure nothing more.
var errEnded = errors.New("the engine ended")

// errLab marks the end of the lab: nothing more can be measured.
var errLab = errors.New("the lab ended")

// ask sends one request and waits for the answer, or for ctx, which leaves the
// lab of no further use.
func (c *client) ask(ctx context.Context, asked request, takes time.Duration) (answer, error) {
	// The lab finds its connection closed when it answers, and ends.
	defer context.AfterFunc(ctx, func() { c.conn.Close() })()
	if err := c.conn.SetDeadline(time.Now().Add(takes + answerTimeout)); err != nil {
		return answer{}, errors.Join(ctx.Err(), err)
	}
	err := json.NewEncoder(c.conn).Encode(asked)
	var reply answer
	if err == nil {
		err = c.read.Decode(&reply)
	}
	switch {
	case ctx.Err() != nil:
		return answer{}, ctx.Err()
	case err != nil:
		c.close()
		if text := strings.TrimSpace(c.complaint.String()); text != "" {
			return answer{}, fmt.Errorf("%w: %s", errLab, text)
		}
		return answer{}, fmt.Errorf("%w: %w", errLab, err)
	case reply.Ended:
		return reply, fmt.Errorf("%w: %s", errEnded, reply.Error)
	case reply.Error != "":
		return reply, errors.New(reply.Error)
	}
	return reply, nil
}

// close ends the lab and all that it has started.
func (c *client) close() {
	c.conn.Close()
	_ = c.command.Process.Kill() // it may have ended
	_ = c.command.Wait()         // its status says nothing
}
