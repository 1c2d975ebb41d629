package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Engine is one way to forward.
type Engine struct {
	Name string `json:"name"` // one of the names below
	IO   string `json:"io"`   // how packets are moved; "" where there is no choice
	Link string `json:"link"` // what leads to the hosts
	// Command is what runs an engine from outside, by the shell; see package
	// engine for what it is told.
	Command string `json:"command,omitempty"`
}

// External says whether the engine is a command from outside.
func (e Engine) External() bool { return e.Command != "" }

// Bears says why a router cannot have as many idle interfaces besides.
func (e Engine) Bears(idle int) error {
	switch {
	case idle == 0 || e.Name == Umroute || e.Name == Naive || e.Name == Netstack:
		return nil
	case e.Name == Kernel:
		return fmt.Errorf("the kernel forwards between %d interfaces at the most", KernelOifs+1)
	}
	return fmt.Errorf("engine %s has the interfaces of its hosts, and no others", e.Name)
}

// The engines.
const (
	Umroute  = "umroute"  // package routing over TUN devices
	Kernel   = "kernel"   // the kernel's own multicast forwarding, over veth pairs
	Naive    = "naive"    // one packet a call, over TUN devices as package water has them
	Memory   = "memory"   // package routing alone, over devices that are not there
	Netstack = "netstack" // gVisor's own multicast forwarding, over TUN devices
	Relay    = "relay"    // a UDP socket for each output, over veth pairs: no router
	Router   = "router"   // all of "umroute run", with membership and unicast
)

// The links.
const (
	LinkTUN  = "tun"
	LinkVeth = "veth"
	LinkNone = "none"
)

// String is how --engines names it: "umroute/vectored", "kernel".
func (e Engine) String() string {
	if e.IO == "" || e.Name != Umroute { // the others have no choice
		return e.Name
	}
	return e.Name + "/" + e.IO
}

// Engines returns all engines there are. The kernel is the first, as the
// others are compared with it.
func Engines() []Engine {
	return []Engine{
		{Name: Kernel, IO: "mfc", Link: LinkVeth},
		{Name: Umroute, IO: "vectored", Link: LinkTUN},
		{Name: Umroute, IO: "uring", Link: LinkTUN},
		{Name: Umroute, IO: "plain", Link: LinkTUN},
		{Name: Naive, IO: "plain", Link: LinkTUN},
		{Name: Netstack, IO: "vectored", Link: LinkTUN},
		{Name: Relay, IO: "socket", Link: LinkVeth},
		{Name: Router, IO: "auto", Link: LinkTUN},
		{Name: Memory, IO: "memory", Link: LinkNone},
	}
}

// DefaultEngines returns those that a run measures unless told otherwise.
func DefaultEngines() []Engine {
	engines, err := SelectEngines("kernel", "umroute/vectored", "naive")
	if err != nil {
		panic(err) // the names are those above
	}
	return engines
}

// ExternalEngine is a command, which the shell runs, as an engine.
func ExternalEngine(name, command string) (Engine, error) {
	if name == "" || command == "" || strings.ContainsAny(name, " ,/=\t\n") {
		return Engine{}, fmt.Errorf("engine %q with command %q is not possible", name, command)
	}
	for _, known := range Engines() {
		if name == known.Name {
			return Engine{}, fmt.Errorf("engine %s is there already", name)
		}
	}
	return Engine{Name: name, IO: "external", Link: LinkVeth, Command: command}, nil
}

// SelectEngines returns the engines that have one of these names, in the order
// of Engines; a name without its "/io" stands for all of that name.
func SelectEngines(names ...string) ([]Engine, error) {
	wanted := make(map[Engine]bool)
	for _, name := range names {
		found := false
		for _, e := range Engines() {
			if name == e.String() || name == e.Name {
				wanted[e], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("no engine %q: there are %s", name, engineNames())
		}
	}
	var selected []Engine
	for _, e := range Engines() {
		if wanted[e] {
			selected = append(selected, e)
		}
	}
	return selected, nil
}

func engineNames() string {
	var names []string
	for _, e := range Engines() {
		names = append(names, e.String())
	}
	return strings.Join(names, ", ")
}

// EnginesFor returns those that are measured by tests unless told otherwise:
// the default ones that can do one of their rows at least, and the whole router
// where these cannot.
func EnginesFor(tests ...string) []Engine {
	var all []Engine
	add := func(engines []Engine) {
		for _, e := range engines {
			fits := slices.ContainsFunc(Tests(), func(t Test) bool {
				return slices.Contains(tests, t.Name) &&
					slices.ContainsFunc(t.Rows(), func(r Row) bool { return r.Fits(e) == nil })
			})
			if fits && !slices.Contains(all, e) {
				all = append(all, e)
			}
		}
	}
	add(DefaultEngines())
	if len(all) < len(DefaultEngines()) {
		router, err := SelectEngines(Router)
		if err != nil {
			panic(err) // the name is one of those above
		}
		add(router)
	}
	return all
}
