package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umroute/tun/netns/netnstest"
)

// station is a Linux host behind a TUN of the router: its device is mc0, its
// addresses are 10.0.N.2 and fd00:N::2, the router's end in 1.
type station struct {
	*netnstest.Host
	t      testing.TB
	name   string // of the router's interface
	netns  string // under /run/netns
	number int
	v4, v6 netip.Addr
	more   string   // further keys of the interface: "mtu: 1400, domain: lab"
	raw    *os.File // of sendRaw
}

// device is what the router calls its device in every station.
const device = "mc0"

// newStations makes hosts with the numbers 1, 2, 3 and so on.
func newStations(t testing.TB, names ...string) []*station {
	t.Helper()
	var all []*station
	for i, name := range names {
		host := netnstest.NewHost(t)
		all = append(all, &station{
			Host: host, t: t, name: name, netns: nameNetns(t, host), number: i + 1,
			v4: netip.AddrFrom4([4]byte{10, 0, byte(i + 1), 2}),
			v6: netip.MustParseAddr(fmt.Sprintf("fd00:%x::2", i+1)),
		})
	}
	return all
}

var namespaces atomic.Int32

// nameNetns does what "ip netns attach" does: other processes can then name
// the host's namespace.
func nameNetns(t testing.TB, host *netnstest.Host) string {
	t.Helper()
	name := fmt.Sprintf("host-%d", namespaces.Add(1))
	path := filepath.Join("/run/netns", name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(host.Netns(), path, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("name a network namespace: %v", err)
	}
	t.Cleanup(func() {
		// EINVAL: the test has taken the name away.
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
			t.Errorf("unmount %s: %v", path, err)
		}
		os.Remove(path)
	})
	return name
}

// configure is a configuration with an interface for each station.
func configure(stations ...*station) string {
	var b strings.Builder
	b.WriteString("interfaces:\n")
	for _, s := range stations {
		fmt.Fprintf(&b, "  %s: {netns: %s", s.name, s.netns)
		fmt.Fprintf(&b, ", addresses: [10.0.%d.1/24, \"fd00:%x::1/64\"]", s.number, s.number)
		fmt.Fprintf(&b, ", peer-addresses: [%s/24, \"%s/64\"]", s.v4, s.v6)
		if s.more != "" {
			b.WriteString(", " + s.more)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// address is the station's own of the family of group.
func (s *station) address(group netip.Addr) netip.Addr {
	if group.Is4() {
		return s.v4
	}
	return s.v6
}

// sysctl sets a value under /proc/sys/net of the station.
func (s *station) sysctl(name, value string) {
	s.t.Helper()
	s.Do(func() error {
		return os.WriteFile(filepath.Join("/proc/sys/net", name), []byte(value), 0)
	})
}

// network is the family of a group as package net names it.
func network(group netip.Addr) string {
	if group.Is4() {
		return "udp4"
	}
	return "udp6"
}

// anyTTL is high enough to cross the router.
const anyTTL = 16

// send sends one datagram to a group, by the route that the router set.
func (s *station) send(to netip.AddrPort, payload string, ttl int) {
	s.t.Helper()
	conn := s.ListenUDP(network(to.Addr()), ":0")
	defer conn.Close()
	setOption(s.t, conn, func(fd int) error {
		if to.Addr().Is4() {
			return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, ttl)
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, ttl)
	})
	if _, err := conn.WriteToUDPAddrPort([]byte(payload), to); err != nil {
		s.t.Fatal(err)
	}
}

// listen opens a socket for a group's port without joining.
func (s *station) listen(group netip.AddrPort) *net.UDPConn {
	s.t.Helper()
	return s.ListenUDP(network(group.Addr()), fmt.Sprintf(":%d", group.Port()))
}

// join opens a socket that receives a group: any source, or those given.
func (s *station) join(group netip.AddrPort, sources ...netip.Addr) *net.UDPConn {
	s.t.Helper()
	conn := s.listen(group)
	s.Join(conn, device, group.Addr(), sources...)
	return conn
}

// joinClassic joins by the options that most programs use: IP_ADD_MEMBERSHIP
// and IPV6_JOIN_GROUP.
func (s *station) joinClassic(conn *net.UDPConn, group netip.Addr) {
	s.t.Helper()
	index := s.Index(device)
	setOption(s.t, conn, func(fd int) error {
		if group.Is4() {
			return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
				&unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)})
		}
		return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
			&unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)})
	})
}

// block keeps a source out of a group that is joined for all (RFC 3678
// section 4.1.3).
func (s *station) block(conn *net.UDPConn, group, source netip.Addr) {
	s.t.Helper()
	request := sourceRequest(s.Index(device), group, source)
	level := unix.IPPROTO_IPV6
	if group.Is4() {
		level = unix.IPPROTO_IP
	}
	setOption(s.t, conn, func(fd int) error {
		return unix.SetsockoptString(fd, level, unix.MCAST_BLOCK_SOURCE, request)
	})
}

// sourceRequest is a struct group_source_req (RFC 3678 section 5.1).
func sourceRequest(index int, group, source netip.Addr) string {
	const storage = 128
	request := make([]byte, 8+2*storage)
	binary.NativeEndian.PutUint32(request, uint32(index))
	for i, address := range []netip.Addr{group, source} {
		sockaddr := request[8+storage*i:]
		family, at := uint16(unix.AF_INET6), 8
		if address.Is4() {
			family, at = unix.AF_INET, 4
		}
		binary.NativeEndian.PutUint16(sockaddr, family)
		copy(sockaddr[at:], address.AsSlice())
	}
	return string(request)
}

func setOption(t testing.TB, conn syscall.Conn, set func(fd int) error) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var setErr error
	err = raw.Control(func(fd uintptr) { setErr = set(int(fd)) })
	if err != nil || setErr != nil {
		t.Fatalf("socket option: %v %v", err, setErr)
	}
}

// expect reads datagrams until the one with this payload, which must come
// from source.
func expect(t testing.TB, conn *net.UDPConn, payload string, source netip.Addr) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatalf("waiting for %q: %v", payload, err)
		}
		if string(buf[:n]) != payload {
			continue
		}
		if from.Addr().Unmap().WithZone("") != source {
			t.Errorf("%q came from %s, want %s", payload, from.Addr(), source)
		}
		return
	}
}
