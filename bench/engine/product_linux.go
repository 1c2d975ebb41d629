package engine

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"umroute/bench/plan"
	"umroute/bench/topology"
	"umroute/mgm"
	"umroute/tun/netns"
)

// Membership says how a router with membership is to ask for it. The zero value
// is the router's own choice.
type Membership struct {
	Protocol  string // one of package plan's
	FastLeave bool
}

// product is the whole router, as "umroute run" runs it: this program once more,
// which must be umroute, therefore.
type product struct{ *program }

// StartRouter makes a topology and starts the engine in it, which must know
// membership. Close both, the router first.
func StartRouter(e plan.Engine, receivers int, m Membership) (*topology.Topology, Router, error) {
	if e.External() {
		return Start(e, receivers, 0)
	}
	t, err := topology.New(receivers)
	if err != nil {
		return nil, nil, err
	}
	return withRouter(t, func() (Router, error) { return startProduct(t, m) })
}

func startProduct(t *topology.Topology, m Membership) (Router, error) {
	dir, err := os.MkdirTemp("/run", "umroute-bench-")
	if err != nil {
		return nil, fmt.Errorf("make room for the router's socket: %w", err)
	}
	// The lab's own /run, which ends with it.
	command := &exec.Cmd{Path: "/proc/self/exe",
		Args:        []string{"umroute", "run", "-c", "/dev/stdin", "--socket", dir + "/socket"},
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}}
	var namespaces []*netns.Namespace
	for _, h := range t.Hosts {
		namespaces = append(namespaces, h.Namespace)
	}
	if command.ExtraFiles, err = open(namespaces); err != nil {
		return nil, err
	}
	defer closeAll(command.ExtraFiles)
	p, err := startProgram(command, false, (*exec.Cmd).Start)
	if err != nil {
		return nil, err
	}
	if _, err = p.input.Write([]byte(configuration(t, m))); err == nil {
		p.input.Close()
		_, err = p.await("msg=ready", true)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return product{p}, nil
}

// configuration is what "umroute run" reads.
func configuration(t *topology.Topology, m Membership) string {
	var b strings.Builder
	b.WriteString("name: bench\nunicast: {forward: true}\ninterfaces:\n")
	for i, h := range t.Hosts {
		const firstInherited = 3
		fmt.Fprintf(&b, "  port%d:\n    netns: /proc/self/fd/%d\n    device: %s\n", i,
			firstInherited+i, topology.Device)
		fmt.Fprintf(&b, "    addresses: %s\n    peer-addresses: %s\n", list(h.Gateways),
			list(h.Addresses))
		versions := map[string]string{plan.IGMPv2: "igmp: {version: 2", plan.IGMPv3: "igmp: {version: 3",
			plan.MLDv1: "mld: {version: 1", plan.MLDv2: "mld: {version: 2"}
		if asks, known := versions[m.Protocol]; known {
			fmt.Fprintf(&b, "    %s, fast-leave: %v}\n", asks, m.FastLeave)
		}
	}
	return b.String()
}

func list(prefixes []netip.Prefix) string {
	var quoted []string
	for _, p := range prefixes {
		quoted = append(quoted, fmt.Sprintf("%q", p))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// Route implements Router: the hosts say what they want.
func (p product) Route([]mgm.Flow, int) error { return p.alive() }

// Counters implements Router.
func (p product) Counters() (Counters, error) { return Counters{}, p.alive() }

// Membership implements Router.
func (p product) Membership() bool { return true }
