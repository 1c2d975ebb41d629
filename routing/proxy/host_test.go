package proxy

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"umroute/stack/igmp"
	"umroute/stack/mld"
)

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
