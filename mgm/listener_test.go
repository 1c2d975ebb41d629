package mgm

import "strings"

// listener keeps what the clients have heard, as they would: the last word about each
// entry, the local memberships, and the interfaces that IGMP must keep off.
type listener struct {
	wanted   map[string]bool // "A(*,G)": the last alert with true was a join
	local    map[string]bool // "B(*,G) if2"
	disabled map[string]bool
	fault    string
}

func newListener() *listener {
	return &listener{
		wanted: make(map[string]bool), local: make(map[string]bool),
		disabled: make(map[string]bool),
	}
}

func (r *listener) hear(lines []string) {
	for _, line := range lines {
		client, rest, _ := strings.Cut(line, ".")
		kind, object, _ := strings.Cut(rest, "(")
		object = "(" + object
		entry, _, _ := strings.Cut(object, " ")
		member := strings.HasSuffix(line, " t")
		switch {
		case kind == "J" && member:
			r.wanted[client+entry] = true
		case kind == "P" && member:
			delete(r.wanted, client+entry)
		case kind == "LOCAL_JOIN":
			r.local[client+object] = true
		case kind == "LOCAL_LEAVE":
			delete(r.local, client+object)
		case strings.HasPrefix(rest, "DISABLE"), strings.HasPrefix(rest, "ENABLE"):
			verb, i, _ := strings.Cut(rest, " ")
			if off := verb == "DISABLE"; off == r.disabled[i] {
				r.fault = "out of turn: " + line
			}
			r.disabled[i] = verb == "DISABLE"
		}
	}
}
