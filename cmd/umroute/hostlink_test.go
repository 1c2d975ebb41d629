package main

import (
	"fmt"
	"net/netip"
	"os"
	"testing"

	"umroute/tun/netns/netnstest"
)

// newMachines makes a host for a router and a machine on its LAN, which the
// device mc0 of each joins: 10.0.N.1 is the host's, 10.0.N.2 the machine's.
func newMachines(t testing.TB, number int) (host, machine *station) {
	t.Helper()
	var both []*station
	for i := range 2 {
		h := netnstest.NewHost(t)
		both = append(both, &station{Host: h, t: t, name: "lan", netns: nameNetns(t, h),
			number: number, v4: netip.AddrFrom4([4]byte{10, 0, byte(number), byte(i + 1)}),
			v6: netip.MustParseAddr(fmt.Sprintf("fd00:%x::%x", number, i+1))})
	}
	host, machine = both[0], both[1]
	host.Run("ip", "link", "add", device, "type", "veth", "peer", "name", device,
		"netns", machine.netns)
	for _, s := range both {
		s.sysctl("ipv6/conf/mc0/accept_dad", "0") // the addresses are unique
		s.Run("ip", "link", "set", device, "up")
		s.Run("ip", "addr", "add", s.v4.String()+"/24", "dev", device)
		s.Run("ip", "addr", "add", s.v6.String()+"/64", "dev", device, "nodad")
		s.Run("ip", "route", "add", "224.0.0.0/4", "dev", device)
	}
	return host, machine
}

// TestHostsLAN has a router without any capability on a host that is no more than
// a host: a container sees the LAN's multicast, and the LAN that of the container.
//
//	red ──mc0── fd 3 ┌ router ┐ sockets ──mc0── machine
//	                 └ nobody ┘
func TestHostsLAN(t *testing.T) {
	t.Parallel()
	host, machine := newMachines(t, 7)
	red := newStations(t, "red")[0]
	p := launch{
		config: "interfaces:\n" + red.lent(3) + "  lan:\n" +
			"    {link: host, device: mc0, ports: [5001, 5002],\n" +
			"    join: [{group: 239.1.1.1}, {group: \"ff15::1:1\"}]}\n" +
			"protocols: {static: {routes: [\n" +
			"  {group: 239.2.0.0/16, in: red, out: [lan]},\n" +
			"  {group: \"ff15::2:0/112\", in: red, out: [lan]}]}}\n",
		files: []*os.File{red.openTUN()}, attr: powerless(), place: host.Netns(),
	}.start(t)
	p.checkPowerless()
	if got := p.iface("lan"); got.Link != "host" || got.Device != device || !got.Up {
		t.Errorf("interface %+v", got)
	}
	for _, text := range []string{"239.1.1.1:5001", "[ff15::1:1]:5002"} {
		group := netip.MustParseAddrPort(text)
		receiver := red.receive(group)
		p.awaitJoined("red", group.Addr())
		st := machine.startStream(group)
		eventually(t, "datagrams from the LAN", func() bool { return receiver.Received() > 100 })
		checkWhole(t, receiver, st.end())
	}
	for _, text := range []string{"239.2.1.1:6001", "[ff15::2:1]:6002"} {
		group := netip.MustParseAddrPort(text)
		receiver := machine.receive(group)
		st := red.startStream(group)
		eventually(t, "datagrams for the LAN", func() bool { return receiver.Received() > 100 })
		checkWhole(t, receiver, st.end())
		if got := receiver.Snapshot().Streams[0].Source; got != host.address(group.Addr()) {
			t.Errorf("the LAN sees the source %s, want the host's", got)
		}
	}
	p.stop()
}
