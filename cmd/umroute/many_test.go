package main

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// manyInterfaces is far more than the 32 of the kernel's multicast router.
const manyInterfaces = 200

// TestManyInterfaces has a router with a sender and a crowd of receivers. The
// last one joins first, then all.
//
//	link1 ──mc0── router ──mc0── link2
//	sends               ──mc0── link3
//	                      …
//	                    ──mc0── link200
func TestManyInterfaces(t *testing.T) {
	var names []string
	for n := range manyInterfaces {
		names = append(names, fmt.Sprint("link", n+1))
	}
	stations := newStations(t, names...)
	sender, last := stations[0], stations[manyInterfaces-1]
	begin := time.Now()
	p := startRouter(t, configure(stations...))
	t.Logf("ready with %d interfaces after %v, VmRSS %d MiB", manyInterfaces,
		time.Since(begin).Round(time.Millisecond), p.memory()>>20)
	for _, text := range []string{"239.1.1.1:5001", "[ff15::1:1]:5002"} {
		group := netip.MustParseAddrPort(text)
		conn := last.join(group)
		p.awaitJoined(last.name, group.Addr())
		sender.send(group, "hello", anyTTL)
		source := sender.address(group.Addr())
		expect(t, conn, "hello", source)
		p.awaitOutputs(source, group.Addr(), last.name)
	}
	checkAllLinks(t, p, sender, stations[1:])
	if took := p.stop(); took > stopTime {
		t.Errorf("stopping took %v", took)
	}
}

// checkAllLinks has every receiver join, and one datagram reach them all.
func checkAllLinks(t *testing.T, p *process, sender *station, receivers []*station) {
	t.Helper()
	group := netip.MustParseAddrPort("239.1.1.2:5003")
	var names []string
	for _, s := range receivers {
		conn := s.join(group)
		defer expect(t, conn, "to all", sender.v4)
		names = append(names, s.name)
	}
	sender.send(group, "first", anyTTL)
	p.awaitOutputs(sender.v4, group.Addr(), names...)
	sender.send(group, "to all", anyTTL)
}
