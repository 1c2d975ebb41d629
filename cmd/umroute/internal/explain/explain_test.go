package explain

import (
	"net/netip"
	"strings"
	"testing"
)

// wellKnown is a flow that nothing keeps from being forwarded, and that has
// been: from red to blue.
func wellKnown() *Facts {
	return &Facts{
		Source: netip.MustParseAddr("10.0.1.2"), Group: netip.MustParseAddr("239.1.1.1"),
		Interface: "blue", Known: []string{"red", "blue"},
		In:  &Link{Name: "red", Up: true, Domain: "default", Threshold: 1},
		Out: &Link{Name: "blue", Up: true, Domain: "default", Threshold: 1},
		Route: Route{Prefix: netip.MustParsePrefix("10.0.1.0/24"), Interface: "red",
			Kind: "connected"},
		Entry: &Entry{Packets: 7, Output: &Output{Packets: 7}}, Member: true,
		Membership: &Membership{Protocol: "IGMP", Enabled: true, Version: 3, Newest: 3,
			Querier: netip.MustParseAddr("10.0.2.1"), MaxGroups: 4, MaxSources: 5, Reports: 1,
			Ignored: map[string]uint64{}, Group: &Group{Version: 3}},
	}
}

// TestDecide changes one thing at a time.
func TestDecide(t *testing.T) {
	leave := func(f *Facts) { f.Member, f.Membership.Group = false, nil }
	ssm := func(f *Facts, reason string) {
		leave(f)
		f.Group = netip.MustParseAddr("232.1.1.1")
		f.Membership.Ignored[reason] = 9
	}
	undelivered := func(f *Facts, o Output) { f.Entry.Output = &o }
	tests := []struct {
		name     string
		change   func(*Facts)
		want     Cause
		mentions string
	}{
		{"as it is", func(*Facts) {}, Forwarded, "7 packets in, 7 out"},
		{"to the host's network", func(f *Facts) {
			f.Out.Host = &Host{Address: netip.MustParseAddr("192.168.7.1")}
		}, Forwarded, "there the source is the host's address, 192.168.7.1"},
		{"from the host's network, not joined", func(f *Facts) {
			f.In.Host, f.Entry = &Host{}, nil
		}, NotJoined, "no socket receives 239.1.1.1"},
		{"from the host's network, other ports", func(f *Facts) {
			f.In.Host, f.Entry = &Host{Ports: []uint16{5004, 5005}}, nil
		}, NoTraffic, "only these ports are received there: 5004, 5005"},
		{"no interface at all", func(f *Facts) { f.Out, f.Known = nil, nil }, NoInterface,
			"there is none"},
		{"the way in is down", func(f *Facts) { f.In.Up, f.In.Reason = false, "gone" },
			InterfaceDown, "red is down: gone"},
		{"boundary of the way in", func(f *Facts) {
			f.In.Boundary = []netip.Prefix{netip.MustParsePrefix("239.0.0.0/8")}
		}, Boundary, "boundary of red"},
		{"too many sources", func(f *Facts) {
			f.Member, f.Membership.Group.Include = false, true
			f.Membership.Ignored["too_many_sources"] = 3
		}, Limit, "limit of 5 sources: 3"},
		{"too many messages", func(f *Facts) {
			leave(f)
			f.Membership.Ignored["rate_limited"] = 3
		}, Limit, "3 were dropped"},
		{"older reports for a source-specific group", func(f *Facts) {
			ssm(f, "ssm_older_version")
		}, OlderVersion, "9 reports"},
		{"exclude mode for a source-specific group", func(f *Facts) {
			ssm(f, "ssm_exclude")
		}, OlderVersion, "without a source"},
		{"refusals that do not concern this group", func(f *Facts) {
			f.Membership.Ignored["too_many_groups"] = 3
		}, Forwarded, ""},
		{"nobody was ever heard", func(f *Facts) { leave(f); f.Membership.Reports = 0 },
			NoMembers, "no IGMP report was ever heard"},
		{"an entry that leads nowhere", func(f *Facts) {
			f.Entry = &Entry{Packets: 1, Negative: true}
		}, NegativeEntry, "is negative"},
		{"an entry that leads elsewhere", func(f *Facts) { f.Entry = &Entry{Packets: 1} },
			NegativeEntry, "does not lead to blue"},
		{"TTL 1 with an entry", func(f *Facts) {
			f.Entry.LowTTL = 7
			undelivered(f, Output{})
		}, TTL, "7 packets came in by red"},
		{"TTL 1 now and then", func(f *Facts) { f.Entry.LowTTL = 1 }, Forwarded, ""},
		{"all by the wrong interface", func(f *Facts) {
			f.Entry = &Entry{WrongIf: 5, Output: &Output{}}
		}, WrongInterface, "another interface, but are expected on red"},
		{"a source that may not send there", func(f *Facts) {
			f.Entry, f.Seen = nil, []Sighting{{"green", "source_validation", 2}}
		}, SourceValidation, "2 packets came in by green"},
		{"longer than the MTU", func(f *Facts) { undelivered(f, Output{FragNeeded: 2}) },
			TooLong, "2 packets"},
		{"the queue is full", func(f *Facts) { undelivered(f, Output{Discards: 2}) },
			DeviceRefuses, "2 packets"},
		{"too many flows", func(f *Facts) {
			f.Entry, f.Seen = nil, []Sighting{{"red", "flow_limit", 4}}
		}, Limit, "flow_limit"},
		{"nothing was sent", func(f *Facts) { f.Entry = nil }, NoTraffic, "RIB: 10.0.1.0/24"},
		{"the sender's device lacks the flag", func(f *Facts) {
			f.Entry, f.In.NoMulticastFlag = nil, true
		}, NoTraffic, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := wellKnown()
			test.change(f)
			v := Decide(f)
			if v.Cause != test.want || !strings.Contains(v.Text, test.mentions) {
				t.Errorf("%s: %s; want %s, mentioning %q", v.Cause, v.Text, test.want, test.mentions)
			}
			if v.Forwarded != (test.want == Forwarded) || v.Rule == "" {
				t.Errorf("%+v", v)
			}
		})
	}
}

// TestRemedies looks at two pieces of advice that depend on the device.
func TestRemedies(t *testing.T) {
	f := wellKnown()
	f.Out.ReversePathFilter = 1
	if v := Decide(f); !strings.Contains(v.Remedy, "rp_filter") {
		t.Errorf("forwarded into rp_filter: %q", v.Remedy)
	}
	f.Entry, f.In.NoMulticastFlag = nil, true
	if v := Decide(f); !strings.Contains(v.Remedy, "multicast on") {
		t.Errorf("sender without the flag: %q", v.Remedy)
	}
}
