package router_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/cmd/umroute/internal/control"
)

// hostDevice is the device of the router's host, where the test runs, on the LAN.
const hostDevice = "lan0"

// newNeighbor makes a machine on the LAN of the router's host, which is 1 there.
func newNeighbor(t testing.TB) *station {
	t.Helper()
	s := newStation(t, 7)
	s.plug()
	return s
}

// plug connects the machine to the router's host.
func (s *station) plug() {
	t := s.t
	t.Helper()
	target, err := os.Open(s.Netns())
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: hostDevice}, PeerName: device}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(veth) }) // the test may have done so
	peer, err := netlink.LinkByName(device)
	if err == nil {
		err = netlink.LinkSetNsFd(peer, int(target.Fd()))
	}
	if err == nil {
		err = bringUp(hostDevice, "10.0.7.1/24", "fd00:7::1/64")
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Do(func() error { return bringUp(device, s.v4.String()+"/24", s.v6.String()+"/64") })
	s.Run("ip", "route", "add", "default", "dev", device)
	s.awaitLinkLocal()
}

// bringUp configures a device of this thread's namespace.
func bringUp(device string, addresses ...string) error {
	// The addresses are unique, so nobody has to look for duplicates.
	path := "/proc/sys/net/ipv6/conf/" + device + "/accept_dad"
	if err := os.WriteFile(path, []byte("0"), 0); err != nil {
		return err
	}
	commands := [][]string{{"link", "set", device, "up"}}
	for _, a := range addresses {
		commands = append(commands, []string{"addr", "add", a, "dev", device})
	}
	for _, arguments := range commands {
		if out, err := exec.Command("ip", arguments...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", arguments, err, out)
		}
	}
	return nil
}

// datagram is one as a host received it.
type datagram struct {
	text   string
	source netip.Addr
	ttl    int
}

// receive waits for a datagram.
func receive(t testing.TB, conn *net.UDPConn) datagram {
	t.Helper()
	setOption(t, conn, func(fd int) error {
		// Of the two only that of the socket's family succeeds.
		err4 := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVTTL, 1)
		err6 := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1)
		if err4 != nil && err6 != nil {
			return errors.Join(err4, err6)
		}
		return nil
	})
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf, control := make([]byte, 1<<16), make([]byte, 256)
	for {
		n, c, _, source, err := conn.ReadMsgUDPAddrPort(buf, control)
		if err != nil {
			t.Fatal(err)
		}
		messages, err := unix.ParseSocketControlMessage(control[:c])
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			hops := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_HOPLIMIT
			if hops || m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_TTL {
				return datagram{string(buf[:n]), source.Addr(), int(m.Data[0])}
			}
		}
	}
}

// TestHostLink lets a container hear the LAN and the LAN the container, without
// privilege on the host: IPv4 and IPv6, all sources and one.
func TestHostLink(t *testing.T) {
	lan, red := newNeighbor(t), newStation(t, 1)
	other := map[bool]netip.Addr{true: netip.MustParseAddr("10.0.7.3"),
		false: netip.MustParseAddr("fd00:7::3")}
	lan.Run("ip", "addr", "add", other[true].String()+"/24", "dev", device)
	lan.Run("ip", "addr", "add", other[false].String()+"/64", "dev", device, "nodad")
	p := startRouter(t, "interfaces:\n"+red.tun("red", "")+`
  lan:
    link: host
    device: lan0
    ports: [5004]
    join: [{group: 239.1.1.1}, {group: "ff05::1:1"},
           {group: 232.1.1.1, source: 10.0.7.2}, {group: "ff35::1", source: "fd00:7::2"}]
protocols:
  static:
    routes:
      - {group: 239.2.0.0/16, in: red, out: [lan]}
      - {group: "ff05::2:0/112", in: red, out: [lan]}
`)
	for _, test := range []struct{ in, specific, out string }{
		{"239.1.1.1:5004", "232.1.1.1:5004", "239.2.1.1:6000"},
		{"[ff05::1:1]:5004", "[ff35::1]:5004", "[ff05::2:1]:6000"},
	} {
		in, specific := netip.MustParseAddrPort(test.in), netip.MustParseAddrPort(test.specific)
		out := netip.MustParseAddrPort(test.out)
		source := lan.address(in.Addr())
		t.Run("from the LAN to "+test.in, func(t *testing.T) {
			conn := red.join(in)
			defer lan.stream(source, in).stop()
			if got := receive(t, conn); got != (datagram{"datagram", source, 7}) {
				t.Errorf("received %v", got)
			}
		})
		t.Run("one source to "+test.specific, func(t *testing.T) {
			conn := red.join(specific, source)
			wrong := lan.stream(other[in.Addr().Is4()], specific)
			defer wrong.stop()
			defer lan.stream(source, specific).stop()
			if got := receive(t, conn); got.source != source {
				t.Errorf("received %v", got)
			}
			eventually(t, "more from both", func() bool { return wrong.sent.Load() > 20 })
			if routes := p.router.Routes(); len(routes) == 0 {
				t.Error("no entries")
			} else {
				for _, r := range routes {
					if r.Source == other[in.Addr().Is4()].String() {
						t.Errorf("the source that nobody wants has come in: %v", r)
					}
				}
			}
		})
		t.Run("to the LAN, "+test.out, func(t *testing.T) {
			conn := lan.join(out)
			defer red.stream(red.address(out.Addr()), out).stop()
			from := netip.MustParseAddr("10.0.7.1")
			if out.Addr().Is6() {
				from = netip.MustParseAddr("fd00:7::1")
			}
			if got := receive(t, conn); got != (datagram{"datagram", from, 7}) {
				t.Errorf("received %v", got)
			}
			p.wantExplained(t, red.address(out.Addr()), out.Addr(), "lan", "forwarded",
				"the host's address, "+from.String())
			other := netip.AddrPortFrom(out.Addr().Next(), out.Port())
			red.join(other)
			p.awaitGroup("red", other.Addr())
			p.wantExplained(t, source, other.Addr(), "red", "not-joined", "no socket receives")
		})
	}
}

// wantExplained demands a verdict on a flow.
func (p *running) wantExplained(t testing.TB, source, group netip.Addr, out, cause,
	mentions string) {
	t.Helper()
	got, err := p.router.Explain(t.Context(), control.Question{Source: source, Group: group,
		Interface: out})
	if err != nil {
		t.Fatal(err)
	}
	if got.Cause != cause || !strings.Contains(got.Text, mentions) {
		t.Errorf("%s to %s on %s: %s, %s", source, group, out, got.Cause, got.Text)
	}
}
