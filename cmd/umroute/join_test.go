package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

// TestJoinAndLeave has a host join and leave, and looks at the wire:
//
//	red ──mc0── router ──mc0── blue
//	sends                      joins, leaves
func TestJoinAndLeave(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	p := startRouter(t, configure(stations...))
	protocolIndependent := func(conn *net.UDPConn, group netip.Addr) {
		blue.Join(conn, device, group)
	}
	tests := []struct {
		name, group string
		join        func(*net.UDPConn, netip.Addr)
	}{
		{"IP_ADD_MEMBERSHIP", "239.1.1.1:5001", blue.joinClassic},
		{"MCAST_JOIN_GROUP", "239.1.1.2:5002", protocolIndependent},
		{"IPV6_JOIN_GROUP", "[ff15::1:1]:5003", blue.joinClassic},
		{"MCAST_JOIN_GROUP of IPv6", "[ff15::1:2]:5004", protocolIndependent},
		{"organisation-local scope", "[ff08::1:3]:5005", protocolIndependent},
	}
	for _, test := range tests {
		t.Log("#", test.name)
		group := netip.MustParseAddrPort(test.group)
		conn := blue.listen(group)
		test.join(conn, group.Addr())
		p.awaitJoined("blue", group.Addr())
		checkDelivery(t, red, blue, conn, group)
		checkShown(t, p, red, group.Addr())
		blue.Leave(conn, device, group.Addr())
		p.awaitLeft("blue", group.Addr())
		checkSilence(p, red, blue, group)
	}
	p.stop()
}

// checkDelivery sends a datagram of every size that matters and looks at what
// arrives.
func checkDelivery(t *testing.T, from, to *station, conn *net.UDPConn, group netip.AddrPort) {
	t.Helper()
	w := to.watch(device)
	source := from.address(group.Addr())
	for _, payload := range []string{"x", "hello", strings.Repeat("0123456789abcdef", 80)} {
		from.send(group, payload, 9)
		expect(t, conn, payload, source)
		got := w.await("the datagram on the wire", carrying(payload))
		want := datagram{source: source, destination: group.Addr(), ttl: 8,
			protocol: got.protocol, port: group.Port(), payload: payload}
		if got != want {
			t.Errorf("on the wire %+v, want %+v", got, want)
		}
	}
}

// checkShown compares what the documents say of the flow from red that blue
// has joined.
func checkShown(t *testing.T, p *process, red *station, group netip.Addr) {
	t.Helper()
	r := p.awaitOutputs(red.address(group), group, "blue")
	if r.IIF != "red" || r.Negative || r.Packets == 0 || r.Bytes == 0 || r.WrongIf != 0 {
		t.Errorf("route %+v", r)
	}
	g, _ := p.group("blue", group)
	wantVersion := 3
	if group.Is6() {
		wantVersion = 2
	}
	if g.Mode != "exclude" || g.Version != wantVersion || g.Static || len(g.Sources) != 0 {
		t.Errorf("group %+v", g)
	}
	if g.Expires <= 0 || g.LastReporter == "" || len(g.Reporters) != 1 {
		t.Errorf("group %+v: want who reported it, and until when it lasts", g)
	}
}

// checkSilence sends to a group that nobody behind to has joined, then to one
// that somebody has: when the second arrives, the first would have.
func checkSilence(p *process, from, to *station, group netip.AddrPort) {
	p.t.Helper()
	p.awaitOutputs(from.address(group.Addr()), group.Addr()) // an entry without outputs
	w := to.watch(device)
	from.send(group, "unwanted", anyTTL)
	passThrough(p, from, to, w)
	if got := w.seen(toGroup(group.Addr())); len(got) != 0 {
		p.t.Errorf("after the leave %d datagrams came to %s", len(got), group)
	}
}

// proof is a group that only passThrough uses.
var proof = netip.MustParseAddrPort("239.255.255.1:6000")

// proofs tells the datagrams of one passThrough from those of another.
var proofs atomic.Int64

// passThrough has a datagram pass from one station to another. What was sent
// before it has passed, or never will. The leave of an earlier call may still
// be on its way when the router seems to know of the join, so one datagram may
// be lost.
func passThrough(p *process, from, to *station, w *wire) {
	p.t.Helper()
	conn := to.join(proof)
	defer conn.Close()
	p.awaitJoined(to.name, proof.Addr())
	payload := fmt.Sprintf("proof %d", proofs.Add(1))
	eventually(p.t, "the proof on the wire", func() bool {
		from.send(proof, payload, anyTTL)
		return len(w.seen(carrying(payload))) > 0
	})
}

// TestSecondReceiver has one host join and leave while another one receives,
// which must not notice.
//
//	red ──mc0── router ──mc0── blue    receives from the beginning to the end
//	sends            └──mc0── green   comes and goes
func TestSecondReceiver(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue", "green")
	red, blue, green := stations[0], stations[1], stations[2]
	p := startRouter(t, configure(stations...))
	for _, text := range []string{"239.1.1.1:5001", "[ff15::1:1]:5002"} {
		group := netip.MustParseAddrPort(text)
		source := red.address(group.Addr())
		steady := blue.receive(group)
		p.awaitJoined("blue", group.Addr())
		st := red.startStream(group)
		for range 5 {
			guest := green.receive(group)
			p.awaitOutputs(source, group.Addr(), "blue", "green")
			eventually(t, "datagrams for the second receiver", func() bool {
				return guest.Received() > 0
			})
			if err := guest.Leave(); err != nil {
				t.Fatal(err)
			}
			p.awaitOutputs(source, group.Addr(), "blue")
			// The forwarder follows the manager's table a moment later, so a guest
			// that is back at once may still get the end of its last stay, and
			// then miss what comes before its new report.
			if got := guest.Snapshot(); got.Duplicates != 0 || got.Corrupt != 0 {
				t.Errorf("the second receiver: %+v", got)
			}
		}
		checkWhole(t, steady, st.end())
	}
	p.stop()
}
