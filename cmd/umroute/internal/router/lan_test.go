package router_test

import (
	"fmt"
	"net/netip"
	"testing"

	"umroute/tun/netns/netnstest"
)

// lan is an Ethernet: a bridge with a TAP for the router, which stays when the
// router goes, and a port for each host.
type lan struct {
	*netnstest.Host
	t      testing.TB
	number int
	ports  int
}

func newLAN(t testing.TB, number int) *lan {
	t.Helper()
	l := &lan{Host: netnstest.NewHost(t), t: t, number: number}
	l.Run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
	l.Run("ip", "link", "set", "br0", "up")
	l.Run("ip", "tuntap", "add", "dev", device, "mode", "tap")
	l.Run("ip", "link", "set", device, "master", "br0", "up")
	return l
}

// tap is the configuration of the router's interface to the LAN, where it has
// the host number given. More is appended.
func (l *lan) tap(name string, host int, more string) string {
	return fmt.Sprintf("  %s: {link: tap, coalesce: false, netns: %s, addresses: [10.0.%d.%d/24, "+
		"\"fd00:%x::%x/64\"]%s}\n", name, l.Netns(), l.number, host, l.number, host, more)
}

// attach plugs a host in.
func (l *lan) attach(host int) *station {
	l.t.Helper()
	s := newStation(l.t, l.number)
	s.v4 = netip.AddrFrom4([4]byte{10, 0, byte(l.number), byte(host)})
	s.v6 = netip.MustParseAddr(fmt.Sprintf("fd00:%x::%x", l.number, host))
	port := l.port()
	l.ports++
	s.Run("ip", "link", "add", device, "type", "veth", "peer", "name", port)
	s.move(port, l.Host)
	l.Run("ip", "link", "set", port, "master", "br0", "up")
	s.sysctl("ipv6/conf/mc0/dad_transmits", "0") // the addresses are unique
	s.Run("ip", "link", "set", device, "up")
	s.Run("ip", "addr", "add", s.v4.String()+"/24", "dev", device)
	s.Run("ip", "addr", "add", s.v6.String()+"/64", "dev", device, "nodad")
	s.Run("ip", "route", "add", "default", "dev", device)
	return s
}

// port is the bridge's side of the host that is attached next.
func (l *lan) port() string { return fmt.Sprint("port", l.ports) }
