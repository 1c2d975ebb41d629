package plan

import (
	"fmt"
	"strings"
)

// Engine is one way to forward.
type Engine struct {
	Name string `json:"name"` // one of the names below
	IO   string `json:"io"`   // how packets are moved; "" where there is no choice
	Link string `json:"link"` // what leads to the hosts
}

// The engines.
const (
	Umroute = "umroute" // package routing over TUN devices
	Kernel  = "kernel"  // the kernel's own multicast forwarding, over veth pairs
	Naive   = "naive"   // one packet a call, over TUN devices as package water has them
	Memory  = "memory"  // package routing alone, over devices that are not there
)

// The links.
const (
	LinkTUN  = "tun"
	LinkVeth = "veth"
	LinkNone = "none"
)

// String is how --engines names it: "umroute/vectored", "kernel".
func (e Engine) String() string {
	if e.IO == "" || e.Name != Umroute {
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
