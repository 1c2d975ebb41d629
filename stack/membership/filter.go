package membership

import (
	"net/netip"
	"slices"

	"umroute/stack/igmp"
)

// refuse says why a record is not taken, or accepted. The group's state is nil
// if there is none.
func (r *Router) refuse(l *link, g *group, rec *record) Reason {
	if rec.kind < igmp.IsInclude || rec.kind > igmp.Block {
		return UnknownRecord // RFC 9776 section 4.2
	}
	// A group that hosts made has passed, and would be forgotten if it were not
	// allowed any more.
	if g != nil && g.learnt {
		if g.ssm {
			return refuseSSM(rec)
		}
		return accepted
	}
	f := r.config.Family
	if reason := f.refuseGroup(rec.group); reason != accepted {
		return reason
	}
	if !l.allows(rec.group) {
		return NotAllowed
	}
	if f.isSSM(rec.group) {
		return refuseSSM(rec)
	}
	return accepted
}

// refuseSSM keeps groups of source-specific multicast to what can name sources
// (RFC 4604 section 2.2): no message of an older version, no EXCLUDE mode.
func refuseSSM(rec *record) Reason {
	switch {
	case rec.version < 3:
		return SSMOlderVersion
	case replaces(rec.kind):
		return SSMExclude
	}
	return accepted
}

// refuseGroup says why an address cannot be a group that is routed.
func (f Family) refuseGroup(a netip.Addr) Reason {
	if !a.IsMulticast() || a.Is4() != (f == IGMP) {
		return NotMulticast
	}
	if f == MLD {
		// RFC 9777 section 6: no reports for scopes 0 and 1; those of scope 2
		// never leave their link (RFC 4291 section 2.7).
		if octets := a.As16(); octets[1]&0x0f <= 2 {
			return LinkLocalGroup
		}
		return accepted
	}
	if octets := a.As4(); octets[0] == 224 && octets[1] == 0 && octets[2] == 0 {
		return LinkLocalGroup // RFC 5771 section 4
	}
	return accepted
}

// isSSM reports whether a group is one of source-specific multicast: 232/8 or
// ff3x::/32 (RFC 4607 section 1).
func (f Family) isSSM(a netip.Addr) bool {
	if f == MLD {
		octets := a.As16()
		return octets[1]>>4 == 3 && octets[2] == 0 && octets[3] == 0
	}
	octets := a.As4()
	return octets[0] == 232
}

// isSource reports whether a may be a source that a record names: unicast, of
// the family that the decoder made it.
func isSource(a netip.Addr) bool {
	return !a.IsMulticast() && !a.IsUnspecified() && !a.IsLoopback() && !a.Is4In6() &&
		a != broadcast
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// allows reports whether hosts may join a group.
func (l *link) allows(group netip.Addr) bool {
	return len(l.config.Allow) == 0 || contains(l.config.Allow, group)
}

// isOnLink reports whether an IPv4 host may be heard: RFC 9776 section 9.2
// wants reports from other networks to be ignored, and section 4.2 those
// from 0.0.0.0 to be accepted.
func (l *link) isOnLink(host netip.Addr) bool {
	return host.IsUnspecified() || len(l.config.Prefixes) == 0 || contains(l.config.Prefixes, host)
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}
