package router_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/tun/netns"
	"umroute/tun/netns/netnstest"
)

// device is the one through which a station and the router meet.
const device = "mc0"

// station is a Linux host. The link has the subnets 10.0.N.0/24 and
// fd00:N::/64, in which the router is 1.
type station struct {
	*netnstest.Host
	t      testing.TB
	number int
	v4, v6 netip.Addr
}

// newStation makes the host of a TUN.
func newStation(t testing.TB, number int) *station {
	t.Helper()
	return &station{Host: netnstest.NewHost(t), t: t, number: number,
		v4: netip.AddrFrom4([4]byte{10, 0, byte(number), 2}),
		v6: netip.MustParseAddr(fmt.Sprintf("fd00:%x::2", number))}
}

// tun is the configuration of the router's interface to the station, to which
// more is appended.
func (s *station) tun(name, more string) string {
	return fmt.Sprintf("  %s: {coalesce: false, netns: %s, "+
		"addresses: [10.0.%d.1/24, \"fd00:%x::1/64\"], peer-addresses: [%s/24, \"%s/64\"]%s}\n",
		name, s.Netns(), s.number, s.number, s.v4, s.v6, more)
}

// address is the station's own of the family of group.
func (s *station) address(group netip.Addr) netip.Addr {
	if group.Is4() {
		return s.v4
	}
	return s.v6
}

// sysctl sets a value under /proc/sys/net.
func (s *station) sysctl(name, value string) {
	s.t.Helper()
	s.Do(func() error {
		return os.WriteFile(filepath.Join("/proc/sys/net", name), []byte(value), 0)
	})
}

// forceVersion makes the host speak an older version of IGMP or MLD alone.
func (s *station) forceVersion(group netip.Addr, version int) {
	s.t.Helper()
	name := "ipv4/conf/mc0/force_igmp_version"
	if group.Is6() {
		name = "ipv6/conf/mc0/force_mld_version"
	}
	s.sysctl(name, fmt.Sprint(version))
}

// network is the family of a group as package net names it.
func network(group netip.Addr) string {
	if group.Is4() {
		return "udp4"
	}
	return "udp6"
}

// listen opens a socket for a group's port without joining.
func (s *station) listen(group netip.AddrPort) *net.UDPConn {
	s.t.Helper()
	return s.ListenUDP(network(group.Addr()), fmt.Sprintf(":%d", group.Port()))
}

// awaitLinkLocal waits until the host has the address that MLD speaks from. It
// reports from :: before, and then counts as two.
func (s *station) awaitLinkLocal() {
	s.t.Helper()
	eventually(s.t, "a link-local address", func() (found bool) {
		s.Do(func() error {
			i, err := net.InterfaceByName(device)
			if err != nil {
				return err
			}
			addrs, err := i.Addrs()
			for _, a := range addrs {
				ip, ok := a.(*net.IPNet)
				found = found || ok && ip.IP.To4() == nil && ip.IP.IsLinkLocalUnicast()
			}
			return err
		})
		return found
	})
}

// join opens a socket that receives a group: any source, or those given.
func (s *station) join(group netip.AddrPort, sources ...netip.Addr) *net.UDPConn {
	s.t.Helper()
	conn := s.listen(group)
	s.Join(conn, device, group.Addr(), sources...)
	return conn
}

// block keeps a source out of a group that is joined for all (RFC 3678
// section 4.1.3).
func (s *station) block(conn *net.UDPConn, group, source netip.Addr) {
	s.t.Helper()
	const storage = 128
	request := make([]byte, 8+2*storage)
	binary.NativeEndian.PutUint32(request, uint32(s.Index(device)))
	level := unix.IPPROTO_IP
	for i, address := range []netip.Addr{group, source} {
		sockaddr := request[8+storage*i:]
		if address.Is4() {
			binary.NativeEndian.PutUint16(sockaddr, unix.AF_INET)
			copy(sockaddr[4:], address.AsSlice())
			continue
		}
		level = unix.IPPROTO_IPV6
		binary.NativeEndian.PutUint16(sockaddr, unix.AF_INET6)
		copy(sockaddr[8:], address.AsSlice())
	}
	setOption(s.t, conn, func(fd int) error {
		return unix.SetsockoptString(fd, level, unix.MCAST_BLOCK_SOURCE, string(request))
	})
}

func setOption(t testing.TB, conn *net.UDPConn, set func(fd int) error) {
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

// streamInterval is the time between the datagrams of a stream.
const streamInterval = 5 * time.Millisecond

// stream is traffic to a group that flows until the test ends.
type stream struct {
	sent atomic.Int64
	stop func()
}

// stream starts to send from one of the station's addresses.
func (s *station) stream(source netip.Addr, group netip.AddrPort) *stream {
	s.t.Helper()
	conn := s.ListenUDP(network(source), netip.AddrPortFrom(source, 0).String())
	setOption(s.t, conn, func(fd int) error {
		if source.Is4() {
			return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, 8)
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 8)
	})
	st := &stream{}
	quit, ended := make(chan struct{}), make(chan struct{})
	stopped := false
	st.stop = func() {
		if !stopped {
			stopped = true
			close(quit)
			<-ended
		}
	}
	s.t.Cleanup(st.stop)
	go func() {
		defer close(ended)
		ticker := time.NewTicker(streamInterval)
		defer ticker.Stop()
		for {
			if _, err := conn.WriteToUDPAddrPort([]byte("datagram"), group); err != nil {
				s.t.Errorf("send to %s: %v", group, err)
				return
			}
			st.sent.Add(1)
			select {
			case <-quit:
				return
			case <-ticker.C:
			}
		}
	}()
	return st
}

// move gives a device of the station to another host.
func (s *station) move(device string, to *netnstest.Host) {
	s.t.Helper()
	target, err := os.Open(to.Netns())
	if err != nil {
		s.t.Fatal(err)
	}
	defer target.Close()
	s.Do(func() error {
		link, err := netlink.LinkByName(device)
		if err != nil {
			return err
		}
		return netlink.LinkSetNsFd(link, int(target.Fd()))
	})
}

// inside runs f in the station's namespace, on any goroutine.
func (s *station) inside(f func() error) error { return netns.Do(s.Netns(), f) }
