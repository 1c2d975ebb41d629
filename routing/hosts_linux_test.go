package routing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

// realLink is a link of a router to a Linux host: 10.0.N.2 and fd00:N::2.
type realLink struct {
	*netnstest.Host
	*tun.Link
	number int
}

// attach opens a device of a host and runs it in a forwarder.
func attach(t *testing.T, f *Forwarder, n int, config tun.Config, separate bool) realLink {
	t.Helper()
	host := netnstest.NewHost(t)
	prefix := func(s string) netip.Prefix { return netip.MustParsePrefix(fmt.Sprintf(s, n)) }
	peers := []netip.Prefix{prefix("10.0.%d.2/24"), prefix("fd00:%d::2/64")}
	if config.Kind == tun.KindPacket {
		config.Netns, config.Name = newVeth(t, host, peers)
	} else {
		config.Netns, config.TxQueueLen, config.PeerRoutes = host.Netns(), 4000, true
		config.Addresses = []netip.Prefix{prefix("10.0.%d.1/24"), prefix("fd00:%d::1/64")}
		config.PeerAddresses = peers
	}
	link, err := tun.Open(config)
	if errors.Is(err, syscall.EPERM) && config.IO == tun.IOUring {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	i, err := f.AddInterface(InterfaceConfig{Index: uint32(n), Device: link,
		HardwareAddr: link.HardwareAddr(), Separate: separate})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- i.Run() }()
	t.Cleanup(func() {
		link.Close()
		if err := <-ended; err != nil {
			t.Errorf("link %d: %v", n, err)
		}
	})
	// A host without a route back would drop what comes from other hosts.
	for _, name := range []string{"all", "mc0"} {
		host.Run("sysctl", "-qw", "net.ipv4.conf."+name+".rp_filter=0")
	}
	return realLink{host, link, n}
}

// newVeth joins a host by a veth pair to a namespace for the router, and tells
// which namespace that is and what the device is called there.
func newVeth(t *testing.T, host *netnstest.Host, peers []netip.Prefix) (netns, name string) {
	t.Helper()
	router := netnstest.NewHost(t)
	ns, err := os.Open(router.Netns())
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	host.Do(func() error {
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "mc0"}, PeerName: "veth0",
			PeerNamespace: netlink.NsFd(int(ns.Fd()))}
		if err := netlink.LinkAdd(pair); err != nil {
			return err
		}
		for _, p := range peers {
			address := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(),
				Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}, Flags: unix.IFA_F_NODAD}
			if err := netlink.AddrAdd(pair, address); err != nil {
				return err
			}
		}
		return netlink.LinkSetUp(pair)
	})
	router.Do(func() error {
		device, err := netlink.LinkByName("veth0")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(device)
	})
	host.Run("ip", "route", "add", "default", "dev", "mc0")
	host.Run("ip", "-6", "route", "add", "default", "dev", "mc0")
	return router.Netns(), "veth0"
}

// option sets an integer option of a socket.
func option(t *testing.T, conn *net.UDPConn, level, name, value int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), level, name, value); err != nil {
			t.Errorf("option %d, %d: %v", level, name, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

const (
	realSize  = 200 // bytes of a datagram
	realCount = 640 // datagrams of each run
)

// payload is datagram number n of a stream.
func payload(n int) []byte {
	b := make([]byte, realSize)
	binary.BigEndian.PutUint32(b, uint32(n))
	for i := 4; i < len(b); i++ {
		b[i] = byte(n*7 + i)
	}
	return b
}

// receiver is a socket that counts what a stream brings.
type receiver struct {
	name string
	conn *net.UDPConn
	gro  bool
}

// check reads the whole stream: each datagram whole, once and in order, with
// its TTL and source.
func (r receiver) check(t *testing.T, source netip.Addr) {
	t.Helper()
	_ = r.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf, oob := make([]byte, 1<<16), make([]byte, 512)
	for n := 0; n < realCount; {
		size, oobSize, _, from, err := r.conn.ReadMsgUDP(buf, oob)
		if err != nil {
			t.Fatalf("%s: after %d datagrams: %v", r.name, n, err)
		}
		if from.IP.String() != source.String() {
			t.Fatalf("%s: from %v", r.name, from)
		}
		if !hasHops(oob[:oobSize], 7) {
			t.Fatalf("%s: hop limit is not 7: % x", r.name, oob[:oobSize])
		}
		if !r.gro && size != realSize {
			t.Fatalf("%s: datagram %d has %d bytes", r.name, n, size)
		}
		for b := buf[:size]; len(b) > 0; n++ {
			if len(b) < realSize || string(b[:realSize]) != string(payload(n)) {
				t.Fatalf("%s: datagram %d is % x", r.name, n, b[:min(len(b), 8)])
			}
			b = b[realSize:]
		}
	}
}

// hasHops looks for a TTL or hop limit among the ancillary data.
func hasHops(oob []byte, want byte) bool {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return false
	}
	for _, m := range messages {
		ttl := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_TTL
		limit := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_HOPLIMIT
		if (ttl || limit) && m.Data[0] == want {
			return true
		}
	}
	return false
}

// listen opens a socket that has joined group on the link.
func (l realLink) listen(t *testing.T, name string, group netip.Addr, gro bool) receiver {
	t.Helper()
	network, address, level, hops := "udp4", "0.0.0.0:5000", unix.IPPROTO_IP, unix.IP_RECVTTL
	if group.Is6() {
		network, address = "udp6", "[::]:5000"
		level, hops = unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT
	}
	conn := l.ListenUDP(network, address)
	l.Join(conn, "mc0", group)
	option(t, conn, level, hops, 1)
	option(t, conn, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
	if gro {
		option(t, conn, unix.SOL_UDP, unix.UDP_GRO, 1)
	}
	return receiver{fmt.Sprintf("%s (GRO %v)", name, gro), conn, gro}
}

// stream sends all datagrams, one by one or many in one call.
func (l realLink) stream(t *testing.T, group netip.Addr, each int) netip.Addr {
	t.Helper()
	source := netip.AddrFrom4([4]byte{10, 0, byte(l.number), 2})
	network, level, hops := "udp4", unix.IPPROTO_IP, unix.IP_MULTICAST_TTL
	if group.Is6() {
		source = netip.MustParseAddr(fmt.Sprintf("fd00:%d::2", l.number))
		network, level, hops = "udp6", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS
	}
	conn := l.ListenUDP(network, netip.AddrPortFrom(source, 0).String())
	option(t, conn, level, hops, 8)
	if each > 1 {
		option(t, conn, unix.SOL_UDP, unix.UDP_SEGMENT, realSize)
	}
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(group, 5000))
	for n := 0; n < realCount; n += each {
		var b []byte
		for k := range each {
			b = append(b, payload(n+k)...)
		}
		if _, err := conn.WriteToUDP(b, to); err != nil {
			t.Fatal(err)
		}
	}
	return source
}

// TestHostsReceive sends streams of all kinds from Linux hosts to Linux hosts
// behind devices of all kinds.
func TestHostsReceive(t *testing.T) {
	for _, io := range []string{tun.IOVectored, tun.IOUring, tun.IOPlain} {
		t.Run(io, func(t *testing.T) { allHostsReceive(t, io) })
	}
}

func allHostsReceive(t *testing.T, io string) {
	f := New(Config{})
	link := func(n int, kind tun.Kind, o tun.Offload, separate bool) realLink {
		return attach(t, f, n, tun.Config{Kind: kind, Offload: o, IO: io}, separate)
	}
	senders := []realLink{
		link(1, tun.KindTUN, tun.OffloadSegmentation, false),
		link(2, tun.KindTAP, tun.OffloadSegmentation, false),
		link(3, tun.KindTUN, tun.OffloadNone, false),
		link(10, tun.KindPacket, tun.OffloadSegmentation, false),
	}
	outs := map[string]realLink{
		"TUN":          link(4, tun.KindTUN, tun.OffloadSegmentation, false),
		"TAP":          link(5, tun.KindTAP, tun.OffloadSegmentation, false),
		"separate TUN": link(6, tun.KindTUN, tun.OffloadSegmentation, true),
		"checksum TUN": link(7, tun.KindTUN, tun.OffloadChecksum, false),
		"plain TUN":    link(8, tun.KindTUN, tun.OffloadNone, false),
		"plain TAP":    link(9, tun.KindTAP, tun.OffloadNone, false),
		"veth":         link(11, tun.KindPacket, tun.OffloadSegmentation, false),
		"single veth":  link(12, tun.KindPacket, tun.OffloadSegmentation, true),
	}
	for _, group := range []string{"239.1.1.1", "ff0e::1"} {
		for _, sender := range senders {
			for _, each := range []int{1, 16, 64} {
				name := fmt.Sprintf("%s/from %d/%d at once", group, sender.number, each)
				t.Run(name, func(t *testing.T) {
					hostsReceive(t, f, sender, outs, netip.MustParseAddr(group), each)
				})
			}
		}
	}
	s, _ := f.InterfaceStats(4)
	if want := uint64(2 * 3 * len(senders) * realCount); s.TxPackets != want || s.Resent != 0 {
		t.Errorf("%d datagrams sent, want %d; %d resent", s.TxPackets, want, s.Resent)
	}
}

func hostsReceive(t *testing.T, f *Forwarder, sender realLink, outs map[string]realLink,
	group netip.Addr, each int) {
	var receivers []receiver
	for name, l := range outs {
		for _, gro := range []bool{false, true} {
			receivers = append(receivers, l.listen(t, name, group, gro))
		}
	}
	source := netip.AddrFrom4([4]byte{10, 0, byte(sender.number), 2})
	if group.Is6() {
		source = netip.MustParseAddr(fmt.Sprintf("fd00:%d::2", sender.number))
	}
	m := mfe(flowOf(source.String(), group.String()), uint32(sender.number), 4, 5, 6, 7, 8, 9, 11, 12)
	if err := f.Plane(group.Is6()).Set(m); err != nil {
		t.Fatal(err)
	}
	sender.stream(t, group, each)
	for _, r := range receivers {
		r.check(t, source)
		// Nothing comes twice: what is there is there by now.
		_ = r.conn.SetReadDeadline(time.Now().Add(-time.Second))
		if n, _, err := r.conn.ReadFrom(make([]byte, 1)); err == nil {
			t.Errorf("%s: %d bytes too many", r.name, n)
		}
		r.conn.Close()
	}
}
