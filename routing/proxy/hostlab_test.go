package proxy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
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
