package explain

import (
	"net/netip"
	"slices"
)

func membershipOff(f *Facts) *Verdict {
	if f.Member || f.Membership == nil || f.Membership.Enabled {
		return nil
	}
	return because(MembershipOff, "the keys igmp and mld",
		"enable it, or add a static membership: umroute join",
		"%s is off on %s, so nobody can join there", f.protocol(), f.Out.Name)
}

func notAllowed(f *Facts) *Verdict {
	m := f.Membership
	if f.Member || m == nil || len(m.Allow) == 0 || slices.ContainsFunc(m.Allow,
		func(p netip.Prefix) bool { return p.Contains(f.Group) }) {
		return nil
	}
	return because(NotAllowed, "the key allow", "add the group to allow",
		"hosts on %s may not join %s", f.Out.Name, f.Group)
}

func groupLimit(f *Facts) *Verdict {
	m := f.Membership
	if f.Member || m == nil {
		return nil
	}
	if n := m.Ignored["too_many_groups"]; n > 0 && m.Group == nil {
		return because(Limit, "the key max-groups", "raise max-groups, or leave groups",
			"%s has reached its limit of %d groups: %d joins were refused", f.Out.Name,
			m.MaxGroups, n)
	}
	if n := m.Ignored["too_many_sources"]; n > 0 && m.Group != nil && m.Group.Include {
		return because(Limit, "the key max-sources", "raise max-sources, or join for all sources",
			"a group on %s has reached its limit of %d sources: %d were refused", f.Out.Name,
			m.MaxSources, n)
	}
	if n := m.Ignored["rate_limited"]; n > 0 && m.Group == nil {
		return because(Limit, "the key packet-rate", "raise packet-rate, or calm the host down",
			"%s heard more %s messages than it may: %d were dropped", f.Out.Name, m.Protocol, n)
	}
	return nil
}

// sourceSpecific says whether a group takes joins for named sources only.
func sourceSpecific(group netip.Addr) bool {
	if group.Is4() {
		return group.As4()[0] == 232
	}
	b := group.As16() // ff3x::/32
	return b[1]>>4 == 3 && b[2] == 0 && b[3] == 0
}

// olderVersion: IGMPv1, IGMPv2 and MLDv1 name no sources, so they can't join a
// source-specific group (RFC 4604 section 2.2).
func olderVersion(f *Facts) *Verdict {
	m := f.Membership
	if f.Member || m == nil || !sourceSpecific(f.Group) {
		return nil
	}
	switch {
	case m.Version < m.Newest:
		return because(OlderVersion, "RFC 4604 section 2.2, the key version",
			"remove the key version of the interface",
			"%s speaks %s version %d, which can't name sources, and %s needs them",
			f.Out.Name, m.Protocol, m.Version, f.Group)
	case m.Ignored["ssm_older_version"] > 0:
		return because(OlderVersion, "RFC 4604 section 2.2",
			"have the receiver join with the source (MCAST_JOIN_SOURCE_GROUP), and look at "+
				"force_igmp_version and force_mld_version there",
			"hosts on %s joined source-specific groups by an older %s: %d reports were ignored",
			f.Out.Name, m.Protocol, m.Ignored["ssm_older_version"])
	case m.Ignored["ssm_exclude"] > 0:
		return because(OlderVersion, "RFC 4604 section 2.2",
			"have the receiver join with the source (MCAST_JOIN_SOURCE_GROUP)",
			"hosts on %s joined source-specific groups without a source: %d reports were ignored",
			f.Out.Name, m.Ignored["ssm_exclude"])
	}
	return nil
}

func sourceFilter(f *Facts) *Verdict {
	m := f.Membership
	if m == nil || m.Group == nil || f.Member {
		return nil
	}
	text := "the hosts on %s joined %s for other sources than %s"
	if !m.Group.Include {
		text = "the hosts on %s joined %s for all sources but %s"
	}
	return because(SourceFilter, "RFC 3376 section 3.2",
		"join with this source, or for all sources", text, f.Out.Name, f.Group, f.Source)
}

func noMembers(f *Facts) *Verdict {
	m := f.Membership
	if f.Member || m == nil {
		return nil
	}
	switch {
	case !m.Querier.IsValid():
		return because(NoQuerier, "RFC 9776 section 6.6.2",
			"give the interface an address of the family, so that it asks for members",
			"no member of %s on %s, and no %s querier asks for them", f.Group, f.Out.Name,
			m.Protocol)
	case f.Out.NoMulticastFlag:
		return because(NoMulticastFlag, "netdevice(7), IFF_MULTICAST",
			"set it in the namespace: ip link set DEVICE multicast on",
			"no member of %s on %s: its device lacks the flag MULTICAST, so that many programs "+
				"pass it over", f.Group, f.Out.Name)
	case m.Reports == 0:
		return because(NoMembers, "RFC 2715, rule 2",
			"check that the receiver joins on this device (ip maddr), and that its firewall lets "+
				m.Protocol+" out",
			"no host on %s has joined %s; no %s report was ever heard there", f.Out.Name,
			f.Group, m.Protocol)
	}
	return because(NoMembers, "RFC 2715, rule 2",
		"join it on this device: umroute recv --group "+f.Group.String(),
		"no host on %s has joined %s", f.Out.Name, f.Group)
}
