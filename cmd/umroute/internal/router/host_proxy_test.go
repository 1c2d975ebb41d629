package router_test

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// hostPorts is how many ports newHostLab names, each of which has a socket.
const hostPorts = "3"

// newHostLab is newProxyLab with the network of the router's host upstream, which
// it reaches by sockets.
func newHostLab(t testing.TB, _ string) *proxyLab {
	t.Helper()
	l := &proxyLab{far: newNeighbor(t), red: newStation(t, 1), blue: newStation(t, 2)}
	l.running = startRouter(t, "interfaces:\n"+l.red.tun("red", "")+l.blue.tun("blue", "")+
		"  wan: {link: host, device: lan0, ports: [5001, 5004, 9]}\n"+
		"protocols: {proxy: {upstream: [wan], downstream: [red, blue]}}\n")
	return l
}

// TestHostIperf has iperf 2 send both ways through a proxy that joins by sockets.
// The source is not the container's on the LAN, which iperf does not mind.
func TestHostIperf(t *testing.T) { checkIperf(t, newHostLab) }

// TestHostMedia has ffmpeg send a film from the LAN.
func TestHostMedia(t *testing.T) { checkMedia(t, newHostLab) }

// filtersInKernel tells whether the host's kernel has a source filter with these
// columns: device, group, source, sockets that include it and that exclude it.
func filtersInKernel(t testing.TB, columns ...string) bool {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/net/mcfilter")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 6 && slices.Equal(fields[1:1+len(columns)], columns) {
			return true
		}
	}
	return false
}

// TestHostFilters has the host's kernel ask the LAN for exactly what the containers
// want: one source, then all but one, then nothing.
func TestHostFilters(t *testing.T) {
	l := newHostLab(t, "")
	group := netip.MustParseAddrPort("232.1.1.1:5004")
	included := func() bool {
		return filtersInKernel(t, hostDevice, "0xe8010101", "0x0a000702", hostPorts, "0")
	}
	conn := l.red.join(group, l.far.v4)
	eventually(t, "the source to be included", included)
	l.far.stream(l.far.v4, group)
	receives(t, conn, l.far.v4)
	l.red.Leave(conn, device, group.Addr(), l.far.v4)
	eventually(t, "the source to be left", func() bool { return !included() })

	group = netip.MustParseAddrPort("239.1.1.1:5004")
	conn = l.red.join(group)
	l.red.block(conn, group.Addr(), l.far.v4)
	eventually(t, "the source to be excluded", func() bool {
		return filtersInKernel(t, hostDevice, "0xef010101", "0x0a000702", "0", hostPorts)
	})
	l.blue.join(group, l.far.v4) // together they want all
	eventually(t, "no source to be excluded", func() bool {
		return !filtersInKernel(t, hostDevice, "0xef010101", "0x0a000702")
	})
}

// TestHostDeviceReturns takes the host's device away: the containers still hear each
// other, and the LAN as soon as there is a device of that name again.
func TestHostDeviceReturns(t *testing.T) {
	l := newHostLab(t, "")
	group := netip.MustParseAddrPort("239.1.1.1:5004")
	conn := l.red.join(group)
	l.awaitAsked(group.Addr(), "exclude")
	stream := l.far.stream(l.far.v4, group)
	receives(t, conn, l.far.v4)
	stream.stop()
	link, err := netlink.LinkByName(hostDevice)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the device to be missed", func() bool { return !l.up("wan") })
	l.blue.stream(l.blue.v4, group)
	receives(t, conn, l.blue.v4)
	l.far.plug()
	eventually(t, "the device to be back", func() bool { return l.up("wan") })
	l.far.stream(l.far.v4, group)
	receives(t, conn, l.far.v4)
}

// up tells whether an interface is.
func (p *running) up(name string) bool {
	p.t.Helper()
	all, err := p.router.Interfaces(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, i := range all {
		if i.Name == name {
			return i.Up
		}
	}
	return false
}
