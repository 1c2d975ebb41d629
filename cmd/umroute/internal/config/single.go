package config

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ParseInterface reads one interface that is to join others of a running
// router. The keys are those of an interface of the configuration, as a JSON
// object; fd is none of them. The error is of type Problems, without positions.
func ParseInterface(name string, keys json.RawMessage, others []Interface) (Interface, error) {
	d := &decoder{budget: maxNodes}
	if !validName(name) {
		return Interface{}, fmt.Errorf("%s is not a name: want %s", quote(name), namePattern)
	}
	if len(keys) == 0 {
		keys = json.RawMessage("{}")
	}
	if !json.Valid(keys) {
		return Interface{}, errors.New("the keys of the interface are not JSON")
	}
	// JSON is YAML (YAML 1.2 section 1.2).
	root, ok := d.document(fmt.Appendf(nil, "{%q: %s}", name, keys))
	if !ok {
		return Interface{}, d.problems.withoutPositions()
	}
	own := d.interfaces(entry{key: "interfaces", value: root})
	if at, given := own[0].at["fd"]; given {
		d.problem(at, "pass an open descriptor over the control socket",
			"fd: names a descriptor of the router's parent process")
	}
	all := append(draftsOf(others), own...)
	d.checkDevices(all)
	d.checkAddresses(all)
	if len(d.problems) > 0 {
		return Interface{}, d.problems.withoutPositions()
	}
	single := own[0].Interface
	single.Pos = Position{}
	return single, nil
}

// draftsOf makes drafts of interfaces that have been judged before.
func draftsOf(interfaces []Interface) []draft {
	drafts := make([]draft, 0, len(interfaces))
	for _, i := range interfaces {
		drafts = append(drafts, draft{Interface: i, placed: true,
			addressesAt: make([]Position, len(i.Addresses)),
			peersAt:     make([]Position, len(i.PeerAddresses))})
	}
	return drafts
}

// CheckTogether says what is wrong with interfaces that come from different
// sources: devices or prefixes that two of them share.
func CheckTogether(interfaces []Interface) error {
	d := new(decoder)
	drafts := draftsOf(interfaces)
	d.checkDevices(drafts)
	d.checkAddresses(drafts)
	if len(d.problems) > 0 {
		return d.problems.withoutPositions()
	}
	return nil
}

// withoutPositions is for what nobody sees as a file.
func (ps Problems) withoutPositions() Problems {
	for i := range ps {
		ps[i].File, ps[i].Pos = "", Position{}
	}
	return ps.sorted()
}
