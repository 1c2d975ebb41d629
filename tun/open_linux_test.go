package tun_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

var bothKinds = []tun.Kind{tun.KindTUN, tun.KindTAP}

func TestOpenConfiguresTheHost(t *testing.T) {
	for _, kind := range bothKinds {
		t.Run(kind.String(), func(t *testing.T) {
			host := netnstest.NewHost(t)
			config := peerConfig(host, kind)
			config.MTU, config.TxQueueLen = 1400, 777
			link := open(t, config)

			device := deviceOf(t, host, "mc0")
			attrs := device.Attrs()
			if attrs.MTU != 1400 || attrs.TxQLen != 777 {
				t.Errorf("mtu %d, txqueuelen %d, want 1400, 777", attrs.MTU, attrs.TxQLen)
			}
			if want := net.FlagUp | net.FlagMulticast; attrs.Flags&want != want {
				t.Errorf("flags %v, want %v", attrs.Flags, want)
			}
			addrs := host.Run("ip", "-o", "addr", "show", "dev", "mc0")
			for _, want := range []string{"inet 10.0.1.2/24", "inet6 fd00:1::2/64"} {
				if !strings.Contains(addrs, want) {
					t.Errorf("no %s in\n%s", want, addrs)
				}
			}
			if strings.Contains(addrs, "fd00:1::2/64 scope global tentative") {
				t.Errorf("IPv6 address cannot be used yet:\n%s", addrs)
			}
			checkLink(t, link, kind, attrs.HardwareAddr)
		})
	}
}

func checkLink(t *testing.T, link *tun.Link, kind tun.Kind, kernel net.HardwareAddr) {
	t.Helper()
	if link.Name() != "mc0" || link.Kind() != kind || link.MTU() != 1400 || !link.Up() {
		t.Errorf("link %s, %v, mtu %d, up %v", link.Name(), link.Kind(), link.MTU(), link.Up())
	}
	if link.IO() != tun.IOVectored {
		t.Errorf("io %q, want %q", link.IO(), tun.IOVectored)
	}
	if link.ReversePathFilter() < 0 {
		t.Error("rp_filter is unknown")
	}
	addr := link.HardwareAddr()
	switch {
	case kind == tun.KindTUN && addr != nil:
		t.Errorf("a TUN has the hardware address %s", addr)
	case kind == tun.KindTAP && (len(addr) != 6 || addr[0]&3 != 2 || bytes.Equal(addr, kernel)):
		t.Errorf("hardware address %s, want a local unicast one other than %s", addr, kernel)
	}
}

// TestRoutesReachTheRouter sends without saying where, in a host that has
// another device which is up and has routes of its own.
func TestRoutesReachTheRouter(t *testing.T) {
	for _, kind := range bothKinds {
		t.Run(kind.String(), func(t *testing.T) {
			host := netnstest.NewHost(t)
			addEthernet(host)
			link := open(t, peerConfig(host, kind))
			send(t, host, "udp4", "239.1.1.1:5000", "to a group")
			mustRead(t, link, "to a group")
			send(t, host, "udp6", "[ff0e::1:1]:5000", "to an IPv6 group")
			mustRead(t, link, "to an IPv6 group")
			// Unicast on a TAP would wait for an answer to ARP.
			for _, to := range []string{"198.51.100.1", "2001:db8::1"} {
				if out := host.Run("ip", "route", "get", to); !strings.Contains(out, "dev mc0") {
					t.Errorf("%s is routed by %s", to, out)
				}
			}
		})
	}
}

func TestDefaultRouteTakesNothingOver(t *testing.T) {
	host := netnstest.NewHost(t)
	addEthernet(host)
	host.Run("ip", "route", "add", "default", "via", "192.0.2.254", "metric", "20100")
	open(t, peerConfig(host, tun.KindTUN))
	if out := host.Run("ip", "route", "get", "198.51.100.1"); !strings.Contains(out, "dev eth0") {
		t.Errorf("the default route that was there is not used any more: %s", out)
	}
}

func TestNoRoutesUnlessAsked(t *testing.T) {
	host := netnstest.NewHost(t)
	config := peerConfig(host, tun.KindTUN)
	config.PeerRoutes = false
	open(t, config)
	routes := host.Run("ip", "-4", "route")
	if strings.Contains(routes, "default") || strings.Contains(routes, "224.0.0.0/4") {
		t.Errorf("routes:\n%s", routes)
	}
}

func TestClosedDeviceDisappears(t *testing.T) {
	host := netnstest.NewHost(t)
	link := open(t, tun.Config{Netns: host.Netns()})
	if err := link.Close(); err != nil {
		t.Fatal(err)
	}
	if err := link.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	host.Do(func() error {
		_, err := netlink.LinkByName("mc0")
		if !errors.As(err, &netlink.LinkNotFoundError{}) {
			t.Errorf("looking for the device: %v, want that it is not found", err)
		}
		return nil
	})
}

// TestPreparedDeviceIsKept uses devices that were made with "ip tuntap add".
func TestPreparedDeviceIsKept(t *testing.T) {
	tests := []struct {
		name string
		kind tun.Kind
		args []string
	}{
		{"tun", tun.KindTUN, nil},
		{"tap", tun.KindTAP, nil},
		{"many queues", tun.KindTUN, []string{"multi_queue"}},
		{"packets with a header", tun.KindTUN, []string{"vnet_hdr"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			host := netnstest.NewHost(t)
			args := []string{"tuntap", "add", "mc0", "mode", test.kind.String()}
			host.Run("ip", append(args, test.args...)...)
			before := deviceOf(t, host, "mc0").Attrs()
			for range 2 {
				link := open(t, peerConfig(host, test.kind))
				send(t, host, "udp4", "239.1.1.1:5000", "hello")
				mustRead(t, link, "hello")
				if err := link.Close(); err != nil {
					t.Fatal(err)
				}
			}
			after, ok := deviceOf(t, host, "mc0").(*netlink.Tuntap)
			if !ok || after.NonPersist || after.Index != before.Index {
				t.Errorf("device after Close: %+v", after)
			}
		})
	}
}

func TestHardwareAddrIsStable(t *testing.T) {
	host := netnstest.NewHost(t)
	host.Run("ip", "tuntap", "add", "mc0", "mode", "tap")
	var first net.HardwareAddr
	for range 2 {
		link := open(t, peerConfig(host, tun.KindTAP))
		if first == nil {
			first = link.HardwareAddr()
		}
		if got := link.HardwareAddr(); !bytes.Equal(got, first) {
			t.Errorf("hardware address %s, was %s", got, first)
		}
		link.Close()
	}
}

func TestOpenErrors(t *testing.T) {
	host := netnstest.NewHost(t)
	addEthernet(host)
	host.Run("ip", "tuntap", "add", "tap0", "mode", "tap")
	open(t, tun.Config{Name: "busy", Netns: host.Netns()})
	tests := []struct {
		name   string
		config tun.Config
		want   []string
		is     error
	}{
		{"of another type", tun.Config{Name: "eth0"}, []string{"open tun eth0", "a veth"}, nil},
		{"a TAP", tun.Config{Name: "tap0"}, []string{"open tun tap0", "is a tap: open",
			"ip link del tap0"}, nil},
		{"in use", tun.Config{Name: "busy"}, []string{"open tun busy", "by another"}, unix.EBUSY},
		{"no namespace", tun.Config{Netns: "absent"},
			[]string{"netns absent", "ip netns add absent"}, fs.ErrNotExist},
		{"no process", tun.Config{Netns: "pid:4194304"}, []string{"netns pid:4194304"}, unix.ESRCH},
		{"no namespace file", tun.Config{Netns: "/etc/passwd"}, []string{"not a network"}, nil},
	}
	before := descriptors(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.config.Netns == "" {
				test.config.Netns = host.Netns()
			}
			_, err := tun.Open(test.config)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error %v is not %v", err, test.is)
			}
		})
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors open, %d before the errors", after, before)
	}
}

// TestDescriptorsAreClosed opens and closes many times; the first time opens
// what the runtime keeps.
func TestDescriptorsAreClosed(t *testing.T) {
	host := netnstest.NewHost(t)
	before := 0
	for i := range 5 {
		link := open(t, peerConfig(host, bothKinds[i%2]))
		link.Close()
		if i == 0 {
			before = descriptors(t)
		}
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors open, %d after the first link", after, before)
	}
}

func TestOpenInOwnNamespace(t *testing.T) {
	netnstest.Require(t)
	for _, own := range []string{"", "self"} {
		link := open(t, tun.Config{Netns: own, PeerAddresses: prefixes("10.0.9.2/24")})
		if _, err := net.InterfaceByName("mc0"); err != nil {
			t.Errorf("netns %q: %v", own, err)
		}
		link.Close()
	}
}

// TestChildrenInheritNothing looks at what a child process finds open.
func TestChildrenInheritNothing(t *testing.T) {
	host := netnstest.NewHost(t)
	open(t, peerConfig(host, tun.KindTUN))
	if out := host.Run("ls", "-l", "/proc/self/fd"); strings.Contains(out, "tun") {
		t.Errorf("a child has\n%s", out)
	}
}

// TestMulticastReachesTheHost writes a packet that a socket has joined for.
func TestMulticastReachesTheHost(t *testing.T) {
	for _, io := range ioModes {
		t.Run(io, func(t *testing.T) {
			needIO(t, io)
			host := netnstest.NewHost(t)
			config := peerConfig(host, tun.KindTUN)
			config.IO = io
			link := open(t, config)
			if link.IO() != io {
				t.Errorf("io %q, want %q", link.IO(), io)
			}
			conn := host.ListenUDP("udp4", "0.0.0.0:5000")
			host.Join(conn, "mc0", netip.MustParseAddr("239.1.1.1"))
			packet := udp4(netip.MustParseAddrPort("10.0.1.1:4000"),
				netip.MustParseAddrPort("239.1.1.1:5000"), 5, "hello")
			if n, err := link.Write([][]byte{packet, packet}); n != 2 || err != nil {
				t.Fatalf("Write: %d, %v", n, err)
			}
			for range 2 {
				if got := receive(t, conn); got != "hello" {
					t.Errorf("received %q", got)
				}
			}
		})
	}
}

// TestFramesOfTAP reads an Ethernet frame to the group's address (RFC 1112
// section 6.4) and writes one back.
func TestFramesOfTAP(t *testing.T) {
	host := netnstest.NewHost(t)
	link := open(t, peerConfig(host, tun.KindTAP))
	conn := host.ListenUDP("udp4", "0.0.0.0:5000")
	host.Join(conn, "mc0", netip.MustParseAddr("239.1.1.1"))
	send(t, host, "udp4", "239.1.1.1:5000", "from the host")
	frame := mustRead(t, link, "from the host")
	group := []byte{0x01, 0x00, 0x5e, 1, 1, 1}
	if !bytes.Equal(frame[:6], group) || !bytes.Equal(frame[12:15], []byte{8, 0, 0x45}) {
		t.Fatalf("frame %x", frame)
	}
	packet := udp4(netip.MustParseAddrPort("10.0.1.1:4000"),
		netip.MustParseAddrPort("239.1.1.1:5000"), 5, "to the host")
	frame = append(append(append([]byte{}, group...), link.HardwareAddr()...), 8, 0)
	if n, err := link.Write([][]byte{append(frame, packet...)}); n != 1 || err != nil {
		t.Fatalf("Write: %d, %v", n, err)
	}
	for _, want := range []string{"from the host", "to the host"} {
		if got := receive(t, conn); got != want { // the first is the host's own copy
			t.Errorf("received %q, want %q", got, want)
		}
	}
}

// addEthernet gives a host another device, eth0, which is up and has a carrier.
func addEthernet(host *netnstest.Host) {
	host.Run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "wire")
	host.Run("ip", "link", "set", "wire", "up")
	host.Run("ip", "addr", "add", "192.0.2.1/24", "dev", "eth0")
	host.Run("ip", "link", "set", "eth0", "up")
}

func deviceOf(t *testing.T, host *netnstest.Host, name string) (device netlink.Link) {
	t.Helper()
	host.Do(func() (err error) {
		device, err = netlink.LinkByName(name)
		return err
	})
	return device
}

// descriptors is how many this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// moveTo moves a device from one host to another.
func moveTo(t *testing.T, from, to *netnstest.Host, name string) {
	t.Helper()
	target, err := os.Open(to.Netns())
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	from.Do(func() error {
		device, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return netlink.LinkSetNsFd(device, int(target.Fd()))
	})
}
