package engine

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"umroute/bench/plan"
	"umroute/bench/topology"
	"umroute/mgm"
)

// external is a router from outside. Its command is run by sh in a network
// namespace that holds its interfaces, up and with addresses, and in user and
// PID namespaces where it is root and which end with it. It reads lines:
//
//	interface port0 10.200.0.1/24 fd00:c8::1/64    one for each; port0 leads to the sender
//	start
//	route 10.200.0.2 239.7.0.1 port0 port1 port2   source, group, input, outputs
//	commit
//
// After start it prints a line "ready" when it can take routes; after commit, a
// line "ready" when it forwards by those that came since, which replace earlier
// ones of the same source and group. What it says on the line after start is
// what it can do besides: "ready membership" that it asks the hosts by IGMP and
// MLD, and needs no routes; "ready unicast" that it forwards that, too. It ends
// on SIGTERM; on standard error it may print what it wants. TMPDIR names a
// directory for files that need not be removed.
type external struct {
	*program
	abilities []string
	ports     int
}

func startExternal(e plan.Engine, t *topology.Topology) (Router, error) {
	command := exec.Command("/bin/sh", "-c", e.Command)
	command.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL, Cloneflags: unix.CLONE_NEWPID, Setpgid: true,
	}
	// Files of its own go where they end with the lab.
	command.Env = append(os.Environ(), "TMPDIR=/run")
	p, err := startProgram(command, true, t.Router.Start)
	if err != nil {
		return nil, err
	}
	x := &external{program: p, ports: len(t.Hosts)}
	var lines strings.Builder
	for i, h := range t.Hosts {
		fmt.Fprintf(&lines, "interface %s %s %s\n", topology.Port(i), h.Gateways[0], h.Gateways[1])
	}
	ready, err := x.say(lines.String() + "start\n")
	if err != nil {
		p.Close()
		return nil, err
	}
	x.abilities = strings.Fields(ready)[1:]
	if slices.Contains(x.abilities, "unicast") {
		if err := t.Router.Do(forwardUnicast); err != nil {
			p.Close()
			return nil, err
		}
	}
	return x, nil
}

// say writes lines and waits for "ready".
func (x *external) say(lines string) (string, error) {
	if _, err := x.input.Write([]byte(lines)); err != nil {
		// It no longer reads, most likely since it has ended: that says why.
		if _, dead := x.await("ready", false); dead != nil {
			return "", dead
		}
		return "", fmt.Errorf("tell the router: %w", err)
	}
	return x.await("ready", false)
}

// Route implements Router.
func (x *external) Route(flows []mgm.Flow, oifs int) error {
	if x.Membership() {
		return x.alive()
	}
	var lines strings.Builder
	for _, f := range flows {
		fmt.Fprintf(&lines, "route %s %s %s", f.Source, f.Group, topology.Port(0))
		for i := range oifs {
			fmt.Fprintf(&lines, " %s", topology.Port(i+1))
		}
		lines.WriteByte('\n')
	}
	_, err := x.say(lines.String() + "commit\n")
	return err
}

// Counters implements Router.
func (x *external) Counters() (Counters, error) { return Counters{}, x.alive() }

// Membership implements Router.
func (x *external) Membership() bool { return slices.Contains(x.abilities, "membership") }

// PID implements Router: whatever does the work is not the shell.
func (x *external) PID() int { return 0 }
