package host_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"umroute/tun/host"
)

// TestOwnDatagramsStayAway sends what the router also receives: a program on its
// host hears it, and the router hears that program, which uses the same port, and
// not itself.
func TestOwnDatagramsStayAway(t *testing.T) {
	l := newLAN(t)
	d := open(t, host.Config{Ports: []uint16{5004}})
	r := read(t, d)
	for _, group := range groups {
		if err := d.SetFilter(group.Addr(), true, nil); err != nil {
			t.Fatal(err)
		}
		program := listenHere(t, group)
		source := netip.AddrPortFrom(inner(group.Addr()), 4711)
		for i := range 300 {
			write(t, d, pack(source, group, 9, 0, 0, fmt.Sprint("from the router ", i)))
		}
		write(t, d, pack(source, group, 9, 0, 1000, strings.Repeat("super", 500)))
		if got := receive(t, program); got.Text != "from the router 0" {
			t.Errorf("the host's program received %q", got.Text)
		}
		mine := netip.AddrPortFrom(own(group.Addr()), 4711)
		sendHere(t, mine, group, "from a program")
		if got := look(t, r.next()); got.Payload != "from a program" ||
			got.Source != mine.String() {
			t.Errorf("the router received %v", got)
		}
		// A program that says the same as the router did, once more.
		sendHere(t, mine, group, "from the router 7")
		if got := look(t, r.next()); got.Payload != "from the router 7" {
			t.Errorf("the router received %v", got)
		}
		send(t, dial(t, l.Host, netip.AddrPortFrom(address(group.Addr()), 0), 9, 0), group, "LAN")
		if got := look(t, r.next()); got.Payload != "LAN" {
			t.Errorf("the router received %v", got)
		}
		if got := d.Drops()["own_loop"]; got < 301 {
			t.Errorf("%d datagrams came back, want 301 or more", got)
		}
	}
}

// listenHere opens a socket of a program on the router's host.
func listenHere(t testing.TB, group netip.AddrPort) *net.UDPConn {
	t.Helper()
	device, err := net.InterfaceByName(hostDevice)
	if err != nil {
		t.Fatal(err)
	}
	// Go's own way to listen to a group, which shares the port.
	conn, err := net.ListenMulticastUDP(network(group.Addr()), device, net.UDPAddrFromAddrPort(group))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// sendHere sends as a program on the router's host does.
func sendHere(t testing.TB, source, group netip.AddrPort, text string) {
	t.Helper()
	domain := unix.AF_INET
	if source.Addr().Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	device, err := net.InterfaceByName(hostDevice)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err == nil && source.Addr().Is4() {
		err = unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF,
			&unix.IPMreqn{Ifindex: int32(device.Index)})
	} else if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, device.Index)
	}
	if err == nil {
		err = unix.Bind(fd, socketAddress(source))
	}
	if err == nil {
		err = unix.Sendto(fd, []byte(text), 0, socketAddress(group))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func socketAddress(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// TestPortsThatCannotBeKept sends from ports that a program has for itself, that need
// a privilege, or that are too many.
func TestPortsThatCannotBeKept(t *testing.T) {
	l := newLAN(t)
	d := open(t, host.Config{})
	group := groups[0]
	conn := l.listen(group)
	mine, err := netListen(t, "0.0.0.0:4712")
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	from := func(port int) received {
		source := netip.AddrPortFrom(innerV4, uint16(port))
		write(t, d, pack(source, group, 9, 0, 0, fmt.Sprint(port)))
		got := receive(t, conn)
		if got.Text != fmt.Sprint(port) || got.Source.Addr() != hostV4 {
			t.Fatalf("from port %d: %+v", port, got)
		}
		return got
	}
	other := from(4712).Source.Port()
	if other == 4712 || from(4712).Source.Port() != other {
		t.Errorf("a port that is taken became %d, and then another one", other)
	}
	kept := 0
	for port := range 400 {
		if got := from(10_000 + port).Source.Port(); got == uint16(10_000+port) {
			kept++
		} else if got != other {
			t.Errorf("port %d became %d, want %d", 10_000+port, got, other)
		}
	}
	if kept < 100 || kept > 256 {
		t.Errorf("%d of 400 ports were kept", kept)
	}
	if got := from(10_000).Source.Port(); got != 10_000 {
		t.Errorf("a port that was kept became %d", got)
	}
}

// TestProgramsKeepTheirs has a program of the host use the ports that the router
// receives and sends from: it gets its unicast datagrams.
func TestProgramsKeepTheirs(t *testing.T) {
	l := newLAN(t)
	d := open(t, host.Config{Ports: []uint16{5004}})
	for _, group := range groups {
		config := net.ListenConfig{Control: share}
		conn, err := config.ListenPacket(t.Context(), network(group.Addr()), ":5004")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := d.SetFilter(group.Addr(), true, nil); err != nil {
			t.Fatal(err)
		}
		source := netip.AddrPortFrom(inner(group.Addr()), 5004)
		write(t, d, pack(source, group, 9, 0, 0, "hello"))
		to := netip.AddrPortFrom(own(group.Addr()), 5004)
		send(t, dial(t, l.Host, netip.AddrPortFrom(address(group.Addr()), 0), 9, 0), to, "unicast")
		// The kernel gives it what any socket of the host has joined, too.
		for _, want := range []string{"hello", "unicast"} {
			if got := receive(t, conn.(*net.UDPConn)); got.Text != want {
				t.Errorf("the program received %q, want %q", got.Text, want)
			}
		}
	}
}

// share is what a program does that lets others use its port.
func share(_, _ string, raw syscall.RawConn) error {
	var err error
	controlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	})
	return errors.Join(err, controlErr)
}

// netListen listens as a program does that shares nothing.
func netListen(t testing.TB, address string) (net.PacketConn, error) {
	var config net.ListenConfig
	return config.ListenPacket(t.Context(), "udp4", address)
}
