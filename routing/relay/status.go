package relay

import (
	"net/netip"
	"slices"
)

// RuleStatus is a rule with what it has done.
type RuleStatus struct {
	Rule
	Received uint64 // datagrams that it is for
	Relayed  uint64 // datagrams sent, one for each link
}

// Status is a Relay's rules and counters.
type Status struct {
	Rules   []RuleStatus
	Relayed uint64            // datagrams sent, one for each link
	Dropped map[string]uint64 // by the name of the reason
}

// Status describes the relay.
func (r *Relay) Status() Status {
	s := Status{Relayed: r.relayed, Dropped: make(map[string]uint64)}
	for _, rule := range r.rules {
		s.Rules = append(s.Rules, RuleStatus{rule.Rule, rule.received, rule.relayed})
	}
	for why := none + 1; why < drops; why++ {
		if n := r.dropped[why]; n > 0 {
			s.Dropped[why.String()] = n
		}
	}
	return s
}

// Filter tells from a packet's first bytes whether a Relay may want it. It never
// changes, and any number of goroutines may use it.
type Filter struct {
	wanted map[netip.AddrPort][]uint32
}

// Filter gives one for the rules and links as they are.
func (r *Relay) Filter() *Filter {
	f := &Filter{wanted: make(map[netip.AddrPort][]uint32)}
	for _, rule := range r.rules {
		for index, l := range r.links {
			if !slices.Contains(rule.Interfaces, l.Name) {
				continue
			}
			for _, group := range rule.Groups {
				f.wanted[group] = append(f.wanted[group], index)
			}
		}
	}
	return f
}

// Wants says whether a packet from a link is to be handed to the Relay.
func (f *Filter) Wants(index uint32, packet []byte) bool {
	if f == nil || len(f.wanted) == 0 {
		return false
	}
	group, ok := destination(packet)
	return ok && slices.Contains(f.wanted[group], index)
}

// Groups are those that a link brings to the Relay, each once and in order.
func (r *Relay) Groups(name string) (groups []netip.AddrPort) {
	for _, rule := range r.rules {
		if slices.Contains(rule.Interfaces, name) {
			groups = append(groups, rule.Groups...)
		}
	}
	slices.SortFunc(groups, netip.AddrPort.Compare)
	return slices.Compact(groups)
}
