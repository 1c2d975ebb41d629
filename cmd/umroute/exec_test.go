package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"umroute/bench/load"
)

// TestExec has a user without any privilege run commands that need a network
// with multicast.
//
//	exec umroute send ──mc0── router ──mc0── exec umroute recv
//	nobody                    nobody         nobody
func TestExec(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	p := u.startRouter()
	for _, text := range []string{"239.1.1.1:5001", "[ff15::1:1]:5002"} {
		group := netip.MustParseAddrPort(text)
		const count = "20"
		flags := []string{"--group", group.Addr().String(), "--port", fmt.Sprint(group.Port()),
			"--count", count, "--json"}
		receiver := u.exec(p, "recv", nil, append([]string{u.program, "recv"}, flags...)...)
		p.awaitJoined("recv", group.Addr())
		sender := u.exec(p, "send", nil, append([]string{u.program, "send", "--rate", "200"},
			flags...)...)
		sender.wait()
		receiver.wait()
		var report load.ReceiveReport
		if err := json.Unmarshal([]byte(receiver.log.String()), &report); err != nil {
			t.Fatalf("recv --json: %v: %s", err, receiver.log.String())
		}
		if fmt.Sprint(report.Received) != count || report.Lost != 0 {
			t.Errorf("received %+v", report)
		}
		p.awaitGone("recv")
		p.awaitGone("send")
	}
	p.stop()
}

// exec has the user run a command attached to a router as the interface name.
func (u *user) exec(p *process, name string, flags []string, args ...string) *process {
	u.t.Helper()
	inner := &process{t: u.t, ended: make(chan struct{})}
	inner.cmd = u.command(u.program, slices.Concat([]string{"exec", "--socket", p.socket,
		"--as", name}, flags, []string{"--"}, args)...)
	inner.cmd.Stdout, inner.cmd.Stderr = &inner.log, u.t.Output()
	inner.begin()
	return inner
}

// TestExecStatus looks at how commands end, and at what they have.
func TestExecStatus(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	p := u.startRouter()
	tests := []struct {
		name   string
		flags  []string
		args   []string
		status int
		want   string
	}{
		{"done", nil, []string{"true"}, 0, ""},
		{"status", nil, []string{"sh", "-c", "exit 7"}, 7, ""},
		{"signal", nil, []string{"sh", "-c", "kill -9 $$"}, 128 + 9, ""},
		{"absent", nil, []string{"no-such-command"}, statusFailed, ""},
		{"user", nil, []string{"id", "-u"}, 0, fmt.Sprint(nobody)},
		{"root", []string{"--root"}, []string{"id", "-u"}, 0, "0"},
		{"device", []string{"--device", "mc7", "--address", "10.1.2.1/24",
			"--peer-address", "10.1.2.3/24"},
			[]string{"ip", "-br", "addr", "show", "mc7"}, 0, "10.1.2.3/24"},
		{"loopback", nil, []string{"ip", "-br", "addr", "show", "lo"}, 0, "127.0.0.1/8"},
		{"default addresses", nil, []string{"ip", "route", "get", "239.1.1.1"}, 0, "src 10.209."},
		{"wrong address", []string{"--address", "10.1.2.1"}, []string{"true"}, statusUsage, ""},
	}
	for _, test := range tests {
		command := u.exec(p, "it", test.flags, test.args...)
		command.wait()
		if code := command.cmd.ProcessState.ExitCode(); code != test.status {
			t.Errorf("%s: exit status %d, want %d", test.name, code, test.status)
		}
		if !strings.Contains(command.log.String(), test.want) {
			t.Errorf("%s: %s", test.name, command.log.String())
		}
		p.awaitGone("it")
	}
	p.stop()
}

// TestExecSignal ends commands from outside.
func TestExecSignal(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	p := u.startRouter()
	const trap = `trap 'exit 5' TERM INT; echo ready; while true; do sleep 0.05; done`
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		command := u.exec(p, "it", nil, "sh", "-c", trap)
		eventually(t, "the command runs", func() bool { return command.log.contains("ready") })
		command.signal(signal)
		command.wait()
		if code := command.cmd.ProcessState.ExitCode(); code != 5 {
			t.Errorf("%v: exit status %d", signal, code)
		}
		p.awaitGone("it")
	}
	command := u.exec(p, "it", nil, "sh", "-c", trap)
	eventually(t, "the command runs", func() bool { return command.log.contains("ready") })
	command.kill()
	p.awaitGone("it")
	p.stop()
}

// TestExecContainer has bubblewrap start in a namespace that is attached.
func TestExecContainer(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bwrap"); err != nil {
		t.Skip(err)
	}
	u := newUser(t)
	p := u.startRouter()
	box := u.exec(p, "box", nil, "bwrap", "--dev-bind", "/", "/", u.program, "recv",
		"--group", "239.1.1.1", "--port", "5001", "--count", "1")
	p.awaitJoined("box", netip.MustParseAddr("239.1.1.1"))
	sender := u.exec(p, "sender", nil, u.program, "send", "--group", "239.1.1.1", "--port", "5001",
		"--count", "20", "--rate", "50")
	sender.wait()
	box.wait()
	if code := box.cmd.ProcessState.ExitCode(); code != statusDone {
		t.Errorf("exit status %d", code)
	}
	p.stop()
	if stdout, stderr, status := run(t, "exec", "--socket", p.socket, "true"); status == statusDone {
		t.Errorf("without a router: %s%s", stdout, stderr)
	}
	if left, err := filepath.Glob(filepath.Dir(p.socket) + "/*.sock"); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
}
