package router_test

import (
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umroute/cmd/umroute/internal/control"
)

// say sends one datagram to a group from a port of the station.
func (s *station) say(source netip.AddrPort, group netip.AddrPort, ttl int, text string) {
	s.t.Helper()
	conn := s.ListenUDP(network(group.Addr()), source.String())
	defer conn.Close()
	setOption(s.t, conn, func(fd int) error {
		if group.Addr().Is4() {
			return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, ttl)
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, ttl)
	})
	to := net.UDPAddrFromAddrPort(group)
	if group.Addr().Is6() {
		// By name it would be looked up in the namespace of the test.
		to.Zone = strconv.Itoa(s.Index(device))
	}
	// A new device has no IPv6 routes for a moment.
	eventually(s.t, "a way to "+group.String(), func() bool {
		_, err := conn.WriteToUDP([]byte(text), to)
		return err == nil
	})
}

// linkLocal is the station's own link-local address.
func (s *station) linkLocal() (found netip.Addr) {
	s.t.Helper()
	s.awaitLinkLocal()
	s.Do(func() error {
		i, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		list, err := i.Addrs()
		for _, each := range list {
			a, _ := netip.AddrFromSlice(each.(*net.IPNet).IP)
			if a.Is6() && a.IsLinkLocalUnicast() {
				found = a
			}
		}
		return err
	})
	return found
}

// relayStatus is what the router tells of its relay.
func (p *running) relayStatus() *control.Relay {
	p.t.Helper()
	documents, err := p.router.Show(p.t.Context(), "protocols")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, each := range documents.([]control.Protocol) {
		if each.Name == "relay" {
			return each.Relay
		}
	}
	p.t.Fatal("no relay among the protocols")
	return nil
}

// TestRelay relays between two containers and the host's LAN.
func TestRelay(t *testing.T) {
	lan, red, blue := newNeighbor(t), newStation(t, 1), newStation(t, 2)
	green := newStation(t, 3)
	p := startRouter(t, "interfaces:\n"+red.tun("red", "")+blue.tun("blue", "")+
		green.tun("green", "")+`
  lan: {link: host, device: lan0, ports: []}
protocols:
  relay:
    rules: [{groups: [mdns, ssdp], interfaces: [red, blue, lan]}]
`)
	stations := map[string]*station{"red": red, "blue": blue, "lan": lan}
	for _, s := range stations {
		s.linkLocal()
	}
	for _, text := range []string{"224.0.0.251:5353", "[ff02::fb]:5353", "239.255.255.250:1900",
		"[ff05::c]:1900"} {
		group := netip.MustParseAddrPort(text)
		ears := make(map[string]*net.UDPConn)
		for name, s := range stations {
			ears[name] = s.join(group)
		}
		outside := green.join(group)
		for name, s := range stations {
			source := netip.AddrPortFrom(s.address(group.Addr()), group.Port())
			kept := source
			if text == "[ff02::fb]:5353" { // the kernel sends from fe80:: then
				source = netip.MustParseAddrPort("[::]:5353")
			}
			s.say(source, group, 255, "from "+name)
			for other, ear := range ears {
				got := receive(t, ear)
				if got.text != "from "+name || got.ttl != 255 {
					t.Errorf("%s: %s heard %v from %s", text, other, got, name)
				}
				switch {
				case other == name:
				case other == "lan":
					if got.source != netip.MustParseAddr("10.0.7.1") && group.Addr().Is4() {
						t.Errorf("%s: the LAN heard %s from %v", text, name, got)
					}
				case source.Addr().IsUnspecified():
					if !got.source.IsLinkLocalUnicast() {
						t.Errorf("%s: %s heard %s from %v", text, other, name, got)
					}
				case got.source != kept.Addr():
					t.Errorf("%s: %s heard %s from %v", text, other, name, got)
				}
			}
		}
		silent(t, outside)
		for _, ear := range ears {
			silent(t, ear) // nothing came twice
			ear.Close()
		}
	}
	status := p.relayStatus()
	if got := status.Rules[0]; got.Received != 12 || got.Relayed != 24 || len(status.Dropped) > 0 {
		t.Errorf("the relay tells %+v", status)
	}
}

// silent demands that nothing more has come. What went before on the same way has
// arrived by now, so there is nothing to wait for but the scheduler.
func silent(t testing.TB, conn *net.UDPConn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	if n, source, err := conn.ReadFromUDPAddrPort(buf); err == nil {
		t.Errorf("heard %q from %s", buf[:n], source)
	}
}
