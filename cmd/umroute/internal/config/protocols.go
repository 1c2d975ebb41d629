package config

import "fmt"

// Protocols are the routing protocols of a router. Each has a file of its own.
type Protocols struct {
	Static  Static
	Proxies []Proxy
	Relay   []RelayRule
}

// protocols reads the section that has one mapping for each routing protocol.
func (d *decoder) protocols(e entry, target *Protocols) {
	later := func(e entry) { d.unsupported(e.at, "protocols."+e.key) }
	d.section(e.value, e.key, fields{
		"static": func(e entry) { d.static(e, &target.Static) },
		"proxy":  func(e entry) { d.proxies(e, &target.Proxies) },
		"relay":  func(e entry) { d.relay(e, &target.Relay) },
		"pim":    later,
	})
}

// claim is the wish of a protocol to own an interface, with its place in the
// file. Whether there is such an interface is for the protocol to say.
type claim struct {
	protocol, iface string
	at              Position
}

// claim notes that a protocol wants to own an interface (MGM: an interface has
// one owner). The same wish again is none.
func (d *decoder) claim(protocol, iface string, at Position) {
	if iface != "" {
		d.claims = append(d.claims, claim{protocol, iface, at})
	}
}

// checkClaims refuses that two protocols own one interface.
func (d *decoder) checkClaims() {
	first := make(map[string]claim)
	for _, c := range d.claims {
		other, taken := first[c.iface]
		switch {
		case !taken:
			first[c.iface] = c
		case other.protocol != c.protocol:
			d.problem(c.at, fmt.Sprintf("line %d gives it to %s", other.at.Line, other.protocol),
				"%s: interface %s belongs to protocol %s", c.protocol, c.iface, other.protocol)
		}
	}
}

// afterInterfaces has check run once the interfaces of the file are known, by
// their names: the protocols may stand before them.
func (d *decoder) afterInterfaces(check func(names []string)) {
	d.checks = append(d.checks, check)
}

// checkProtocols judges what the protocols say of interfaces and each other.
func (d *decoder) checkProtocols(drafts []draft) {
	d.drafts = drafts
	names := make([]string, 0, len(drafts))
	for _, i := range drafts {
		names = append(names, i.Name)
	}
	for _, check := range d.checks {
		check(names)
	}
	d.checkRelays(drafts)
	d.checkClaims()
}
