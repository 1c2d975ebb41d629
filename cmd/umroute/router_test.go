package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"umroute/cmd/umroute/internal/control"
	"umroute/tun/netns"
)

// launch is how a router is started. The zero value has no interface.
type launch struct {
	config string     // YAML; "" for no file
	files  []*os.File // inherited, from descriptor 3 on
	attr   *syscall.SysProcAttr
	env    []string // besides this process's
	stdin  *os.File
	engine bool   // start it as runContainerAndRouter
	place  string // the network namespace that it starts in; "" is the tests'
}

// process is a router that runs as a process of its own.
type process struct {
	t       testing.TB
	cmd     *exec.Cmd
	log     routerLog
	place   string // the network namespace that it starts in; "" is the tests'
	socket  string
	control *control.Client
	ended   chan struct{} // closed once the process has been waited for
}

// startRouter runs a router with this configuration until the test ends, and
// returns once it is ready.
func startRouter(t testing.TB, config string) *process {
	t.Helper()
	return launch{config: config}.start(t)
}

// start starts the router and waits for its word that it is ready.
func (l launch) start(t testing.TB) *process {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "router.sock")
	p := &process{t: t, socket: socket, control: control.Dial(socket),
		ended: make(chan struct{}), place: l.place}
	p.cmd = command(t, "run", "--socket", socket)
	if l.config != "" {
		config := writeConfig(t, l.config)
		p.cmd.Args = append(p.cmd.Args, "-c", config)
		if l.engine {
			p.cmd.Args = []string{os.Args[0], asContainerEngine, config, socket}
		}
	}
	if l.stdin != nil {
		p.cmd.Stdin = l.stdin
	}
	p.cmd.Stderr = &p.log
	p.cmd.ExtraFiles = l.files
	p.cmd.SysProcAttr = l.attr
	p.cmd.Env = append(os.Environ(), l.env...)
	p.begin()
	p.awaitReady()
	return p
}

// writeConfig writes a configuration to a file of its own.
func writeConfig(t testing.TB, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "router.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// again starts a router that has ended once more, with the same arguments.
func (p *process) again() *process {
	p.t.Helper()
	next := &process{t: p.t, socket: p.socket, control: control.Dial(p.socket),
		ended: make(chan struct{})}
	next.cmd = command(p.t, p.cmd.Args[1:]...)
	next.cmd.Stderr = &next.log
	next.begin()
	next.awaitReady()
	return next
}

func (p *process) awaitReady() {
	p.t.Helper()
	eventually(p.t, "the router is ready", func() bool {
		if p.hasEnded() {
			p.t.Fatalf("the router ended: %v", p.cmd.ProcessState)
		}
		return p.log.contains("msg=ready")
	})
}

// begin starts the process; it ends with the test, which shows its log if it
// has failed.
func (p *process) begin() {
	p.t.Helper()
	if err := netns.Start(p.place, p.cmd); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState tells what is of interest
		close(p.ended)
	}()
	p.t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.ended
		if p.t.Failed() {
			p.t.Logf("the router's log:\n%s", p.log.String())
		}
	})
}

// command is this program as umroute.
func command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Args = append([]string{programName}, args...)
	return cmd
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// signal sends a signal to the router.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%v: %v", s, err)
	}
}

// kill ends the router without a chance to clean up.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	p.wait()
}

// stop ends the router as a service manager does. A data race that the race
// detector has seen makes the exit status differ from 0 as well.
func (p *process) stop() (took time.Duration) {
	p.t.Helper()
	begin := time.Now()
	p.signal(syscall.SIGTERM)
	p.wait()
	if code := p.cmd.ProcessState.ExitCode(); code != statusDone {
		p.t.Errorf("exit status %d (%v)", code, p.cmd.ProcessState)
	}
	return time.Since(begin)
}

func (p *process) wait() {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("the router has not ended after %v", patience)
	}
}

// status reads a line of /proc/PID/status, such as VmRSS or CapEff.
func (p *process) status(key string) string {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, key+":"); found {
			return strings.TrimSpace(value)
		}
	}
	p.t.Fatalf("process status has no %s", key)
	return ""
}

// run runs another umroute command to its end.
func run(t testing.TB, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := command(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, exit := errors.AsType[*exec.ExitError](err); err != nil && !exit {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// routerLog keeps what a router writes to standard error.
type routerLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes a piece of the log.
func (l *routerLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String is the log so far.
func (l *routerLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *routerLog) contains(text string) bool { return strings.Contains(l.String(), text) }
