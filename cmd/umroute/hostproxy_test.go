package main

import (
	"net/netip"
	"os"
	"strings"
	"testing"
)

// TestHostsLANByProxy has a proxy on a router without any capability, whose
// upstream is the host's own network: nothing is joined there before a container
// asks for it, and nothing after.
func TestHostsLANByProxy(t *testing.T) {
	t.Parallel()
	host, machine := newMachines(t, 8)
	red := newStations(t, "red")[0]
	p := launch{
		config: "interfaces:\n" + red.lent(3) +
			"  lan: {link: host, device: mc0, ports: [5001, 5002]}\n" +
			"protocols: {proxy: {upstream: [lan], downstream: [red]}}\n",
		files: []*os.File{red.openTUN()}, attr: powerless(), place: host.Netns(),
	}.start(t)
	p.checkPowerless()
	for _, text := range []string{"239.1.1.1:5001", "[ff15::1:1]:5002"} {
		group := netip.MustParseAddrPort(text)
		joined := func() bool {
			return strings.Contains(host.Run("ip", "maddr", "show", "dev", device),
				group.Addr().String())
		}
		if joined() {
			t.Errorf("%v is joined before somebody asks", group)
		}
		receiver := red.receive(group)
		p.awaitJoined("red", group.Addr())
		eventually(t, "the host to join", joined)
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
	}
	p.stop()
}
