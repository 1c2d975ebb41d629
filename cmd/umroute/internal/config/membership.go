package config

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// family is what IGMP and MLD differ in. Everything else is one protocol with
// two encodings (RFC 3810 section 1 calls MLDv2 a translation of IGMPv3).
type family struct {
	protocol string
	versions versions
	example  string // a group
	ipv4     bool
	// responses is the range of the response intervals, current up to a
	// version and older below it.
	current, older interval
}

var (
	igmpFamily = family{
		protocol: "igmp", versions: igmpVersions, example: "239.1.1.1", ipv4: true,
		current: igmpv3Responses, older: igmpv2Responses,
	}
	mldFamily = family{
		protocol: "mld", versions: mldVersions, example: "ff1e::1",
		current: mldv2Responses, older: mldv1Responses,
	}
)

// responses returns the range of the response intervals on the wire. What is
// spoken to older hosts on the link is not asked: only the configured version
// is known here.
func (f family) responses(version int) interval {
	if version < f.versions.highest {
		return f.older
	}
	return f.current
}

// membership reads the keys of igmp or mld over the defaults in target.
func (d *decoder) membership(e entry, f family, target *Membership) marks {
	m := *target
	at := d.section(e.value, f.protocol, fields{
		"enabled": func(e entry) { d.boolean(e, &m.Enabled) },
		"version": func(e entry) {
			d.number(e, &m.Version, f.versions.lowest, f.versions.highest)
		},
		"query-interval":             func(e entry) { d.duration(e, &m.QueryInterval) },
		"query-response-interval":    func(e entry) { d.duration(e, &m.QueryResponseInterval) },
		"last-member-query-interval": func(e entry) { d.duration(e, &m.LastMemberQueryInterval) },
		// RFC 3376 section 8.1: not zero. QRV has three bits.
		"robustness":          func(e entry) { d.number(e, &m.Robustness, 1, 7) },
		"startup-query-count": func(e entry) { d.number(e, &m.StartupQueryCount, 1, 255) },
		"fast-leave":          func(e entry) { d.fastLeave(e, &m.FastLeave) },
		// Zero is no limit, as it is for everything that has a limit.
		"max-groups":           func(e entry) { d.number(e, &m.MaxGroups, 0, maxLimit) },
		"max-sources":          func(e entry) { d.number(e, &m.MaxSources, 0, maxLimit) },
		"packet-rate":          func(e entry) { d.number(e, &m.PacketRate, 0, maxLimit) },
		"require-router-alert": func(e entry) { d.boolean(e, &m.RequireRouterAlert) },
		"static":               func(e entry) { m.Static = d.staticGroups(e, f) },
		"allow":                func(e entry) { m.Allow = d.allowed(e, f) },
	})
	// RFC 3376 section 8.7: the default is the robustness.
	if _, ok := at["startup-query-count"]; !ok {
		m.StartupQueryCount = m.Robustness
	}
	d.checkIntervals(&m, f, at)
	*target = m
	return at
}

// fastLeave reads a word or a truth value: YAML makes true and false the
// latter unless they are quoted.
func (d *decoder) fastLeave(e entry, target *FastLeave) {
	if n, ok := e.value.(*ast.BoolNode); ok {
		*target = FastLeaveOff
		if n.Value {
			*target = FastLeaveOn
		}
		return
	}
	word := string(*target)
	d.choice(e, &word, []string{"auto", "true", "false"})
	*target = FastLeave(word)
}

// checkIntervals holds the durations against their codes in a query and
// against each other.
func (d *decoder) checkIntervals(m *Membership, f family, at marks) {
	within := func(key string, v time.Duration, r interval) bool {
		pos, given := at[key]
		if !given || r.lowest <= v && v <= r.highest {
			return true
		}
		d.problem(pos, fmt.Sprintf("%gs to %gs", r.lowest.Seconds(), r.highest.Seconds()),
			"%s: %s is out of range for %s version %d", key, v, f.protocol, m.Version)
		return false
	}
	responses := f.responses(m.Version)
	inRange := within("query-interval", m.QueryInterval, queryIntervals)
	inRange = within("query-response-interval", m.QueryResponseInterval, responses) && inRange
	within("last-member-query-interval", m.LastMemberQueryInterval, responses)

	// RFC 3376 section 8.3: the response interval must be less.
	if !inRange || m.QueryResponseInterval < m.QueryInterval {
		return
	}
	// Blame the one that is written in the file; where both are, the response
	// interval, which the RFC limits by the other.
	key := "query-response-interval"
	if _, given := at[key]; !given {
		key = "query-interval"
	}
	d.problem(at[key], "", "%s: the query response interval, %s, must be less than "+
		"the query interval, %s", key, m.QueryResponseInterval, m.QueryInterval)
}

// staticGroups reads memberships without hosts. The same group may stand with
// several sources, and also for any source, but no entry twice.
func (d *decoder) staticGroups(e entry, f family) (groups []StaticGroup) {
	seen := make(map[StaticGroup]Position)
	d.list(e, func(e entry) {
		var g StaticGroup
		before := len(d.problems)
		at := d.section(e.value, "static", fields{
			"group":  func(e entry) { d.group(e, f, &g.Group) },
			"source": func(e entry) { d.source(e, f, &g.Source) },
		})
		d.require(e, "static", at, "group")
		if len(d.problems) > before {
			return
		}
		if first, again := seen[g]; again {
			d.problem(e.valueAt(), fmt.Sprintf("first in line %d", first.Line),
				"static: given twice")
			return
		}
		seen[g] = e.valueAt()
		groups = append(groups, g)
	})
	return groups
}

// group reads a multicast group that is forwarded at all.
func (d *decoder) group(e entry, f family, target *netip.Addr) {
	var a netip.Addr
	if !d.address(e, &a) {
		return
	}
	switch {
	case a.Is4() != f.ipv4:
		d.problem(e.valueAt(), "as in "+f.example, "group: %s is not for %s", a, f.protocol)
	case !a.IsMulticast():
		d.problem(e.valueAt(), "as in "+f.example, "group: %s is not multicast", a)
	case staysOnLink(a):
		d.problem(e.valueAt(), "", "group: %s is never forwarded beyond its link", a)
	default:
		*target = a
	}
}

// staysOnLink says whether no router forwards a group: 224.0.0.0/24 (RFC 5771
// section 4) and the scopes up to link-local (RFC 7346 section 2).
func staysOnLink(group netip.Addr) bool {
	if group.Is4() {
		b := group.As4()
		return b[0] == 224 && b[1] == 0 && b[2] == 0
	}
	return group.As16()[1]&0x0f <= 2
}

// source reads an address that multicast can be forwarded from.
func (d *decoder) source(e entry, f family, target *netip.Addr) {
	var a netip.Addr
	if !d.address(e, &a) {
		return
	}
	limited := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	switch {
	case a.Is4() != f.ipv4:
		d.problem(e.valueAt(), "", "source: %s is not of the group's family", a)
	case a.IsMulticast(), a.IsUnspecified(), a.IsLoopback(), a == limited:
		d.problem(e.valueAt(), "", "source: %s is not a unicast address", a)
	case a.IsLinkLocalUnicast():
		d.problem(e.valueAt(), "", "source: %s is never forwarded beyond its link", a)
	default:
		*target = a
	}
}

// allowed reads the groups that hosts may join.
func (d *decoder) allowed(e entry, f family) (groups []netip.Prefix) {
	d.list(e, func(e entry) {
		var p netip.Prefix
		switch {
		case !d.groupNetwork(e, &p):
		case p.Addr().Is4() != f.ipv4:
			d.problem(e.valueAt(), "", "allow: %s is not for %s", p, f.protocol)
		default:
			groups = append(groups, p)
		}
	})
	return groups
}
