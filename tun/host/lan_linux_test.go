package host_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/tun"
	"umroute/tun/host"
	"umroute/tun/netns/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

// patience bounds every wait.
const patience = 20 * time.Second

// The LAN of the tests, between lan0 of the router's host and lan1.
const (
	hostDevice = "lan0"
	lanDevice  = "lan1"
)

var (
	hostV4, lanV4 = netip.MustParseAddr("192.168.7.1"), netip.MustParseAddr("192.168.7.2")
	hostV6, lanV6 = netip.MustParseAddr("fd00:7::1"), netip.MustParseAddr("fd00:7::2")

	groups = []netip.AddrPort{
		netip.MustParseAddrPort("239.1.1.1:5004"), netip.MustParseAddrPort("[ff05::1:1]:5004"),
	}
)

// lan is a Linux host on the LAN. The router's host is where the test runs.
type lan struct {
	*netnstest.Host
	t testing.TB
}

func newLAN(t testing.TB) *lan {
	t.Helper()
	l := &lan{Host: netnstest.NewHost(t), t: t}
	l.plug()
	return l
}

// plug makes the cable.
func (l *lan) plug() {
	l.t.Helper()
	target, err := os.Open(l.Netns())
	if err != nil {
		l.t.Fatal(err)
	}
	defer target.Close()
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: hostDevice}, PeerName: lanDevice}
	if err := netlink.LinkAdd(veth); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = netlink.LinkDel(veth) }) // the test may have done so
	peer, err := netlink.LinkByName(lanDevice)
	if err == nil {
		err = netlink.LinkSetNsFd(peer, int(target.Fd()))
	}
	if err == nil {
		err = configure(hostDevice, hostV4, hostV6)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.Do(func() error { return configure(lanDevice, lanV4, lanV6) })
	l.Run("ip", "route", "add", "224.0.0.0/4", "dev", lanDevice)
	l.awaitCarrier()
}

// addAddress gives the LAN's host another address.
func (l *lan) addAddress(a netip.Addr) {
	l.t.Helper()
	l.Do(func() error { return configure(lanDevice, a) })
}

// configure gives a device of this thread's namespace its addresses.
func configure(device string, addresses ...netip.Addr) error {
	// Without the search for duplicates addresses work at once.
	err := os.WriteFile("/proc/sys/net/ipv6/conf/"+device+"/accept_dad", []byte("0"), 0)
	if err != nil {
		return err
	}
	link, err := netlink.LinkByName(device)
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	for _, a := range addresses {
		bits := 24
		if a.Is6() {
			bits = 64
		}
		address := &netlink.Addr{Flags: unix.IFA_F_NODAD, IPNet: &net.IPNet{
			IP: a.AsSlice(), Mask: net.CIDRMask(bits, a.BitLen())}}
		if err == nil {
			err = netlink.AddrAdd(link, address)
		}
	}
	return err
}

// awaitCarrier waits until IPv6 works on both ends, which it does once the kernel
// has noticed the carrier and both have their link-local addresses.
func (l *lan) awaitCarrier() {
	l.t.Helper()
	ready := func(device string) bool {
		link, err := netlink.LinkByName(device)
		if err != nil {
			return false
		}
		list, err := netlink.AddrList(link, netlink.FAMILY_V6)
		if err != nil {
			return false
		}
		for _, a := range list {
			if a.Flags&unix.IFA_F_TENTATIVE != 0 {
				return false
			}
		}
		return len(list) > 1
	}
	eventually(l.t, "IPv6 on the LAN", func() (both bool) {
		l.Do(func() error { both = ready(lanDevice); return nil })
		return both && ready(hostDevice)
	})
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v in vain: %s", patience, what)
		case <-again.C:
		}
	}
}

// address is the one of the LAN's host of a group's family.
func address(group netip.Addr) netip.Addr {
	if group.Is4() {
		return lanV4
	}
	return lanV6
}

func network(group netip.Addr) string {
	if group.Is4() {
		return "udp4"
	}
	return "udp6"
}

// device is a Device with one who joins groups on it.
type device struct {
	*host.Device
	*host.Member
}

// open opens a device that ends with the test.
func open(t testing.TB, config host.Config) *device {
	t.Helper()
	config.Device = hostDevice
	d, err := host.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return &device{d, d.Member()}
}

// reader takes what a device reads, on a goroutine of its own.
type reader struct {
	t       testing.TB
	packets chan []byte
}

func read(t testing.TB, d tun.Device) *reader {
	r := &reader{t: t, packets: make(chan []byte, 1000)}
	go func() {
		bufs, sizes := make([][]byte, 16), make([]int, 16)
		for i := range bufs {
			bufs[i] = make([]byte, 1<<16+64)
		}
		for {
			n, err := d.Read(bufs, sizes)
			if err != nil {
				if !errors.Is(err, os.ErrClosed) {
					t.Errorf("Read: %v", err)
				}
				return
			}
			for i := range n {
				r.packets <- append([]byte(nil), bufs[i][:sizes[i]]...)
			}
		}
	}()
	return r
}

// next waits for a packet.
func (r *reader) next() []byte {
	r.t.Helper()
	select {
	case p := <-r.packets:
		return p
	case <-time.After(patience):
		r.t.Fatalf("nothing read for %v", patience)
	}
	return nil
}

// dial opens a socket that sends with a TTL and a type of service.
func dial(t testing.TB, h *netnstest.Host, source netip.AddrPort, ttl, tos int) *net.UDPConn {
	t.Helper()
	conn := h.ListenUDP(network(source.Addr()), source.String())
	set(t, conn, func(fd int) error {
		if source.Addr().Is4() {
			return errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, ttl),
				unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, tos))
		}
		return errors.Join(
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, ttl),
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, tos))
	})
	return conn
}

func set(t testing.TB, conn *net.UDPConn, option func(fd int) error) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var optionErr error
	err = raw.Control(func(fd uintptr) { optionErr = option(int(fd)) })
	if err = errors.Join(err, optionErr); err != nil {
		t.Fatal(err)
	}
}

func send(t testing.TB, conn *net.UDPConn, to netip.AddrPort, text string) {
	t.Helper()
	if _, err := conn.WriteToUDPAddrPort([]byte(text), to); err != nil {
		t.Fatal(err)
	}
}

// received is a datagram as a socket of a Linux host got it.
type received struct {
	Text     string
	Source   netip.AddrPort
	TTL, TOS int
}

// receive waits for a datagram at a socket that tell has prepared.
func receive(t testing.TB, conn *net.UDPConn) received {
	t.Helper()
	buf, control := make([]byte, 1<<16), make([]byte, 256)
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	n, c, _, source, err := conn.ReadMsgUDPAddrPort(buf, control)
	if err != nil {
		t.Fatal(err)
	}
	r := received{Text: string(buf[:n]), Source: source}
	all, err := unix.ParseSocketControlMessage(control[:c])
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		switch fmt.Sprint(m.Header.Level, m.Header.Type) {
		case fmt.Sprint(unix.IPPROTO_IP, unix.IP_TTL),
			fmt.Sprint(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT):
			r.TTL = int(m.Data[0])
		case fmt.Sprint(unix.IPPROTO_IP, unix.IP_TOS),
			fmt.Sprint(unix.IPPROTO_IPV6, unix.IPV6_TCLASS):
			r.TOS = int(m.Data[0])
		}
	}
	return r
}

// tell has a socket tell the TTL and the type of service of what it receives.
func tell(t testing.TB, conn *net.UDPConn, v6 bool) {
	t.Helper()
	set(t, conn, func(fd int) error {
		if !v6 {
			return errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVTTL, 1),
				unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVTOS, 1))
		}
		return errors.Join(
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1),
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1))
	})
}
