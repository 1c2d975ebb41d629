package stack_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umroute/stack"
	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

func TestMain(m *testing.M) {
	for _, arg := range os.Args {
		if strings.HasPrefix(arg, "-test.fuzz") {
			os.Exit(m.Run()) // a fuzzing process talks through descriptors of its own
		}
	}
	netnstest.Main(m)
}

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

func prefixes(s ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range s {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// lab is a router between Linux hosts.
type lab struct {
	*stack.Stack
	igmp chan []byte
}

func newLab(t *testing.T) lab {
	t.Helper()
	l := lab{igmp: make(chan []byte, 64)}
	s, err := stack.New(stack.Config{Forward: true, IGMP: func(_ uint32, packet []byte) {
		select {
		case l.igmp <- packet:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	l.Stack = s
	t.Cleanup(s.Close)
	return l
}

// attach gives the router a link to a host: 10.0.INDEX.0/24, fd00:INDEX::/64.
func (l lab) attach(t *testing.T, host *netnstest.Host, index int, kind tun.Kind, mtu int) {
	t.Helper()
	config := tun.Config{Kind: kind, Netns: host.Netns(), MTU: mtu, PeerRoutes: true,
		Addresses: prefixes(fmt.Sprintf("10.0.%d.1/24", index), fmt.Sprintf("fd00:%d::1/64", index)),
		PeerAddresses: prefixes(fmt.Sprintf("10.0.%d.2/24", index),
			fmt.Sprintf("fd00:%d::2/64", index)),
	}
	l.open(t, config, uint32(index))
}

func (l lab) open(t *testing.T, config tun.Config, index uint32) {
	t.Helper()
	if index%2 == 0 {
		config.Offload = tun.OffloadHeader
	}
	link, err := tun.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	err = l.AddInterface(stack.InterfaceConfig{Index: index, Name: fmt.Sprint("link", index),
		Device: link, HardwareAddr: link.HardwareAddr(), Addresses: config.Addresses})
	if err != nil {
		t.Fatal(err)
	}
	var reader sync.WaitGroup
	reader.Go(func() { l.read(link, index) })
	t.Cleanup(func() {
		link.Close()
		reader.Wait()
	})
}

func (l lab) read(link *tun.Link, index uint32) {
	bufs, sizes := make([][]byte, 16), make([]int, 16)
	for i := range bufs {
		bufs[i] = make([]byte, 9000)
	}
	head := 0
	if link.Offload() != tun.OffloadNone {
		head = tun.VirtioHeaderLen
	}
	for {
		n, err := link.Read(bufs, sizes)
		if err != nil {
			return
		}
		for i := range n {
			l.Deliver(index, bufs[i][head:sizes[i]])
		}
	}
}

// ping sends ICMP echo requests until there is a reply. A host may lose the first
// one: Linux takes an IPv6 address into use before it has made the route to itself.
func ping(t *testing.T, host *netnstest.Host, to string) {
	t.Helper()
	network, request, reply := "ip4:icmp", byte(8), byte(0)
	if strings.Contains(to, ":") {
		network, request, reply = "ip6:ipv6-icmp", 128, 129
	}
	var conn *net.IPConn
	host.Do(func() error {
		c, err := net.Dial(network, to)
		conn, _ = c.(*net.IPConn)
		return err
	})
	defer conn.Close()
	message := []byte{request, 0, 0, 0, 0x12, 0x34, 0, 1, 'p', 'i', 'n', 'g'}
	sum := uint32(request)<<8 + 0x1234 + 1 + 'p'<<8 + 'i' + 'n'<<8 + 'g'
	binary.BigEndian.PutUint16(message[2:], ^uint16(sum>>16+sum&0xffff)) // the kernel's for IPv6
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if _, err := conn.Write(message); err != nil {
			t.Fatalf("ping %s: %v", to, err)
		}
		if answered(t, conn, reply, len(message)) {
			return
		}
	}
	t.Fatalf("ping %s: no reply", to)
}

// answered waits a moment for an echo reply.
func answered(t *testing.T, conn *net.IPConn, reply byte, size int) bool {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(time.Second / 2)); err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, 1500); ; {
		n, _, err := conn.ReadFrom(buf) // without the IPv4 header
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		if n == size && buf[0] == reply && string(buf[8:n]) == "ping" {
			return true
		}
	}
}

// linkLocalOf is how a host names the router's link-local address.
func (l lab) linkLocalOf(index uint32, device string) string {
	return l.LinkLocal(index).String() + "%" + device
}

// hopFrom sends a datagram with this TTL or hop limit, and tells what ICMP error
// came back, from whom.
func hopFrom(t *testing.T, host *netnstest.Host, to string, limit int) (from netip.Addr, kind int) {
	t.Helper()
	address := netip.MustParseAddr(to)
	family, level, ttl, recvErr := unix.AF_INET, unix.IPPROTO_IP, unix.IP_TTL, unix.IP_RECVERR
	var target unix.Sockaddr
	if address.Is4() {
		target = &unix.SockaddrInet4{Port: 33434, Addr: address.As4()}
	} else {
		family, level = unix.AF_INET6, unix.IPPROTO_IPV6
		ttl, recvErr = unix.IPV6_UNICAST_HOPS, unix.IPV6_RECVERR
		target = &unix.SockaddrInet6{Port: 33434, Addr: address.As16()}
	}
	fd := -1
	host.Do(func() (err error) {
		fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	})
	defer unix.Close(fd)
	for option, value := range map[int]int{ttl: limit, recvErr: 1} {
		if err := unix.SetsockoptInt(fd, level, option, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Sendto(fd, []byte("trace"), 0, target); err != nil {
		t.Fatal(err)
	}
	waitForError(t, fd, to)
	oob := make([]byte, 512)
	_, n, _, _, err := unix.Recvmsg(fd, make([]byte, 512), oob, unix.MSG_ERRQUEUE)
	if err != nil {
		t.Fatalf("error queue for %s: %v", to, err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) == 0 {
		t.Fatalf("error queue for %s: %d messages, %v", to, len(messages), err)
	}
	// struct sock_extended_err: errno, origin, type, code …, then the offender.
	data := messages[0].Data
	if address.Is6() {
		return netip.AddrFrom16([16]byte(data[24:40])), int(data[5])
	}
	return netip.AddrFrom4([4]byte(data[20:24])), int(data[5])
}

func waitForError(t *testing.T, fd int, to string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		fds := []unix.PollFd{{Fd: int32(fd)}} // an error is always polled for
		n, err := unix.Poll(fds, int(time.Until(deadline).Milliseconds()))
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || n != 1 {
			t.Fatalf("no ICMP error for %s: %d, %v", to, n, err)
		}
		return
	}
}

// echoUDP sends a datagram from one host to a socket of another and back.
func echoUDP(t *testing.T, from, to *netnstest.Host, network, address string, size int) {
	t.Helper()
	server := to.ListenUDP(network, net.JoinHostPort(address, "0"))
	var client net.Conn
	from.Do(func() (err error) {
		client, err = net.Dial(network, server.LocalAddr().String())
		return err
	})
	defer client.Close()
	for _, conn := range []net.Conn{client, server} {
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
	}
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = byte(i * 13)
	}
	buf := make([]byte, size+1)
	if _, err := client.Write(sent); err != nil {
		t.Fatal(err)
	}
	n, peer, err := server.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatalf("%d bytes to %s: %v", size, address, err)
	}
	if _, err := server.WriteToUDPAddrPort(buf[:n], peer); err != nil {
		t.Fatal(err)
	}
	n, err = client.Read(buf)
	if err != nil || string(buf[:n]) != string(sent) {
		t.Fatalf("%d bytes from %s: %d bytes, %v", size, address, n, err)
	}
}

func wantHop(t *testing.T, host *netnstest.Host, to string, limit int, from string, kind int) {
	t.Helper()
	gotFrom, gotKind := hopFrom(t, host, to, limit)
	if gotFrom != netip.MustParseAddr(from) || gotKind != kind {
		t.Errorf("to %s with limit %d: type %d from %s, want %d from %s",
			to, limit, gotKind, gotFrom, kind, from)
	}
}

// TestLinuxHosts has two Linux hosts talk to the router and through it.
func TestLinuxHosts(t *testing.T) {
	for _, kind := range []tun.Kind{tun.KindTUN, tun.KindTAP} {
		t.Run(kind.String(), func(t *testing.T) {
			one, two := netnstest.NewHost(t), netnstest.NewHost(t)
			l := newLab(t)
			l.attach(t, one, 1, kind, 1500)
			l.attach(t, two, 2, kind, 1400)

			for _, to := range []string{"10.0.1.1", "10.0.2.1", "10.0.2.2",
				"fd00:1::1", "fd00:2::1", "fd00:2::2", l.linkLocalOf(1, "mc0")} {
				ping(t, one, to)
			}
			wantHop(t, one, "10.0.2.2", 1, "10.0.1.1", 11)
			wantHop(t, one, "10.0.2.2", 2, "10.0.2.2", 3)
			wantHop(t, one, "10.0.2.1", 1, "10.0.2.1", 3)
			wantHop(t, one, "198.51.100.1", 9, "10.0.1.1", 3)
			wantHop(t, one, "fd00:2::2", 1, "fd00:1::1", 3)
			wantHop(t, one, "fd00:2::2", 2, "fd00:2::2", 1)
			wantHop(t, one, "fd00:2::1", 1, "fd00:2::1", 1)
			wantHop(t, one, "2001:db8::1", 9, "fd00:1::1", 1)
			pathMTU(t, one)
			// The first ones fit, the others are cut up by the sender.
			for _, size := range []int{1, 1300, 4000} {
				echoUDP(t, one, two, "udp4", "10.0.2.2", size)
				echoUDP(t, two, one, "udp6", "fd00:1::2", size)
			}
			l.report(t, one)
		})
	}
}

// pathMTU sends what fits the first link and not the second, until the sender has
// learnt from the router what does.
func pathMTU(t *testing.T, host *netnstest.Host) {
	t.Helper()
	for _, to := range []string{"10.0.2.2:9", "[fd00:2::2]:9"} {
		network, level, option := "udp4", unix.IPPROTO_IP, unix.IP_MTU
		if to[0] == '[' {
			network, level, option = "udp6", unix.IPPROTO_IPV6, unix.IPV6_MTU
		}
		var conn net.Conn
		host.Do(func() (err error) {
			conn, err = net.Dial(network, to)
			return err
		})
		defer conn.Close()
		raw, err := conn.(*net.UDPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		mtu := 0
		for deadline := time.Now().Add(patience); mtu != 1400; {
			if time.Now().After(deadline) {
				t.Fatalf("path MTU to %s is %d, want 1400", to, mtu)
			}
			_, _ = conn.Write(make([]byte, 1420)) // too big, or refused: both are told
			err := raw.Control(func(fd uintptr) {
				mtu, err = unix.GetsockoptInt(int(fd), level, option)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// report has a host join a group and waits for the router's tap to see it.
func (l lab) report(t *testing.T, host *netnstest.Host) {
	t.Helper()
	conn := host.ListenUDP("udp4", "0.0.0.0:5000")
	group := netip.MustParseAddr("239.1.2.3")
	host.Join(conn, "mc0", group)
	timeout := time.After(patience)
	for {
		select {
		case packet := <-l.igmp:
			// An IGMPv3 report behind a Router Alert option, its first record.
			if len(packet) >= 40 && packet[24] == 0x22 && netip.AddrFrom4([4]byte(packet[36:40])) == group {
				return
			}
		case <-timeout:
			t.Fatal("no report came through the tap")
		}
	}
}

// TestBridgedHosts has two Linux hosts behind one TAP, on a bridge, and one more
// behind a TUN.
func TestBridgedHosts(t *testing.T) {
	wire, far := netnstest.NewHost(t), netnstest.NewHost(t)
	hosts := []*netnstest.Host{netnstest.NewHost(t), netnstest.NewHost(t)}
	l := newLab(t)
	l.attach(t, far, 2, tun.KindTUN, 1500)
	l.open(t, tun.Config{Kind: tun.KindTAP, Netns: wire.Netns(),
		Addresses: prefixes("10.0.1.1/24", "fd00:1::1/64")}, 1)
	wire.Run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
	wire.Run("ip", "link", "set", "br0", "up")
	wire.Run("ip", "link", "set", "mc0", "master", "br0")
	for k, host := range hosts {
		port := fmt.Sprint("port", k)
		// The path is good in this process: its descriptor, not the command's.
		netns := strings.Replace(host.Netns(), "self", fmt.Sprint(os.Getpid()), 1)
		wire.Run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", netns)
		wire.Run("ip", "link", "set", port, "up", "master", "br0")
		host.Run("ip", "addr", "add", fmt.Sprintf("10.0.1.%d/24", k+2), "dev", "eth0")
		host.Run("ip", "addr", "add", fmt.Sprintf("fd00:1::%d/64", k+2), "dev", "eth0", "nodad")
		host.Run("ip", "link", "set", "eth0", "up")
		host.Run("ip", "route", "add", "default", "via", "10.0.1.1")
		host.Run("ip", "route", "add", "default", "via", "fd00:1::1")
	}
	for _, host := range hosts {
		for _, to := range []string{"10.0.1.1", "10.0.2.2", "fd00:1::1", "fd00:2::2"} {
			ping(t, host, to)
		}
		wantHop(t, host, "10.0.2.2", 1, "10.0.1.1", 11)
		wantHop(t, host, "10.0.2.2", 2, "10.0.2.2", 3)
		wantHop(t, host, "fd00:2::2", 1, "fd00:1::1", 3)
		wantHop(t, host, "fd00:2::2", 2, "fd00:2::2", 1)
	}
	for k := range hosts { // neither has been heard of by the far host yet
		ping(t, far, fmt.Sprintf("10.0.1.%d", k+2))
		ping(t, far, fmt.Sprintf("fd00:1::%d", k+2))
		wantHop(t, far, fmt.Sprintf("10.0.1.%d", k+2), 1, "10.0.2.1", 11)
		echoUDP(t, far, hosts[k], "udp4", fmt.Sprintf("10.0.1.%d", k+2), 3000)
	}
}
