package proxy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"umroute/stack/igmp"
	"umroute/stack/mld"
)

// hostLab is a Host, a link that writes down what it says, and a clock.
type hostLab struct {
	t    *testing.T
	host *Host
	now  time.Time
	said []string
	fail error
}

var (
	ourAddress     = netip.MustParseAddr("10.0.9.2")
	querierAddress = netip.MustParseAddr("10.0.9.1")
	ourLinkLocal   = netip.MustParseAddr("fe80::2")
	querierLocal   = netip.MustParseAddr("fe80::1")
	groupSix       = netip.MustParseAddr("ff0e::1")
)

func newHostLab(t *testing.T, config HostConfig) *hostLab {
	l := &hostLab{t: t, now: time.Unix(1_000_000, 0)}
	config.Index, config.Name, config.Sender = 7, "wan", l
	config.Random = rand.New(rand.NewPCG(5, 6))
	if !config.Address.IsValid() {
		config.Address = ourAddress
		if config.IPv6 {
			config.Address = ourLinkLocal
		}
	}
	l.host = NewHost(config)
	return l
}

// Send implements Sender.
func (l *hostLab) Send(index uint32, packet []byte) error {
	if index != 7 {
		l.t.Errorf("sent on interface %d", index)
	}
	if l.fail != nil {
		return l.fail
	}
	if l.host.config.IPv6 {
		l.said = append(l.said, sayMLD(l.t, packet))
	} else {
		l.said = append(l.said, sayIGMP(l.t, packet))
	}
	if len(packet) > l.host.config.MTU {
		l.t.Errorf("a packet of %d octets", len(packet))
	}
	return nil
}

func sayIGMP(t *testing.T, packet []byte) string {
	p, err := igmp.ParsePacket(packet)
	if err != nil || p.TTL != 1 || !p.RouterAlert || p.Source != ourAddress {
		t.Errorf("packet %+v: %v", p, err)
		return ""
	}
	switch igmp.Type(p.Message[0]) {
	case igmp.TypeV3Report:
		var report igmp.Report
		if err := report.UnmarshalBinary(p.Message); err != nil {
			t.Error(err)
		}
		var records []string
		for _, r := range report.Records {
			records = append(records, fmt.Sprintf("%v %v %v", r.Type, r.Group, r.Sources))
		}
		return strings.Join(records, "; ")
	case igmp.TypeLeave:
		var leave igmp.Leave
		if err := leave.UnmarshalBinary(p.Message); err != nil || p.Destination != igmp.AllRouters {
			t.Error(err, p.Destination)
		}
		return "leave " + leave.Group.String()
	}
	var report igmp.GroupReport
	if err := report.UnmarshalBinary(p.Message); err != nil || p.Destination != report.Group {
		t.Error(err, p.Destination)
	}
	return fmt.Sprintf("v%d report %v", report.Version, report.Group)
}

func sayMLD(t *testing.T, packet []byte) string {
	p, err := mld.ParsePacket(packet)
	if err != nil || p.HopLimit != 1 || !p.RouterAlert || p.Source != ourLinkLocal {
		t.Errorf("packet %+v: %v", p, err)
		return ""
	}
	switch mld.Type(p.Message[0]) {
	case mld.TypeV2Report:
		var report mld.Report
		if err := report.UnmarshalBinary(p.Message); err != nil {
			t.Error(err)
		}
		var records []string
		for _, r := range report.Records {
			records = append(records, fmt.Sprintf("%v %v %v", r.Type, r.Group, r.Sources))
		}
		return strings.Join(records, "; ")
	case mld.TypeDone:
		var done mld.Done
		if err := done.UnmarshalBinary(p.Message); err != nil || p.Destination != mld.AllRouters {
			t.Error(err, p.Destination)
		}
		return "done " + done.Group.String()
	}
	var report mld.GroupReport
	if err := report.UnmarshalBinary(p.Message); err != nil || p.Destination != report.Group {
		t.Error(err, p.Destination)
	}
	return fmt.Sprintf("v1 report %v", report.Group)
}

func (l *hostLab) set(group netip.Addr, f Filter) {
	l.host.SetFilter(l.now, group, f)
	l.host.Advance(l.now)
}

// pass lets time pass, from deadline to deadline.
func (l *hostLab) pass(d time.Duration) {
	l.t.Helper()
	end := l.now.Add(d)
	for steps := 0; ; steps++ {
		at, ok := l.host.Deadline()
		if !ok || at.After(end) {
			break
		}
		if steps > 10_000 {
			l.t.Fatal("the deadline does not move")
		}
		if at.After(l.now) {
			l.now = at
		}
		l.host.Advance(l.now)
	}
	l.now = end
}

// want compares what was said since the last call.
func (l *hostLab) want(what string, said ...string) {
	l.t.Helper()
	if diff := cmp.Diff(said, l.said); diff != "" && len(said)+len(l.said) > 0 {
		l.t.Errorf("%s (-want +got)\n%s", what, diff)
	}
	l.said = nil
}

func (l *hostLab) hear(q igmp.Query) {
	l.t.Helper()
	to := q.Group
	if !to.IsValid() {
		to = igmp.AllSystems
	}
	packet, err := igmp.AppendPacket(nil, querierAddress, to, &q)
	if err != nil {
		l.t.Fatal(err)
	}
	l.host.Handle(l.now, packet)
	l.host.Advance(l.now)
}

func (l *hostLab) hearMLD(q mld.Query) {
	l.t.Helper()
	to := q.Group
	if !to.IsValid() {
		to = mld.AllNodes
	}
	packet, err := mld.AppendPacket(nil, querierLocal, to, &q)
	if err != nil {
		l.t.Fatal(err)
	}
	l.host.Handle(l.now, packet)
	l.host.Advance(l.now)
}

var general = igmp.Query{Version: 3, MaxResponse: 10 * time.Second, Robustness: 2,
	Interval: 125 * time.Second}

// RFC 9776 section 5.1: each change is told at once, and again within a second.
func TestStateChanges(t *testing.T) {
	for _, tt := range []struct {
		name     string
		from, to Filter
		said     []string
	}{
		{"join", include(), exclude(), []string{"TO_EX 239.1.1.1 []"}},
		{"leave", exclude(), include(), []string{"TO_IN 239.1.1.1 []"}},
		{"join a source", include(), include(sourceA), []string{"ALLOW 239.1.1.1 [10.0.0.1]"}},
		{"leave the last source", include(sourceA), include(),
			[]string{"BLOCK 239.1.1.1 [10.0.0.1]"}},
		{"other sources", include(sourceA, sourceB), include(sourceB, sourceC),
			[]string{"ALLOW 239.1.1.1 [10.0.0.3]; BLOCK 239.1.1.1 [10.0.0.1]"}},
		{"exclude other sources", exclude(sourceA, sourceB), exclude(sourceB, sourceC),
			[]string{"ALLOW 239.1.1.1 [10.0.0.1]; BLOCK 239.1.1.1 [10.0.0.3]"}},
		{"to exclude", include(sourceA), exclude(sourceB),
			[]string{"TO_EX 239.1.1.1 [10.0.0.2]"}},
		{"to include", exclude(sourceA), include(sourceA),
			[]string{"TO_IN 239.1.1.1 [10.0.0.1]"}},
		{"no change", exclude(sourceA), exclude(sourceA), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newHostLab(t, HostConfig{})
			l.set(groupA, tt.from)
			l.pass(time.Minute)
			l.said = nil
			l.set(groupA, tt.to)
			l.want("at once", tt.said...)
			l.pass(time.Second)
			l.want("within a second", tt.said...)
			l.pass(time.Hour)
			l.want("later")
			if tt.to.IsZero() && len(l.host.members) != 0 {
				t.Error("the group is kept")
			}
		})
	}
}

// RFC 9776 section 5.1: changes that come before an earlier one was repeated.
func TestMergedChanges(t *testing.T) {
	l := newHostLab(t, HostConfig{})
	l.set(groupA, include(sourceA))
	l.want("first", "ALLOW 239.1.1.1 [10.0.0.1]")
	l.set(groupA, include(sourceA, sourceB))
	l.want("second, with the first again", "ALLOW 239.1.1.1 [10.0.0.1 10.0.0.2]")
	l.set(groupA, exclude())
	l.want("the mode", "TO_EX 239.1.1.1 []")
	l.set(groupA, exclude(sourceC))
	l.want("the mode again, with the list", "TO_EX 239.1.1.1 [10.0.0.3]")
	l.pass(time.Second)
	l.want("the list again", "BLOCK 239.1.1.1 [10.0.0.3]")
	l.set(groupA, exclude())
	l.set(groupA, exclude(sourceC))
	l.want("to and fro", "ALLOW 239.1.1.1 [10.0.0.3]", "BLOCK 239.1.1.1 [10.0.0.3]")
	l.pass(time.Second)
	l.want("only the end of it", "BLOCK 239.1.1.1 [10.0.0.3]")
}

func TestJoinAndLeaveBetweenTwoCalls(t *testing.T) {
	l := newHostLab(t, HostConfig{})
	l.host.SetFilter(l.now, groupA, exclude())
	l.host.SetFilter(l.now, groupB, exclude())
	l.host.SetFilter(l.now, groupA, include())
	l.host.Advance(l.now)
	l.want("in one report", "TO_IN 239.1.1.1 []; TO_EX 239.1.1.2 []")
}

// RFC 9776 section 5.2: the answers to queries, after a random delay.
func TestAnswers(t *testing.T) {
	l := newHostLab(t, HostConfig{})
	l.set(groupA, exclude(sourceA))
	l.set(groupB, include(sourceA, sourceB))
	l.pass(time.Minute)
	l.said = nil

	l.hear(general)
	l.want("not at once")
	l.pass(10 * time.Second)
	l.want("general", "IS_EX 239.1.1.1 [10.0.0.1]; IS_IN 239.1.1.2 [10.0.0.1 10.0.0.2]")
	l.pass(time.Hour)
	l.want("once")

	ask := func(group netip.Addr, sources ...netip.Addr) {
		l.hear(igmp.Query{Version: 3, Group: group, MaxResponse: time.Second, Sources: sources})
	}
	ask(groupA)
	l.pass(time.Second)
	l.want("group", "IS_EX 239.1.1.1 [10.0.0.1]")
	ask(netip.MustParseAddr("239.9.9.9"))
	l.pass(time.Second)
	l.want("unknown group")
	ask(groupA, sourceC, sourceA)
	l.pass(time.Second)
	l.want("sources of EXCLUDE: B−A", "IS_IN 239.1.1.1 [10.0.0.3]")
	ask(groupB, sourceC, sourceA)
	l.pass(time.Second)
	l.want("sources of INCLUDE: A∩B", "IS_IN 239.1.1.2 [10.0.0.1]")
	ask(groupA, sourceA)
	l.pass(time.Second)
	l.want("a blocked source")

	ask(groupB, sourceA)
	ask(groupB, sourceB)
	l.pass(time.Second)
	l.want("rule 5: both lists", "IS_IN 239.1.1.2 [10.0.0.1 10.0.0.2]")
	ask(groupB, sourceA)
	ask(groupB)
	l.pass(time.Second)
	l.want("rule 4: the group", "IS_IN 239.1.1.2 [10.0.0.1 10.0.0.2]")
	l.hear(igmp.Query{Version: 3, MaxResponse: time.Millisecond})
	l.hear(igmp.Query{Version: 3, Group: groupA, MaxResponse: 100 * time.Second})
	l.pass(time.Hour)
	l.want("rule 1: the general answer is sooner",
		"IS_EX 239.1.1.1 [10.0.0.1]; IS_IN 239.1.1.2 [10.0.0.1 10.0.0.2]")
}

// The delays fill the response time.
func TestDelaysAreSpread(t *testing.T) {
	l := newHostLab(t, HostConfig{})
	l.set(groupA, exclude())
	l.pass(time.Minute)
	var delays []time.Duration
	for range 200 {
		l.hear(general)
		at, ok := l.host.Deadline()
		if !ok {
			t.Fatal("no answer is due")
		}
		delays = append(delays, at.Sub(l.now))
		l.pass(10 * time.Second)
	}
	if first := slices.Min(delays); first <= 0 || first > time.Second {
		t.Errorf("shortest delay %v", first)
	}
	if last := slices.Max(delays); last <= 9*time.Second || last > 10*time.Second {
		t.Errorf("longest delay %v", last)
	}
}

// RFC 9776 section 7.2.1, RFC 2236 section 3.
func TestIGMPv2Querier(t *testing.T) {
	l := newHostLab(t, HostConfig{})
	l.set(groupA, include(sourceA))
	l.set(groupB, exclude())
	l.pass(time.Minute)
	l.said = nil
	l.hear(igmp.Query{Version: 2, MaxResponse: 10 * time.Second})
	l.pass(10 * time.Second)
	slices.Sort(l.said)
	l.want("answers", "v2 report 239.1.1.1", "v2 report 239.1.1.2")

	third := netip.MustParseAddr("239.1.1.3")
	l.set(third, exclude())
	l.want("join", "v2 report 239.1.1.3")
	l.pass(10 * time.Second)
	l.want("join again", "v2 report 239.1.1.3")
	l.set(third, exclude(sourceA))
	l.want("sources do not matter")
	l.set(third, include())
	l.want("leave", "leave 239.1.1.3")

	l.hear(igmp.Query{Version: 2, Group: groupA, MaxResponse: time.Second})
	report, err := igmp.AppendPacket(nil, netip.MustParseAddr("10.0.9.77"), groupA,
		&igmp.GroupReport{Version: 2, Group: groupA})
	if err != nil {
		t.Fatal(err)
	}
	l.host.Handle(l.now, report)
	l.pass(time.Second)
	l.want("another host answered")
	if l.host.counters.Suppressed != 1 {
		t.Errorf("%d suppressed, want 1", l.host.counters.Suppressed)
	}
	l.hear(general)
	l.pass(10 * time.Second)
	slices.Sort(l.said)
	l.want("a v3 query while v2 counts", "v2 report 239.1.1.1", "v2 report 239.1.1.2")

	// 2 × 125 s + 10 s after the v2 query.
	l.pass(260 * time.Second)
	l.set(third, exclude())
	l.want("v3 again", "TO_EX 239.1.1.3 []")
}

// A flood of general queries is answered once in each response time.
func TestOlderQueryFlood(t *testing.T) {
	l := newHostLab(t, HostConfig{Version: 2})
	for i := range 50 {
		l.host.SetFilter(l.now, manyGroups(i), exclude())
	}
	l.pass(time.Minute)
	l.said = nil
	for range 1000 {
		l.hear(igmp.Query{Version: 2, MaxResponse: time.Second})
		l.pass(2 * time.Millisecond)
	}
	l.pass(time.Second)
	if n := len(l.said); n < 100 || n > 150 {
		t.Errorf("%d reports in 3 s, want those of two or three queries", n)
	}
}

func TestIGMPv1Querier(t *testing.T) {
	l := newHostLab(t, HostConfig{})
	l.hear(igmp.Query{Version: 1, MaxResponse: 10 * time.Second})
	l.set(groupA, exclude())
	l.pass(time.Minute)
	l.want("join", "v1 report 239.1.1.1", "v1 report 239.1.1.1")
	l.set(groupA, include())
	l.pass(time.Minute)
	l.want("version 1 has no leave")
}

func TestMLD(t *testing.T) {
	l := newHostLab(t, HostConfig{IPv6: true})
	source := netip.MustParseAddr("fd00::9")
	l.set(groupSix, include(source))
	l.want("join", "ALLOW ff0e::1 [fd00::9]")
	l.pass(time.Minute)
	l.said = nil
	l.hearMLD(mld.Query{Version: 2, MaxResponse: 10 * time.Second})
	l.pass(10 * time.Second)
	l.want("answer", "IS_IN ff0e::1 [fd00::9]")
	l.hearMLD(mld.Query{Version: 1, MaxResponse: time.Second})
	l.pass(time.Second)
	l.want("in version 1", "v1 report ff0e::1")
	l.set(groupSix, include())
	l.want("leave in version 1", "done ff0e::1")
}

// RFC 9776 sections 4.1.6 and 8.1: the querier's robustness counts.
func TestRobustness(t *testing.T) {
	l := newHostLab(t, HostConfig{})
	q := general
	q.Robustness = 4
	l.hear(q)
	l.pass(time.Minute)
	l.set(groupA, exclude())
	l.pass(time.Minute)
	join := "TO_EX 239.1.1.1 []"
	l.want("four times", join, join, join, join)
}

func TestLinkUpReportsAnew(t *testing.T) {
	l := newHostLab(t, HostConfig{})
	l.set(groupA, exclude(sourceA))
	l.hear(igmp.Query{Version: 2, MaxResponse: time.Second})
	l.host.LinkDown()
	l.pass(time.Hour)
	l.said = nil
	l.set(groupB, include(sourceB))
	l.hear(general)
	l.pass(time.Hour)
	l.want("nothing while the link is down")
	l.host.LinkUp(l.now)
	l.host.Advance(l.now)
	l.want("all, in version 3", "TO_EX 239.1.1.1 [10.0.0.1]; ALLOW 239.1.1.2 [10.0.0.2]")
}

func TestLeaveAll(t *testing.T) {
	l := newHostLab(t, HostConfig{})
	l.set(groupA, exclude())
	l.set(groupB, include(sourceA))
	l.said = nil
	l.host.LeaveAll(l.now)
	l.want("at once", "TO_IN 239.1.1.1 []; BLOCK 239.1.1.2 [10.0.0.1]")
	l.pass(time.Hour)
	l.want("never again")
}

// RFC 9776 section 4.2.16: what does not fit into one report.
func TestLargeReports(t *testing.T) {
	l := newHostLab(t, HostConfig{MTU: 576})
	for i := range 200 {
		l.host.SetFilter(l.now, manyGroups(i), exclude())
	}
	l.host.Advance(l.now)
	records := 0
	for _, s := range l.said {
		records += strings.Count(s, "TO_EX")
	}
	if len(l.said) != 3 || records != 200 { // 68 fit
		t.Errorf("%d records in %d reports, want 200 in 3", records, len(l.said))
	}
	l.said = nil
	var sources []netip.Addr
	for i := range 300 {
		sources = append(sources, netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))
	}
	l.set(groupA, include(sources...))
	if n := strings.Count(strings.Join(l.said, " "), "10.1."); len(l.said) != 3 || n != 300 {
		t.Errorf("%d sources in %d reports, want 300 in 3", n, len(l.said))
	}
	l.said = nil
	l.set(groupA, exclude(sources...))
	if n := strings.Count(strings.Join(l.said, " "), "10.1."); len(l.said) != 1 || n != 134 {
		t.Errorf("%d excluded sources in %d reports, want 134 in 1", n, len(l.said))
	}
}

// Not all at once: the listeners' buffers are small.
func TestBursts(t *testing.T) {
	l := newHostLab(t, HostConfig{Version: 2})
	for i := range 1000 {
		l.host.SetFilter(l.now, manyGroups(i), exclude())
	}
	l.host.Advance(l.now)
	if len(l.said) != burst {
		t.Errorf("%d reports at once, want %d", len(l.said), burst)
	}
	l.pass(time.Second)
	if len(l.said) < 1000 {
		t.Errorf("%d reports in a second, want 1000", len(l.said))
	}
}

func TestIgnored(t *testing.T) {
	l := newHostLab(t, HostConfig{})
	l.set(groupA, exclude())
	l.pass(time.Minute)
	l.said = nil
	good, err := igmp.AppendPacket(nil, querierAddress, igmp.AllSystems, &general)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, _ := igmp.AppendPacket(nil, querierAddress, groupA, &general)
	own, _ := igmp.AppendPacket(nil, ourAddress, igmp.AllSystems, &general)
	wrong := slices.Clone(good)
	wrong[len(wrong)-1] ^= 1
	for name, packet := range map[string][]byte{"general query to a group": elsewhere,
		"our own": own, "checksum": wrong, "cut": good[:30], "none": nil} {
		l.host.Handle(l.now, packet)
		if _, due := l.host.Deadline(); due {
			t.Errorf("%s: answered", name)
		}
	}
	l.host.Handle(l.now, good)
	if _, due := l.host.Deadline(); !due {
		t.Error("a good query is not answered")
	}
}

func TestSendErrorsAreCounted(t *testing.T) {
	l := newHostLab(t, HostConfig{})
	l.fail = errors.New("no buffer")
	l.set(groupA, exclude())
	if l.host.counters.Errors != 1 {
		t.Errorf("%d errors, want 1", l.host.counters.Errors)
	}
}

// FuzzHandle feeds packets to a host with groups.
func FuzzHandle(f *testing.F) {
	packet, _ := igmp.AppendPacket(nil, querierAddress, igmp.AllSystems, &general)
	f.Add(packet, false)
	packet, _ = mld.AppendPacket(nil, querierLocal, mld.AllNodes,
		&mld.Query{Version: 2, MaxResponse: time.Second})
	f.Add(packet, true)
	f.Fuzz(func(t *testing.T, packet []byte, six bool) {
		l := newHostLab(t, HostConfig{IPv6: six})
		group := groupA
		if six {
			group = groupSix
		}
		l.set(group, exclude())
		l.host.Handle(l.now, packet)
		l.pass(time.Minute)
		l.set(group, include())
		if l.host.counters.Errors != 0 {
			t.Error("a packet could not be made")
		}
	})
}
