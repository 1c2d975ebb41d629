package relay_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"umroute/routing/relay"
)

// sender remembers what was sent, by link.
type sender struct {
	t    testing.TB
	sent map[uint32][]parsed
	fail bool
}

func (s *sender) Send(index uint32, packet []byte) error {
	if s.fail {
		return errors.New("no")
	}
	s.sent[index] = append(s.sent[index], parse(s.t, packet))
	return nil
}

// lab is a relay between red (1), blue (2), the host's LAN (3) and green (4),
// which has no addresses.
func lab(t testing.TB, rules ...relay.Rule) (*relay.Relay, *sender) {
	s := &sender{t: t, sent: make(map[uint32][]parsed)}
	r := relay.New(relay.Config{Sender: s, Routes: subnets{}})
	if len(rules) == 0 {
		rules = []relay.Rule{{Groups: []netip.AddrPort{mdns4, mdns6}, Rate: 100,
			Interfaces: []string{"red", "blue", "lan", "green"}}}
	}
	r.SetRules(rules)
	for i, name := range []string{"red", "blue", "lan", "green"} {
		index := uint32(i + 1)
		l := relay.Link{Index: index, Name: name, MTU: 1500, Replaces: name == "lan"}
		if name != "green" {
			l.Addresses = []netip.Addr{router(0, index, true), router(0, index, false)}
		}
		r.AddLink(l)
	}
	return r, s
}

func TestSourceIsKeptWhereItMeansSomething(t *testing.T) {
	for _, test := range []struct {
		source string
		group  netip.AddrPort
		want   map[uint32]string // link: source
	}{
		{"10.0.1.2:5353", mdns4,
			map[uint32]string{2: "10.0.1.2:5353", 3: "10.0.1.2:5353", 4: "10.0.1.2:5353"}},
		{"[fd00:1::2]:49152", mdns6, map[uint32]string{2: "[fd00:1::2]:49152",
			3: "[fd00:1::2]:49152", 4: "[fd00:1::2]:49152"}},
		{"[fe80::2]:5353", mdns6,
			map[uint32]string{2: "[fe80::1:2]:5353", 3: "[fe80::2]:5353"}},
		{"169.254.7.7:5353", mdns4,
			map[uint32]string{2: "10.0.2.100:5353", 3: "169.254.7.7:5353"}},
	} {
		r, s := lab(t)
		r.Handle(start, 1, pack(netip.MustParseAddrPort(test.source), test.group, 255, "hello"))
		got := make(map[uint32]string)
		for index, all := range s.sent {
			for _, p := range all {
				got[index] += p.source.String()
				if p.group != test.group || p.ttl != 255 || p.payload != "hello" {
					t.Errorf("%s: sent %v", test.source, p)
				}
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", test.source, diff)
		}
	}
}

func TestWhatIsNotRelayed(t *testing.T) {
	from := func(source string) []byte {
		return pack(netip.MustParseAddrPort(source), mdns4, 255, "hello")
	}
	change := func(at int, value byte) []byte {
		b := from("10.0.1.2:5353")
		b[at] = value
		return b
	}
	long := func(n int) []byte {
		return pack(netip.MustParseAddrPort("10.0.1.2:5353"), mdns4, 255, string(make([]byte, n)))
	}
	for _, test := range []struct {
		name   string
		packet []byte
		want   map[string]uint64
	}{
		{"another group", pack(netip.MustParseAddrPort("10.0.1.2:5353"),
			netip.MustParseAddrPort("224.0.0.252:5353"), 255, ""), nil},
		{"another port", pack(netip.MustParseAddrPort("10.0.1.2:5353"),
			netip.MustParseAddrPort("224.0.0.251:5354"), 255, ""), nil},
		{"no UDP", change(9, 2), nil},
		{"the router's source", from("10.0.2.100:5353"), map[string]uint64{"own": 1}},
		{"a source of another link", from("10.0.2.2:5353"), map[string]uint64{"wrong_if": 1}},
		{"a source of no link", from("10.0.0.2:5353"), map[string]uint64{"wrong_if": 1}},
		{"a group as the source", from("224.1.1.1:5353"), map[string]uint64{"bad_source": 1}},
		{"no source", from("0.0.0.0:5353"), map[string]uint64{"bad_source": 1}},
		{"a header that was damaged", change(1, 1), map[string]uint64{"bad_packet": 1}},
		{"a UDP length that lies", change(25, 9), map[string]uint64{"bad_packet": 1}},
		{"too long for the links", long(1473), map[string]uint64{"too_big": 3}},
	} {
		r, s := lab(t)
		r.Handle(start, 1, test.packet)
		if len(s.sent) > 0 {
			t.Errorf("%s: sent %v", test.name, s.sent)
		}
		got := r.Status().Dropped
		if diff := cmp.Diff(test.want, got); diff != "" && len(got)+len(test.want) > 0 {
			t.Errorf("%s: -want +got\n%s", test.name, diff)
		}
	}
	r, s := lab(t)
	whole := from("10.0.1.2:5353")
	for n := range whole {
		r.Handle(start, 1, whole[:n])
	}
	if len(s.sent) > 0 {
		t.Errorf("of prefixes: sent %v", s.sent)
	}
}

// TestFirstSpeakerOnly has others say what a link-local source said.
func TestFirstSpeakerOnly(t *testing.T) {
	r, s := lab(t)
	say := func(after time.Duration, link uint32, source string) int {
		before := len(s.sent[4-link])
		to := netip.MustParseAddrPort("[" + source + "]:5353")
		r.Handle(start.Add(after), link, pack(to, mdns6, 255, "who is there?"))
		return len(s.sent[4-link]) - before
	}
	for _, step := range []struct {
		after  time.Duration
		link   uint32
		source string
		want   int
	}{
		{0, 1, "fe80::2", 1},
		{time.Second, 1, "fe80::2", 1},     // again
		{time.Second, 1, "fe80::9", 0},     // a relay on the same link
		{2 * time.Second, 3, "fe80::2", 0}, // and on another
		{3 * time.Second, 1, "fe80::2", 1},
		{7 * time.Second, 1, "fe80::9", 0},
		{8 * time.Second, 1, "fe80::9", 1}, // the first has been silent for 5 s
		{9 * time.Second, 1, "fe80::2", 0},
	} {
		if got := say(step.after, step.link, step.source); got != step.want {
			t.Errorf("after %v %s on link %d: relayed %d times, want %d", step.after,
				step.source, step.link, got, step.want)
		}
		r.Advance(start.Add(step.after))
	}
	if due, ok := r.Deadline(); !ok {
		t.Error("no deadline")
	} else {
		r.Advance(due)
		r.Advance(due.Add(time.Minute))
	}
	if _, ok := r.Deadline(); ok {
		t.Error("a deadline although nothing is remembered")
	}
}

// TestMemoryIsBounded says more different things than are remembered.
func TestMemoryIsBounded(t *testing.T) {
	r, _ := lab(t, relay.Rule{Groups: []netip.AddrPort{mdns6}, Rate: 10_000,
		Interfaces: []string{"red", "blue"}})
	for i := range 5000 {
		r.Handle(start, 1, pack(netip.MustParseAddrPort("[fe80::2]:5353"), mdns6, 255, fmt.Sprint(i)))
	}
	if got := r.Status(); got.Relayed != 4096 || got.Dropped["busy"] != 904 {
		t.Errorf("%+v", got)
	}
}

func TestRate(t *testing.T) {
	r, _ := lab(t, relay.Rule{Groups: []netip.AddrPort{mdns4}, Rate: 10,
		Interfaces: []string{"red", "blue"}})
	packet := pack(netip.MustParseAddrPort("10.0.1.2:5353"), mdns4, 255, "hello")
	other := pack(netip.MustParseAddrPort("10.0.2.2:5353"), mdns4, 255, "hello")
	for range 100 {
		r.Handle(start, 1, slices.Clone(packet))
	}
	for range 20 {
		r.Handle(start.Add(500*time.Millisecond), 1, slices.Clone(packet))
	}
	r.Handle(start, 2, other) // each link has its own
	if got := r.Status(); got.Relayed != 16 || got.Dropped["rate"] != 105 {
		t.Errorf("%+v", got)
	}
}

func TestLinksAndRulesChange(t *testing.T) {
	both := relay.Rule{Groups: []netip.AddrPort{mdns4}, Rate: 100,
		Interfaces: []string{"red", "blue"}}
	r, s := lab(t, both)
	say := func() int {
		before := len(s.sent[2])
		r.Handle(start, 1, pack(netip.MustParseAddrPort("10.0.1.2:5353"), mdns4, 255, "hello"))
		return len(s.sent[2]) - before
	}
	expect := func(what string, want int) {
		t.Helper()
		packet := pack(netip.MustParseAddrPort("10.0.1.2:5353"), mdns4, 255, "hello")
		if got := r.Filter().Wants(1, packet); got != (want == 1 || what != "no rule") {
			t.Errorf("%s: the filter says %v", what, got)
		}
		if got := say(); got != want {
			t.Errorf("%s: relayed %d times, want %d", what, got, want)
		}
	}
	expect("as it is", 1)
	r.SetUp(2, false)
	expect("blue is down", 0)
	r.SetUp(2, true)
	r.SetRules([]relay.Rule{both})
	if got := r.Status().Rules[0]; got.Received != 2 || got.Relayed != 1 {
		t.Errorf("a rule that stays has %+v", got)
	}
	s.fail = true
	expect("blue takes nothing", 0)
	s.fail = false
	r.RemoveLink(2)
	expect("blue is gone", 0)
	r.AddLink(relay.Link{Index: 2, Name: "blue", MTU: 1500})
	expect("blue is back", 1)
	want := []netip.AddrPort{mdns4}
	if diff := cmp.Diff(want, r.Groups("red"), cmp.Comparer(func(a, b netip.AddrPort) bool {
		return a == b
	})); diff != "" {
		t.Error("groups: -want +got\n", diff)
	}
	r.SetRules(nil)
	expect("no rule", 0)
	if got := r.Status().Dropped; got["down"] != 1 || got["send"] != 1 {
		t.Errorf("dropped %v", got)
	}
}

func FuzzHandle(f *testing.F) {
	f.Add(uint8(1), pack(netip.MustParseAddrPort("10.0.1.2:5353"), mdns4, 255, "hello"))
	f.Add(uint8(2), pack(netip.MustParseAddrPort("[fe80::2]:5353"), mdns6, 255, "hello"))
	f.Fuzz(func(t *testing.T, index uint8, packet []byte) {
		s := &count{}
		r := relay.New(relay.Config{Sender: s, Routes: subnets{}})
		r.SetRules([]relay.Rule{{Groups: []netip.AddrPort{mdns4, mdns6}, Rate: 100,
			Interfaces: []string{"link1", "link2"}}})
		for i := range uint32(2) {
			r.AddLink(relay.Link{Index: i + 1, Name: linkName(i + 1), MTU: 1500,
				Addresses: []netip.Addr{router(0, i+1, true), router(0, i+1, false)}})
		}
		filter := r.Filter()
		wanted := filter.Wants(uint32(index), packet)
		r.Handle(start, uint32(index), packet)
		if s.sent > 1 || s.sent == 1 && !wanted {
			t.Errorf("sent %d times, wanted: %v", s.sent, wanted)
		}
	})
}

// count counts what is sent.
type count struct{ sent int }

func (c *count) Send(uint32, []byte) error { c.sent++; return nil }
