package explain

// lowTTL: a packet whose TTL is 1 dies in the first router (RFC 1112 section
// 6.1 has hosts send with 1 unless told otherwise).
func lowTTL(f *Facts) *Verdict {
	name, packets := f.seen("ttl")
	if f.Entry != nil && packets == 0 {
		name, packets = f.In.Name, f.Entry.LowTTL
	}
	if packets == 0 || f.delivers() {
		return nil
	}
	return because(TTL, "RFC 1112 section 6.1",
		"send with a higher TTL (IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS; umroute send --ttl 16)",
		"%d packets came in by %s with TTL 1, which does not cross a router", packets, name)
}

func threshold(f *Facts) *Verdict {
	if f.Entry == nil || f.Entry.Output == nil || f.Entry.Output.TTLTooLow == 0 || f.delivers() {
		return nil
	}
	return because(Threshold, "RFC 1812 section 5.2.1.3, the key ttl-threshold",
		"send with a TTL above it, or lower ttl-threshold",
		"%d packets had a TTL not above the threshold of %s, %d", f.Entry.Output.TTLTooLow,
		f.Out.Name, f.Out.Threshold)
}

func tooLong(f *Facts) *Verdict {
	if f.Entry == nil || f.Entry.Output == nil || f.Entry.Output.FragNeeded == 0 ||
		f.delivers() {
		return nil
	}
	return because(TooLong, "RFC 1812 section 5.2.6, RFC 8200 section 5",
		"send shorter datagrams, clear Don't Fragment, or raise the key mtu",
		"%d packets were longer than the MTU of %s and not to be fragmented",
		f.Entry.Output.FragNeeded, f.Out.Name)
}

func deviceRefuses(f *Facts) *Verdict {
	if f.Entry == nil || f.Entry.Output == nil || f.Entry.Output.Discards == 0 ||
		f.delivers() {
		return nil
	}
	return because(DeviceRefuses, "the device's transmit queue",
		"look at the receiver's CPU, and raise txqueuelen of its device",
		"the device of %s did not take %d packets", f.Out.Name, f.Entry.Output.Discards)
}

func flowLimit(f *Facts) *Verdict {
	for _, reason := range []string{"flow_limit", "miss_rate", "pending_budget"} {
		if name, packets := f.seen(reason); packets > 0 {
			return because(Limit, "the limits on new flows",
				"send fewer flows by this interface, or wait for old ones to expire",
				"%d packets came in by %s and were dropped for a limit: %s", packets, name, reason)
		}
	}
	return nil
}

// negativeEntry: there is an entry, members are there, and yet it does not lead
// to the interface.
func negativeEntry(f *Facts) *Verdict {
	if f.Entry == nil || f.Entry.Output != nil {
		return nil
	}
	what := "does not lead to " + f.Out.Name
	if f.Entry.Negative {
		what = "is negative: it leads nowhere"
	}
	return because(NegativeEntry, "RFC 2715, rules 2 and 3",
		"look at the owner of the interface (umroute show interfaces) and what it wants "+
			"(umroute show memberships)",
		"the forwarding entry of the flow %s", what)
}

func forwarded(f *Facts) *Verdict {
	if f.Entry == nil || f.Entry.Packets == 0 {
		return nil
	}
	return because(Forwarded, "RFC 2715, rule 2", f.rpFilter(),
		"the flow comes in by %s and goes out by %s: %d packets in, %d out%s", f.In.Name,
		f.Out.Name, f.Entry.Packets, f.Entry.Output.Packets, f.sentFrom())
}

// rpFilter says what may still keep the receiver's host from delivering.
func (f *Facts) rpFilter() string {
	if f.Out.ReversePathFilter <= 0 {
		return ""
	}
	return "where the receiver sees nothing: its rp_filter drops packets from sources to which " +
		"its host has no route by this device"
}

// noTraffic: nothing stands in the way, but no packet has come.
func (f *Facts) noTraffic() Verdict {
	remedy := "check that the sender sends to the group, out of the device of " + f.In.Name +
		" (ip route get " + f.Group.String() + " there)"
	if f.In.NoMulticastFlag {
		remedy = "set the flag MULTICAST, which the device of " + f.In.Name +
			" lacks: ip link set DEVICE multicast on"
	}
	text := "the flow would be forwarded, but no packet of it has come in by %s (%s)%s"
	v := because(NoTraffic, "an entry is made by the first packet", remedy, text, f.In.Name,
		f.route(), f.portsOnly())
	return *v
}
