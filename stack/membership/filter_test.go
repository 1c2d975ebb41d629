package membership

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"umroute/stack/igmp"
	"umroute/stack/mld"
)

// TestIgnored sends one message each and demands that it is counted under its
// reason and changes nothing.
func TestIgnored(t *testing.T) {
	for _, tt := range []struct {
		name   string
		family Family
		config func(*InterfaceConfig)
		packet func(*bench) []byte
		want   Reason
	}{
		{"empty", IGMP, nil, func(b *bench) []byte { return nil }, Malformed},
		{"IPv6 for IGMP", IGMP, nil, func(b *bench) []byte { return make([]byte, 60) }, Malformed},
		{"IPv4 for MLD", MLD, nil, func(b *bench) []byte { return make([]byte, 60) }, Malformed},
		{"cut", IGMP, nil, func(b *bench) []byte {
			return b.of("10.0.1.9 v2 239.1.1.1")[:30]
		}, Malformed},
		{"cut MLD", MLD, nil, func(b *bench) []byte {
			return b.of("fe80::9 TO_EX ff1e::1")[:70]
		}, Malformed},
		{"query of 9 octets", IGMP, nil, func(b *bench) []byte {
			return b.igmpPacket(addr("10.0.1.1"), igmp.AllSystems,
				raw{0x11, 1, 0xee, 0xfe, 0, 0, 0, 0, 0})
		}, Malformed},
		{"report with a record missing", IGMP, nil, func(b *bench) []byte {
			return b.igmpPacket(addr("10.0.1.9"), igmp.AllV3Routers,
				raw{0x22, 0, 0xdd, 0xfe, 0, 0, 0, 1})
		}, Malformed},
		{"MLD report with a record missing", MLD, nil, func(b *bench) []byte {
			return b.mldPacket(addr("fe80::9"), mld.AllV2Routers, raw{143, 0, 0, 0, 0, 0, 0, 1})
		}, Malformed},
		{"MLD query of 26 octets", MLD, nil, func(b *bench) []byte {
			return b.mldPacket(addr("fe80::1"), mld.AllNodes, append(raw{130}, make(raw, 25)...))
		}, Malformed},
		{"checksum", IGMP, nil, func(b *bench) []byte {
			return flip(b.of("10.0.1.9 v2 239.1.1.1"), 26)
		}, BadChecksum},
		{"MLD checksum", MLD, nil, func(b *bench) []byte {
			return flip(b.of("fe80::9 TO_EX ff1e::1"), 60)
		}, BadChecksum},
		{"fragment", IGMP, nil, func(b *bench) []byte {
			return flip(b.of("10.0.1.9 v2 239.1.1.1"), 7)
		}, Fragment},
		{"PIMv1", IGMP, nil, func(b *bench) []byte {
			return b.igmpPacket(addr("10.0.1.9"), igmp.AllRouters,
				raw{0x14, 0, 0xeb, 0xff, 0, 0, 0, 0})
		}, UnknownType},
		{"router advertisement", MLD, nil, func(b *bench) []byte {
			return b.mldPacket(addr("fe80::9"), mld.AllNodes, append(raw{134}, make(raw, 15)...))
		}, UnknownType},
		{"record type 7", IGMP, nil, func(b *bench) []byte {
			return b.igmpPacket(addr("10.0.1.9"), igmp.AllV3Routers, &igmp.Report{
				Records: []igmp.Record{{Type: 7, Group: addr("239.1.1.1")}}})
		}, UnknownRecord},
		{"no Router Alert", IGMP, func(c *InterfaceConfig) { c.RequireRouterAlert = true },
			func(b *bench) []byte { return withoutAlert(b.of("10.0.1.9 v2 239.1.1.1")) },
			NoRouterAlert},
		{"MLD without Router Alert", MLD, nil, func(b *bench) []byte {
			p := b.of("fe80::9 TO_EX ff1e::1")
			copy(p[42:], []byte{1, 4, 0, 0, 0, 0})
			return p
		}, NoRouterAlert},
		{"MLD hop limit 2", MLD, nil, func(b *bench) []byte {
			p := b.of("fe80::9 TO_EX ff1e::1")
			p[7] = 2
			return p
		}, BadHopLimit},
		{"off the link", IGMP, nil, sent("10.0.2.9 TO_EX 239.1.1.1"), OffLink},
		{"MLD from a global address", MLD, nil, sent("2001:db8::9 TO_EX ff1e::1"), OffLink},
		{"unicast group", IGMP, nil, sent("10.0.1.9 TO_EX 10.1.1.1"), NotMulticast},
		{"MLD unicast group", MLD, nil, sent("fe80::9 TO_EX 2001:db8::1"), NotMulticast},
		{"local network control block", IGMP, nil, sent("10.0.1.9 TO_EX 224.0.0.251"),
			LinkLocalGroup},
		{"scope 0", MLD, nil, sent("fe80::9 TO_EX ff00::1"), LinkLocalGroup},
		{"scope 1", MLD, nil, sent("fe80::9 TO_EX ff11::1"), LinkLocalGroup},
		{"scope 2", MLD, nil, sent("fe80::9 TO_EX ff02::1:ff00:1"), LinkLocalGroup},
		{"not in the list", IGMP, func(c *InterfaceConfig) {
			c.Allow = []netip.Prefix{netip.MustParsePrefix("239.2.0.0/16")}
		}, sent("10.0.1.9 TO_EX 239.1.1.1"), NotAllowed},
		{"source 0.0.0.0", IGMP, nil, sent("10.0.1.9 ALLOW 239.1.1.1 0.0.0.0"), BadSource},
		{"multicast source", IGMP, nil, sent("10.0.1.9 ALLOW 239.1.1.1 239.0.0.1"), BadSource},
		{"broadcast source", IGMP, nil, sent("10.0.1.9 ALLOW 239.1.1.1 255.255.255.255"),
			BadSource},
		{"mapped source", MLD, nil, sent("fe80::9 ALLOW ff1e::1 ::ffff:10.0.0.1"), BadSource},
		{"SSM in EXCLUDE", IGMP, nil, sent("10.0.1.9 TO_EX 232.1.1.1"), SSMExclude},
		{"SSM in IGMPv2", IGMP, nil, sent("10.0.1.9 v2 232.1.1.1"), SSMOlderVersion},
		{"SSM in MLDv1", MLD, nil, sent("fe80::9 v1 ff3e::1"), SSMOlderVersion},
		{"own query", IGMP, nil, func(b *bench) []byte {
			return b.igmpPacket(addr("10.0.1.2"), igmp.AllSystems, &igmp.Query{Version: 3})
		}, OwnQuery},
		{"query from 0.0.0.0", IGMP, nil, func(b *bench) []byte {
			return b.igmpPacket(addr("0.0.0.0"), igmp.AllSystems, &igmp.Query{Version: 3})
		}, UnspecifiedQuerier},
		{"MLD query from ::", MLD, nil, func(b *bench) []byte {
			return b.mldPacket(addr("::"), mld.AllNodes, &mld.Query{Version: 2})
		}, UnspecifiedQuerier},
		{"query of a higher address", MLD, nil, func(b *bench) []byte {
			return b.mldPacket(addr("fe80::3"), mld.AllNodes, &mld.Query{Version: 2})
		}, LostElection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := defaults(tt.family)
			if tt.config != nil {
				tt.config(&config)
			}
			b := newBench(t, tt.family, config)
			b.do([]string{"add"})
			b.lines = nil
			b.router.Handle(b.now, 1, tt.packet(b))
			s := b.status()
			if diff := cmp.Diff(map[Reason]uint64{tt.want: 1}, s.Counters.Ignored); diff != "" {
				t.Errorf("ignored (-want +got)\n%s", diff)
			}
			if len(b.lines) != 0 || !s.IsQuerier || s.Groups != 0 {
				t.Errorf("%q; %+v", b.lines, s)
			}
		})
	}
}

// raw is a message as it is.
type raw []byte

func (m raw) AppendBinary(b []byte) ([]byte, error) { return append(b, m...), nil }

func sent(words string) func(*bench) []byte {
	return func(b *bench) []byte { return b.of(words) }
}

// of returns the packet of a host, in the form of a script.
func (b *bench) of(words string) []byte {
	w := strings.Fields(words)
	var sources []netip.Addr
	for _, s := range w[3:] {
		sources = append(sources, addr(s))
	}
	return b.report(addr(w[0]), w[1], addr(w[2]), sources)
}

func flip(packet []byte, offset int) []byte {
	packet[offset] ^= 1
	return packet
}

// withoutAlert turns the Router Alert into no-operations, with a right checksum:
// the sum of the header grows by what the option's words shrink.
func withoutAlert(packet []byte) []byte {
	copy(packet[20:], []byte{1, 1, 1, 1})
	sum := uint32(packet[10])<<8 | uint32(packet[11])
	sum += 0x9404 + (0xffff - 0x0101) + (0xffff - 0x0101)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	packet[10], packet[11] = byte(sum>>8), byte(sum)
	return packet
}

// What looks odd and is to be heard all the same.
func TestAccepted(t *testing.T) {
	playAll(t, []script{
		{name: "host without address, RFC 9776 section 4.2", config: quiet,
			script: firstQuery + `
			> 1s 0.0.0.0 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 2s end`},
		{name: "host without address in MLD, RFC 9777 section 5.2", family: MLD, config: quiet,
			script: firstQueryMLD + `
			> 1s :: TO_EX ff1e::1
			@1s add *,ff1e::1
			> 2s end`},
		{name: "SSDP and administratively scoped groups", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 TO_EX 239.255.255.250
			@1s add *,239.255.255.250
			> 1s 10.0.1.9 TO_EX 224.0.1.129
			@1s add *,224.0.1.129
			> 2s end`},
		{name: "a good source among bad ones, twice", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 ALLOW 239.1.1.1 0.0.0.0 10.9.0.1 224.0.0.1 10.9.0.1
			@1s add 10.9.0.1,239.1.1.1
			> 2s end`},
		{name: "any subnet where none is known", config: func(c *InterfaceConfig) {
			quiet(c)
			c.Prefixes = nil
		}, script: firstQuery + `
			> 1s 192.0.2.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 2s end`},
	})
}

func TestLimits(t *testing.T) {
	config := defaults(IGMP)
	config.MaxGroups, config.MaxSources = 2, 3
	b := newBench(t, IGMP, config)
	b.do([]string{"add"})
	for _, words := range []string{
		"join * 239.9.9.9", // static ones do not count
		"10.0.1.9 TO_EX 239.1.1.1",
		"10.0.1.9 ALLOW 239.1.1.2 10.9.0.1 10.9.0.2 10.9.0.3 10.9.0.4",
		"10.0.1.9 TO_EX 239.1.1.3",
		"10.0.1.9 IS_EX 239.1.1.2 10.9.0.5 10.9.0.6 10.9.0.7", // replaces the list
		"10.0.1.9 BLOCK 239.1.1.3 10.9.0.1",                   // nothing to begin with
	} {
		b.do(strings.Fields(words))
	}
	want := map[Reason]uint64{TooManyGroups: 1, TooManySources: 1}
	if diff := cmp.Diff(want, b.status().Counters.Ignored); diff != "" {
		t.Errorf("ignored (-want +got)\n%s", diff)
	}
	g, _ := b.group("239.1.1.2")
	if got := len(g.Sources); got != 3 || g.Sources[0].Address != addr("10.9.0.5") {
		t.Errorf("%d sources: %+v", got, g.Sources)
	}
	if got := len(b.router.Groups(b.now)); got != 3 {
		t.Errorf("%d groups", got)
	}
	// A group that goes makes room.
	b.do(strings.Fields("10.0.1.9 TO_IN 239.1.1.1"))
	b.advance(b.now.Add(2 * time.Second))
	b.do(strings.Fields("10.0.1.9 TO_EX 239.1.1.3"))
	if _, ok := b.group("239.1.1.3"); !ok {
		t.Error("no room after a leave")
	}
}

func TestPacketRate(t *testing.T) {
	config := defaults(IGMP)
	config.PacketRate = 10
	b := newBench(t, IGMP, config)
	b.do([]string{"add"})
	packet := b.of("10.0.1.9 IS_EX 239.1.1.1")
	storm := func() uint64 {
		before := b.status().Counters.Received.ReportsV3
		for range 1000 {
			b.router.Handle(b.now, 1, packet)
		}
		return b.status().Counters.Received.ReportsV3 - before
	}
	if got := storm(); got != 10 {
		t.Errorf("%d heard in a burst, want 10", got)
	}
	b.now = b.now.Add(300 * time.Millisecond)
	if got := storm(); got != 3 {
		t.Errorf("%d heard after 0.3 s, want 3", got)
	}
	b.now = b.now.Add(time.Hour)
	if got := storm(); got != 10 {
		t.Errorf("%d heard in a burst after an hour, want 10", got)
	}
	if got := b.status().Counters.Ignored[RateLimited]; got != 3000-23 {
		t.Errorf("%d ignored", got)
	}
}

func TestReasonNames(t *testing.T) {
	seen := []string{""}
	for r := accepted + 1; r < reasons; r++ {
		if slices.Contains(seen, r.String()) {
			t.Errorf("reason %d has no name of its own: %q", r, r)
		}
		seen = append(seen, r.String())
	}
}
