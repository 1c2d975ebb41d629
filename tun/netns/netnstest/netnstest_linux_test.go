package netnstest_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"umroute/tun/netns/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

func TestNamespacesArePrivate(t *testing.T) {
	netnstest.Require(t)
	if id := os.Getuid(); id != 0 {
		t.Errorf("user ID inside is %d, want root's", id)
	}
	entries, err := os.ReadDir("/run")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != "netns" {
		t.Errorf("/run holds %v, want netns alone", entries)
	}
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	if len(links) != 1 || links[0].Attrs().Flags&net.FlagUp == 0 {
		t.Errorf("devices %v, want loopback alone, and up", links)
	}
}

func TestOrdinaryUserIsOne(t *testing.T) {
	netnstest.Require(t)
	if os.Getenv("UMROUTE_TEST_USER") != "nobody" {
		t.Skip("UMROUTE_TEST_USER is not nobody")
	}
	outside, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(string(outside)); len(got) != 3 || got[1] != "65534" {
		t.Errorf("uid map %q, want root inside to be 65534 outside", outside)
	}
}

// TestHostsHearEachOther sends between two hosts that a veth pair joins.
func TestHostsHearEachOther(t *testing.T) {
	sender, receiver := netnstest.NewHost(t), netnstest.NewHost(t)
	connect(t, sender, receiver)
	tests := []struct {
		name            string
		network, listen string
		local           string
		group           netip.Addr
		sources         []netip.Addr
	}{
		{name: "any source", network: "udp4", listen: "0.0.0.0:5000", local: "10.0.0.1:0",
			group: netip.MustParseAddr("239.1.1.1")},
		{name: "one source", network: "udp4", listen: "0.0.0.0:5001", local: "10.0.0.1:0",
			group:   netip.MustParseAddr("232.1.1.1"),
			sources: []netip.Addr{netip.MustParseAddr("10.0.0.1")}},
		{name: "IPv6", network: "udp6", listen: "[::]:5000", local: "[fd00::1]:0",
			group: netip.MustParseAddr("ff05::1:1")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := receiver.ListenUDP(test.network, test.listen)
			receiver.Join(in, "v1", test.group, test.sources...)
			port := in.LocalAddr().(*net.UDPAddr).AddrPort().Port()
			out := sender.ListenUDP(test.network, test.local)
			to := netip.AddrPortFrom(test.group, port)
			if err := repeat(out, in, to, "hello"); err != nil {
				t.Fatal(err)
			}
			receiver.Leave(in, "v1", test.group, test.sources...)
		})
	}
}

// repeat sends a text until it is received: IPv6 on a new Ethernet device hears
// nothing until the kernel has noticed the carrier, a moment later.
func repeat(out, in *net.UDPConn, to netip.AddrPort, text string) error {
	buf := make([]byte, 100)
	var err error
	for range 50 {
		if _, err := out.WriteToUDPAddrPort([]byte(text), to); err != nil {
			return err
		}
		in.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		var n int
		if n, err = in.Read(buf); err == nil && string(buf[:n]) != text {
			return fmt.Errorf("received %q, want %q", buf[:n], text)
		}
		if err == nil {
			return nil
		}
	}
	return err
}

// connect joins two hosts by a veth pair, v0 in a and v1 in b.
func connect(t *testing.T, a, b *netnstest.Host) {
	t.Helper()
	a.Do(func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: "v0"}, PeerName: "v1",
		})
	})
	target, err := os.Open(b.Netns())
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	a.Do(func() error {
		peer, err := netlink.LinkByName("v1")
		if err != nil {
			return err
		}
		return netlink.LinkSetNsFd(peer, int(target.Fd()))
	})
	a.Run("ip", "addr", "add", "10.0.0.1/24", "dev", "v0")
	a.Run("ip", "addr", "add", "fd00::1/64", "dev", "v0", "nodad")
	b.Run("ip", "addr", "add", "10.0.0.2/24", "dev", "v1")
	b.Run("ip", "addr", "add", "fd00::2/64", "dev", "v1", "nodad")
	for host, device := range map[*netnstest.Host]string{a: "v0", b: "v1"} {
		host.Run("ip", "link", "set", device, "up")
	}
	a.Run("ip", "route", "add", "224.0.0.0/4", "dev", "v0")
}
