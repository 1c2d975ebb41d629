package tun_test

import (
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

// secondConfig is another device in the host of peerConfig.
func secondConfig(host *netnstest.Host, kind tun.Kind) tun.Config {
	config := peerConfig(host, kind)
	config.Name = "mc1"
	config.Addresses = prefixes("10.0.2.1/24", "fd00:2::1/64")
	config.PeerAddresses = prefixes("10.0.2.2/24", "fd00:2::2/64")
	return config
}

// groups has a group of each family.
var groups = map[string]string{"udp4": "239.1.1.1:5000", "udp6": "[ff0e::1:1]:5000"}

// direct sets the socket options that send multicast, or all, out of a device.
var direct = map[string]func(fd, index int, name string) error{
	"IP_MULTICAST_IF udp4": func(fd, index int, _ string) error {
		request := &unix.IPMreqn{Ifindex: int32(index)}
		return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, request)
	},
	"IPV6_MULTICAST_IF udp6": func(fd, index int, _ string) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index)
	},
	"SO_BINDTODEVICE udp4": func(fd, _ int, name string) error { return unix.BindToDevice(fd, name) },
	"SO_BINDTODEVICE udp6": func(fd, _ int, name string) error { return unix.BindToDevice(fd, name) },
}

// sendOut sends a datagram to a group with a socket that names a device.
func sendOut(t *testing.T, host *netnstest.Host, device, option, text string) {
	t.Helper()
	index, set := host.Index(device), direct[option]
	network := option[strings.Index(option, " ")+1:]
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		controlErr := raw.Control(func(fd uintptr) { err = set(int(fd), index, device) })
		if controlErr != nil {
			return controlErr
		}
		return err
	}}
	host.Do(func() error {
		conn, err := dialer.Dial(network, groups[network])
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte(text))
		return err
	})
}

// checkDefault sends without saying where, which is to arrive at one device.
func checkDefault(t *testing.T, host *netnstest.Host, link *tun.Link) {
	t.Helper()
	for network, group := range groups {
		text := network + " to the default " + link.Name()
		send(t, host, network, group, text)
		mustRead(t, link, text)
	}
	for _, to := range []string{"198.51.100.1", "2001:db8::1"} {
		out := host.Run("ip", "route", "get", to)
		if !strings.Contains(out, "dev "+link.Name()+" ") {
			t.Errorf("want %s routed to %s, is by %s", to, link.Name(), out)
		}
	}
}

// TestTwoDevices has two in a host, and sends out of each.
func TestTwoDevices(t *testing.T) {
	for _, kind := range bothKinds {
		t.Run(kind.String(), func(t *testing.T) {
			host := netnstest.NewHost(t)
			first, second := open(t, peerConfig(host, kind)), open(t, secondConfig(host, kind))
			checkBoth := func() {
				t.Helper()
				checkDefault(t, host, first)
				for option := range direct {
					for _, link := range []*tun.Link{first, second} {
						text := option + " through " + link.Name()
						sendOut(t, host, link.Name(), option, text)
						mustRead(t, link, text)
					}
				}
				for _, to := range []string{"198.51.100.1", "2001:db8::1"} {
					out := host.Run("ip", "route", "get", to, "oif", "mc1")
					if !strings.Contains(out, "dev mc1 ") {
						t.Errorf("%s on mc1 is routed by %s", to, out)
					}
				}
			}
			checkBoth()
			flap(t, host, first)
			checkBoth()
			flap(t, host, second)
			checkBoth()
			first.Close()
			checkDefault(t, host, second)
		})
	}
}

// TestMetricsOfOthers has another device's routes where this one's would be.
func TestMetricsOfOthers(t *testing.T) {
	host := netnstest.NewHost(t)
	addEthernet(host)
	host.Run("ip", "tuntap", "add", "mc0", "mode", "tun")
	index := host.Index("mc0")
	taken := func(n int) string { return strconv.Itoa(n + index) }
	for _, route := range []string{
		"-4 route add 224.0.0.0/4 dev eth0 metric " + taken(0),
		"-4 route add 224.0.0.0/4 dev eth0 metric " + taken(1),
		"-4 route add default dev eth0 metric " + taken(30000),
		"-6 route add multicast ff00::/8 dev eth0 table local metric " + taken(0),
		"-6 route add default dev eth0 metric " + taken(30000),
	} {
		host.Run("ip", strings.Fields(route)...)
	}
	link := open(t, peerConfig(host, tun.KindTUN))
	for option := range direct {
		sendOut(t, host, "mc0", option, option)
		mustRead(t, link, option)
	}
	host.Run("ip", "link", "del", "eth0")
	checkDefault(t, host, link)
}

// TestPreparedRoutesServe has routes from somebody who chose other metrics.
func TestPreparedRoutesServe(t *testing.T) {
	host := netnstest.NewHost(t)
	host.Run("ip", "tuntap", "add", "mc0", "mode", "tun")
	host.Run("ip", "link", "set", "mc0", "up")
	for _, route := range []string{
		"-4 route add 224.0.0.0/4 dev mc0",
		"-4 route add default dev mc0 metric 77",
		"-6 route add multicast ff00::/8 dev mc0 table local metric 128",
		"-6 route add default dev mc0 metric 77",
	} {
		host.Run("ip", strings.Fields(route)...)
	}
	open(t, peerConfig(host, tun.KindTUN))
	for _, test := range []struct {
		list string
		want int
	}{
		{"-4 route show 224.0.0.0/4", 1},
		{"-4 route show default", 1},
		{"-6 route show ff00::/8 table local", 2}, // and the kernel's own
		{"-6 route show default", 1},
	} {
		out := host.Run("ip", strings.Fields(test.list)...)
		if got := strings.Count(out, "dev mc0"); got != test.want {
			t.Errorf("ip %s: %d routes, want %d:\n%s", test.list, got, test.want, out)
		}
	}
}
