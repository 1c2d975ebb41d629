package router_test

import (
	"net/netip"
	"testing"
	"time"
)

// reaction is how long the router may take for what it does at once, on a
// machine that does much else.
const reaction = 600 * time.Millisecond

// silence is how long nothing has to come of a flow for it to have ended.
const silence = 800 * time.Millisecond

// awaitFlow waits until data of a flow passes on a wire.
func awaitFlow(t testing.TB, w *wire, source, group netip.Addr) {
	t.Helper()
	before := w.seen(source, group).count
	eventually(t, "traffic to "+group.String(), func() bool {
		return w.seen(source, group).count > before+5
	})
}

// awaitEnd waits until a flow has been silent for long enough to have ended,
// and tells when its last datagram passed.
func awaitEnd(t testing.TB, w *wire, source, group netip.Addr) time.Time {
	t.Helper()
	eventually(t, "end of traffic to "+group.String(), func() bool {
		return time.Since(w.seen(source, group).last) > silence
	})
	return w.seen(source, group).last
}

// TestLeaveOfLastMember has the only member of a group on an Ethernet leave.
// The router asks, and the traffic stops after the Last Member Query Time (RFC
// 9776 section 8.10), or at once with fast leave. A second host that stays on
// the link keeps its traffic: nothing is missing.
func TestLeaveOfLastMember(t *testing.T) {
	for _, test := range []struct {
		name     string
		settings string
		least    time.Duration // from the report on the wire to the last datagram
	}{
		{"asked for", ", igmp: {last-member-query-interval: 500ms}", 2 * 500 * time.Millisecond},
		{"fast leave", ", igmp: {fast-leave: true}", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			group := netip.MustParseAddrPort("239.1.1.1:5001")
			red, lan := newStation(t, 1), newLAN(t, 2)
			member := lan.attach(2)
			p := startRouter(t, "interfaces:\n"+red.tun("red", "")+
				lan.tap("lan", 1, test.settings))
			w := watch(t, member.Host, device)
			conn := member.join(group)
			p.awaitGroup("lan", group.Addr())
			red.stream(red.v4, group)
			awaitFlow(t, w, red.v4, group.Addr())

			begin := time.Now()
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			last := awaitEnd(t, w, red.v4, group.Addr())
			report, ok := w.leave(group.Addr(), begin)
			if !ok {
				t.Fatal("no leave on the wire")
			}
			took := last.Sub(report.at)
			t.Logf("from the leave on the wire to the last datagram: %v", took)
			if took < test.least-2*streamInterval-100*time.Millisecond ||
				took > test.least+reaction {
				t.Errorf("the traffic stopped after %v, want %v and a reaction", took, test.least)
			}
			if _, left := p.group("lan", group.Addr()); left {
				t.Error("the group is still shown")
			}
		})
	}
}

func TestLeaveOfOneOfTwo(t *testing.T) {
	for _, test := range []struct{ name, settings string }{
		{"asked for", ", igmp: {last-member-query-interval: 200ms}"},
		{"fast leave", ", igmp: {fast-leave: true}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			group := netip.MustParseAddrPort("239.1.1.1:5001")
			red, lan := newStation(t, 1), newLAN(t, 2)
			stays, leaves := lan.attach(2), lan.attach(3)
			p := startRouter(t, "interfaces:\n"+red.tun("red", "")+
				lan.tap("lan", 1, test.settings))
			w := watch(t, stays.Host, device)
			stays.join(group)
			conn := leaves.join(group)
			awaitReporters(p, group.Addr(), 2)
			st := red.stream(red.v4, group)
			awaitFlow(t, w, red.v4, group.Addr())
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			// Everything that the leave could set off happens within that time.
			awaitReporters(p, group.Addr(), 1)
			end := time.Now().Add(2 * reaction)
			until(t, end, "the group", func() bool {
				_, ok := p.group("lan", group.Addr())
				return ok
			})
			st.stop()
			sent := int(st.sent.Load())
			eventually(t, "all datagrams", func() bool {
				return w.seen(red.v4, group.Addr()).count >= sent
			})
			if n := w.seen(red.v4, group.Addr()).count; n != sent {
				t.Errorf("%d of %d datagrams came to the host that stayed", n, sent)
			}
		})
	}
}

// awaitReporters waits until the router knows so many members on the LAN.
func awaitReporters(p *running, group netip.Addr, n int) {
	p.t.Helper()
	eventually(p.t, "the reporters", func() bool {
		g, ok := p.group("lan", group)
		return ok && len(g.Reporters) == n
	})
}
