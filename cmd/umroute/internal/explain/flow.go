package explain

import "strings"

func linkLocalGroup(f *Facts) *Verdict {
	if f.Group.Is4() {
		if b := f.Group.As4(); b[0] == 224 && b[1] == 0 && b[2] == 0 {
			return because(LinkLocalGroup, "RFC 5771 section 4",
				"use a group in 239.0.0.0/8, or the relay protocol for discovery",
				"%s is in 224.0.0.0/24, which no router forwards", f.Group)
		}
		return nil
	}
	if scope := f.Group.As16()[1] & 0x0f; scope <= 2 {
		return because(LinkLocalGroup, "RFC 4291 section 2.7",
			"use a group of a larger scope, such as ff15::/16, or the relay protocol for discovery",
			"%s has scope %d, which does not leave its link", f.Group, scope)
	}
	return nil
}

func badSource(f *Facts) *Verdict {
	s, rule := f.Source, "RFC 1812 section 5.3.7"
	if s.Is6() {
		rule = "RFC 4291 section 2.5"
	}
	if s.IsUnspecified() || s.IsLoopback() || s.IsLinkLocalUnicast() || s.IsMulticast() {
		return because(BadSource, rule, "give the sender a global or private address",
			"packets from %s never leave their link", s)
	}
	return nil
}

func noInterface(f *Facts) *Verdict {
	if f.Out != nil {
		return nil
	}
	known := "there is none"
	if len(f.Known) > 0 {
		known = "there are: " + strings.Join(f.Known, ", ")
	}
	return because(NoInterface, "the key interfaces", "choose one of them, or attach one",
		"the router has no interface %q; %s", f.Interface, known)
}

func interfaceDown(f *Facts) *Verdict {
	for _, l := range []*Link{f.Out, f.In} {
		if l != nil && !l.Up {
			return because(InterfaceDown, "the state of the device",
				"set the device up in its namespace: ip link set DEVICE up",
				"interface %s is down: %s", l.Name, l.Reason)
		}
	}
	return nil
}

// noRoute: without a route no interface is the incoming one (RFC 2715 section
// 3.1), so there is nothing that a packet could pass.
func noRoute(f *Facts) *Verdict {
	if f.In != nil {
		return nil
	}
	return because(NoRoute, "reverse path forwarding, RFC 1812 section 5.2.1.3",
		"give an interface an address in the source's prefix, or add a route under "+
			"rpf.routes or unicast.routes",
		"the RIB has no route to %s, so its packets are accepted nowhere", f.Source)
}

func incomingSide(f *Facts) *Verdict {
	if f.In.Name != f.Out.Name {
		return nil
	}
	return because(IncomingSide, "RFC 2715, rule 2",
		"ask for the interface of the receivers",
		"the flow comes in by %s (%s) and is not sent back there", f.In.Name, f.route())
}

// route is the RIB's answer in words.
func (f *Facts) route() string {
	r := f.Route
	if !r.Prefix.IsValid() {
		return "no route in the RIB"
	}
	text := "RIB: " + r.Prefix.String() + " on " + r.Interface
	if r.Via.IsValid() {
		text += " via " + r.Via.String()
	}
	return text + ", " + r.Kind
}

// sourceValidation: packets that no source of the link may send (RFC 3704).
func sourceValidation(f *Facts) *Verdict {
	name, packets := f.seen("source_validation")
	if packets == 0 || f.delivers() {
		return nil
	}
	return because(SourceValidation, "RFC 3704, the key source-validation",
		"send from behind "+f.In.Name+", or say source-validation: off for "+name,
		"%d packets came in by %s, where this source may not send (%s)", packets, name, f.route())
}

func wrongInterface(f *Facts) *Verdict {
	name, packets := f.seen("wrong_if")
	if f.Entry != nil && packets == 0 && f.Entry.Packets == 0 {
		packets = f.Entry.WrongIf
	}
	if packets == 0 || f.Entry != nil && f.Entry.Packets > 0 && f.delivers() {
		return nil
	}
	if name == "" {
		name = "another interface"
	}
	return because(WrongInterface, "reverse path forwarding, RFC 1812 section 5.2.1.3",
		"send from behind "+f.In.Name+", or say under rpf.routes where the source is",
		"%d packets came in by %s, but are expected on %s (%s)", packets, name, f.In.Name,
		f.route())
}

// delivers says whether the interface asked for gets packets.
func (f *Facts) delivers() bool {
	return f.Entry != nil && f.Entry.Output != nil && f.Entry.Output.Packets > 0
}

func otherDomain(f *Facts) *Verdict {
	if f.In.Domain == f.Out.Domain || f.Crosses {
		return nil
	}
	return because(Domain, "the key domain", "give both interfaces the same domain, or "+
		"let the group cross by a rule of the key domains",
		"%s is in domain %s and %s in domain %s: multicast stays inside a domain",
		f.In.Name, f.In.Domain, f.Out.Name, f.Out.Domain)
}

func boundary(f *Facts) *Verdict {
	for _, l := range []*Link{f.In, f.Out} {
		if l.blocks(f.Group) {
			return because(Boundary, "RFC 2365, the key boundary",
				"take the group out of the boundary of "+l.Name,
				"the boundary of %s keeps %s from crossing", l.Name, f.Group)
		}
	}
	return nil
}
