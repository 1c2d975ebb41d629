package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"umroute/cmd/umroute/internal/control"
)

// explainCase is a flow from red, and what keeps it from an interface.
type explainCase struct {
	cause    string
	to       string // the interface asked for
	group    string // with the port
	source   string // "" is red
	mentions string // in the answer's text
	prepare  func(group netip.AddrPort)
	// during is done again and again while the router looks for packets.
	during func(group netip.AddrPort)
}

// TestExplain brings about each cause and asks for it:
//
//	red   ──mc0──┐         ┌──mc0── blue    an ordinary receiver
//	sends        │         ├──mc0── far     ttl-threshold 32
//	green ──mc0── router ──┼──mc0── lab     another domain
//	sends as red │         ├──mc0── mute    has no IGMP and no MLD
//	guard ──mc0──┘         │
//	likewise, strict       │
//	                       ├──mc0── old     IGMPv2 and MLDv1
//	                       ├──mc0── few     one group, of 239.1.0.0/16
//	                       ├──mc0── asleep  IGMP without an address
//	                       └──mc0── down    set down
func TestExplain(t *testing.T) {
	t.Parallel()
	names := []string{"red", "green", "guard", "blue", "far", "lab", "mute", "old", "few", "down"}
	more := map[string]string{
		"blue":  "boundary: [239.255.0.0/16, \"ff15:ff::/32\"]",
		"guard": "source-validation: strict",
		"far":   "ttl-threshold: 32", "lab": "domain: lab",
		"mute": "igmp: {enabled: false}, mld: {enabled: false}",
		"old":  "igmp: {version: 2}, mld: {version: 1}",
		"few":  "igmp: {max-groups: 1, allow: [239.1.0.0/16, 232.0.0.0/8]}",
	}
	at := make(map[string]*station)
	stations := newStations(t, names...)
	for _, s := range stations {
		s.more = more[s.name]
		at[s.name] = s
	}
	asleep := newStations(t, "asleep")[0]
	p := startRouter(t, configure(stations...)+
		"  asleep: {netns: "+asleep.netns+", igmp: {enabled: true}}\n")
	at["down"].Run("ip", "link", "set", device, "down")
	eventually(t, "the interface is down", func() bool { return !p.iface("down").Up })

	for _, test := range explainCases(t, p, at) {
		p.checkExplain(t, at["red"], test)
	}
	p.stop()
}

func explainCases(t *testing.T, p *process, at map[string]*station) []explainCase {
	red, green, blue, far, few := at["red"], at["green"], at["blue"], at["far"], at["few"]
	joined := func(s *station) func(netip.AddrPort) {
		return func(group netip.AddrPort) {
			s.join(group)
			p.awaitJoined(s.name, group.Addr())
		}
	}
	sending := func(ttl int) func(netip.AddrPort) {
		return func(group netip.AddrPort) { red.send(group, "x", ttl) }
	}
	return []explainCase{
		{cause: "link-local-group", to: "blue", group: "224.0.0.251:5353", mentions: "224.0.0.0/24"},
		{cause: "link-local-group", to: "blue", group: "[ff02::fb]:5353", mentions: "scope 2"},
		{cause: "bad-source", to: "blue", group: "239.1.1.1:1", source: "169.254.1.1"},
		{cause: "no-interface", to: "blau", group: "239.1.1.1:1", mentions: "red, green, guard, blue"},
		{cause: "interface-down", to: "down", group: "239.1.1.1:1", mentions: "device is down"},
		{cause: "no-route", to: "blue", group: "239.1.1.1:1", source: "198.51.100.9",
			mentions: "198.51.100.9"},
		{cause: "incoming-interface", to: "red", group: "239.1.1.1:1", mentions: "10.0.1.0/24"},
		{cause: "domain", to: "lab", group: "239.1.1.1:1", mentions: "domain lab"},
		{cause: "boundary", to: "blue", group: "239.255.1.1:1", mentions: "boundary of blue"},
		{cause: "boundary", to: "blue", group: "[ff15:ff::1]:1", mentions: "boundary of blue"},
		{cause: "membership-off", to: "mute", group: "[ff15::7]:1", mentions: "MLD is off"},
		{cause: "older-version", to: "old", group: "232.1.1.1:1", mentions: "IGMP version 2"},
		{cause: "older-version", to: "old", group: "[ff3e::8000:1]:1", mentions: "MLD version 1"},
		{cause: "not-allowed", to: "few", group: "239.2.1.1:1"},
		{cause: "limit", to: "few", group: "239.1.1.2:5002", mentions: "limit of 1 groups",
			prepare: func(group netip.AddrPort) {
				joined(few)(netip.MustParseAddrPort("239.1.1.1:5001"))
				few.join(group)
				eventually(t, "the second join is refused", func() bool {
					return p.iface("few").IGMP.Ignored["too_many_groups"] > 0
				})
			}},
		{cause: "no-querier", to: "asleep", group: "239.1.1.1:1", mentions: "no IGMP querier"},
		{cause: "source-filter", to: "blue", group: "239.1.2.1:5001", mentions: "all sources but",
			prepare: func(group netip.AddrPort) {
				conn := blue.join(group)
				blue.block(conn, group.Addr(), red.v4)
				p.awaitSources("blue", group.Addr(), map[netip.Addr]bool{red.v4: false})
			}},
		{cause: "source-filter", to: "blue", group: "[ff3e::8000:2]:5002", mentions: "other sources",
			prepare: func(group netip.AddrPort) {
				blue.join(group, red.v6.Next())
				p.awaitSources("blue", group.Addr(), map[netip.Addr]bool{red.v6.Next(): true})
			}},
		{cause: "no-members", to: "blue", group: "239.1.3.1:1", mentions: "no host on blue"},
		{cause: "no-traffic", to: "blue", group: "239.1.4.1:5001", prepare: joined(blue)},
		{cause: "ttl", to: "blue", group: "239.1.4.2:5001", prepare: joined(blue),
			during: sending(1), mentions: "came in by red with TTL 1"},
		{cause: "ttl", to: "blue", group: "[ff15::4:2]:5001", prepare: joined(blue),
			during: sending(1), mentions: "came in by red with TTL 1"},
		{cause: "wrong-interface", to: "blue", group: "239.1.5.1:5001", prepare: joined(blue),
			mentions: "came in by green, but are expected on red (RIB: 10.0.1.0/24 on red",
			during: func(group netip.AddrPort) {
				green.sendRaw(udpPacket(netip.AddrPortFrom(red.v4, 4000), group, anyTTL, "x"))
			}},
		{cause: "source-validation", to: "blue", group: "239.1.5.2:5001", prepare: joined(blue),
			mentions: "came in by guard, where this source may not send",
			during: func(group netip.AddrPort) {
				at["guard"].sendRaw(udpPacket(netip.AddrPortFrom(red.v4, 4000), group, anyTTL, "x"))
			}},
		{cause: "threshold", to: "far", group: "239.1.6.1:5001", prepare: joined(far),
			during: sending(anyTTL), mentions: "threshold of far, 32"},
		{cause: "forwarded", to: "blue", group: "239.1.7.1:5001", prepare: joined(blue),
			during: sending(anyTTL), mentions: "comes in by red"},
		{cause: "no-multicast-flag", to: "blue", group: "239.1.8.1:1", mentions: "flag MULTICAST",
			prepare: func(netip.AddrPort) {
				blue.Run("ip", "link", "set", device, "multicast", "off")
			}},
	}
}

// checkExplain asks until the answer is the one that is wanted: what the kernel
// tells about a device takes a moment to arrive.
func (p *process) checkExplain(t *testing.T, red *station, test explainCase) {
	t.Helper()
	t.Logf("# %s: %s to %s", test.cause, test.group, test.to)
	group := netip.MustParseAddrPort(test.group)
	q := control.Question{Group: group.Addr(), Interface: test.to,
		Source: red.address(group.Addr())}
	if test.source != "" {
		q.Source = netip.MustParseAddr(test.source)
	}
	if test.prepare != nil {
		test.prepare(group)
	}
	var answer control.Explanation
	ask := func() {
		var err error
		if answer, err = p.control.Explain(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the answer is "+test.cause, func() bool {
		if test.during == nil {
			ask()
			return answer.Cause == test.cause
		}
		q.Wait = time.Second
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			answer, _ = p.control.Explain(t.Context(), q) // an error has no cause
		}()
		for {
			test.during(group)
			select {
			case <-asked:
				return answer.Cause == test.cause
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	if !strings.Contains(answer.Text, test.mentions) {
		t.Errorf("%q does not mention %q", answer.Text, test.mentions)
	}
	if answer.Forwarded != (test.cause == "forwarded") || answer.Rule == "" {
		t.Errorf("%+v", answer)
	}
}

// TestExplainCommand asks as people and scripts do.
func TestExplainCommand(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	p := startRouter(t, configure(stations...))
	flags := []string{"explain", "--socket", p.socket, "--source", "10.0.1.2", "--group",
		"239.1.1.1", "--interface", "blue"}
	stdout, stderr, status := run(t, flags...)
	want := "not forwarded: (10.0.1.2, 239.1.1.1) to blue\ncause  no-members\n"
	if status != statusDone || stderr != "" || !strings.HasPrefix(stdout, want) {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
	if !strings.Contains(stdout, "10.0.1.0/24 on red (connected)") {
		t.Errorf("no word of the RIB in:\n%s", stdout)
	}
	stdout, _, status = run(t, append(flags, "--json")...)
	if status != statusDone || !strings.Contains(stdout, `"cause": "no-members"`) {
		t.Errorf("status %d, %s", status, stdout)
	}
	for _, wrong := range [][]string{
		{"--source", "fd00::1"}, {"--group", "10.0.0.1"}, {"--wait", "11s"}, {"--horse"},
	} {
		_, stderr, status := run(t, append(flags, wrong...)...)
		if status != statusUsage || stderr == "" {
			t.Errorf("%v: status %d, %s", wrong, status, stderr)
		}
	}
}
