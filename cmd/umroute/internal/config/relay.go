package config

import (
	"net/netip"
	"slices"
	"strings"
)

// RelayRule names what is relayed between interfaces: groups that no router
// forwards, for the most part.
type RelayRule struct {
	Groups     []netip.AddrPort
	Interfaces []string // two or more
	Rate       int      // datagrams a second that each interface may bring
}

// defaultRelayRate is enough for hundreds of mDNS hosts.
const defaultRelayRate = 100

// services are names for groups that go together.
var services = map[string][]netip.AddrPort{
	// RFC 6762 section 3.
	"mdns": {netip.MustParseAddrPort("224.0.0.251:5353"),
		netip.MustParseAddrPort("[ff02::fb]:5353")},
	// RFC 4795 section 2.
	"llmnr": {netip.MustParseAddrPort("224.0.0.252:5355"),
		netip.MustParseAddrPort("[ff02::1:3]:5355")},
	// UPnP Device Architecture 2.0 section 1.1 and annex A.
	"ssdp": {netip.MustParseAddrPort("239.255.255.250:1900"),
		netip.MustParseAddrPort("[ff02::c]:1900"), netip.MustParseAddrPort("[ff05::c]:1900")},
}

// relayDraft is a rule whose places in the file are still of use.
type relayDraft struct {
	RelayRule
	at           marks
	interfacesAt []Position
}

// relay reads protocols.relay.
func (d *decoder) relay(e entry, target *[]RelayRule) {
	var drafts []relayDraft
	at := d.section(e.value, "protocols.relay", fields{
		"rules": func(e entry) {
			d.list(e, func(e entry) { drafts = append(drafts, d.relayRule(e)) })
		},
	})
	if _, given := at["rules"]; !given {
		d.problem(e.at, "as in rules: [{groups: [mdns], interfaces: [red, blue]}]",
			"relay: rules is missing")
	}
	for _, draft := range drafts {
		*target = append(*target, draft.RelayRule)
	}
	d.afterInterfaces(func(names []string) {
		for _, draft := range drafts {
			d.checkNames(draft.Interfaces, draft.interfacesAt, names)
		}
	})
	d.relays = append(d.relays, drafts...)
}

func (d *decoder) relayRule(e entry) relayDraft {
	const what = "relay rule"
	r := relayDraft{RelayRule: RelayRule{Rate: defaultRelayRate}}
	before := len(d.problems)
	r.at = d.section(e.value, what, fields{
		"groups": func(e entry) {
			d.list(e, func(e entry) { d.relayGroup(e, &r.RelayRule) })
		},
		"interfaces": func(e entry) { r.Interfaces, r.interfacesAt = d.interfaceNames(e) },
		"rate":       func(e entry) { d.number(e, &r.Rate, 1, 100_000) },
	})
	d.require(e, what, r.at, "groups", "interfaces")
	if len(d.problems) > before {
		return r
	}
	if len(r.Groups) == 0 {
		d.problem(r.at["groups"], "", "%s: no groups", what)
	}
	if len(r.Interfaces) < 2 {
		d.problem(r.at["interfaces"], "", "%s: it takes two interfaces or more", what)
	}
	return r
}

// relayGroup reads the name of a service, or a group with a port.
func (d *decoder) relayGroup(e entry, target *RelayRule) {
	var s string
	if !d.text(e, &s) {
		return
	}
	groups, named := services[s]
	if !named {
		var group netip.AddrPort
		if !strings.ContainsAny(s, ".:") {
			names := []string{"llmnr", "mdns", "ssdp"}
			d.problem(e.valueAt(), suggest(s, names), "%s: unknown service %s", e.key, quote(s))
			return
		}
		if !d.groupPort(e, &group) {
			return
		}
		// RFC 4291 section 2.7: it never leaves its host.
		if group.Addr().IsInterfaceLocalMulticast() {
			d.problem(e.valueAt(), "", "%s: %s never leaves its host", e.key, group.Addr())
			return
		}
		groups = []netip.AddrPort{group}
	}
	for _, group := range groups {
		if slices.Contains(target.Groups, group) {
			d.problem(e.valueAt(), "", "%s: %s is given twice", e.key, group)
			return
		}
	}
	target.Groups = append(target.Groups, groups...)
}

// checkRelays holds that nothing is relayed that the interfaces keep apart.
func (d *decoder) checkRelays(drafts []draft) {
	for _, r := range d.relays {
		first := -1
		for n, name := range r.Interfaces {
			if slices.Contains(r.Interfaces[:n], name) {
				d.problem(r.interfacesAt[n], "", "interfaces: %s is given twice", name)
			}
			at := slices.IndexFunc(drafts, func(i draft) bool { return i.Name == name })
			if at < 0 {
				continue // which has been said
			}
			if first < 0 {
				first = at
			}
			if drafts[at].Domain != drafts[first].Domain {
				d.problem(r.interfacesAt[n], "multicast stays inside a domain",
					"interfaces: %s and %s are in different domains", drafts[first].Name, name)
			}
			for _, group := range r.Groups {
				d.checkRelayBoundary(r.interfacesAt[n], &drafts[at], group.Addr())
			}
		}
	}
}

func (d *decoder) checkRelayBoundary(at Position, i *draft, group netip.Addr) {
	for _, boundary := range i.Boundary {
		if boundary.Contains(group) {
			d.problem(at, "", "interfaces: boundary %s of %s keeps group %s out",
				boundary, i.Name, group)
		}
	}
}
