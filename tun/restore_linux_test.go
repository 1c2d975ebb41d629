package tun_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

// flap sets a device down and up, and waits until the link says so.
func flap(t *testing.T, host *netnstest.Host, link *tun.Link) {
	t.Helper()
	for _, state := range []string{"down", "up"} {
		host.Run("ip", "link", "set", link.Name(), state)
	}
	for _, want := range []tun.EventType{tun.EventDown, tun.EventUp} {
		if got := next(t, link); got.Type != want {
			t.Fatalf("event %v, want %v", got.Type, want)
		}
	}
}

// TestRoutesAreBack sends as soon as the event says that the device is up.
func TestRoutesAreBack(t *testing.T) {
	for _, kind := range bothKinds {
		t.Run(kind.String(), func(t *testing.T) {
			host := netnstest.NewHost(t)
			link := open(t, peerConfig(host, kind))
			for range 3 {
				flap(t, host, link)
				send(t, host, "udp4", "239.1.1.1:5000", "to a group")
				mustRead(t, link, "to a group")
				send(t, host, "udp6", "[ff0e::1:1]:5000", "to an IPv6 group")
				mustRead(t, link, "to an IPv6 group")
				for _, to := range []string{"198.51.100.1", "2001:db8::1"} {
					out := host.Run("ip", "route", "get", to)
					if !strings.Contains(out, "dev mc0") {
						t.Errorf("%s is routed by %s", to, out)
					}
				}
			}
			addrs := host.Run("ip", "-o", "addr", "show", "dev", "mc0")
			for _, want := range []string{"10.0.1.2/24", "fd00:1::2/64"} {
				if strings.Count(addrs, want) != 1 {
					t.Errorf("want %s once in\n%s", want, addrs)
				}
			}
		})
	}
}

// TestMeantChangesStay has an administrator change what nothing drops.
func TestMeantChangesStay(t *testing.T) {
	host := netnstest.NewHost(t)
	config := peerConfig(host, tun.KindTUN)
	config.PeerRoutes = false
	link := open(t, config)
	host.Run("ip", "link", "set", "mc0", "down")
	host.Run("ip", "link", "set", "mc0", "name", "mc7", "txqueuelen", "77")
	host.Run("ip", "link", "set", "mc7", "up")
	for next(t, link).Type != tun.EventUp {
	}
	if got := deviceOf(t, host, "mc7").Attrs().TxQLen; got != 77 {
		t.Errorf("txqueuelen %d, want 77", got)
	}
	addrs := host.Run("ip", "-o", "addr", "show", "dev", "mc7")
	if !strings.Contains(addrs, "fd00:1::2/64") {
		t.Errorf("no IPv6 address in\n%s", addrs)
	}
	if routes := host.Run("ip", "route"); strings.Contains(routes, "default") {
		t.Errorf("routes that nobody wants:\n%s", routes)
	}
}

// TestMembershipOutlivesFlap receives with a socket that joined before.
func TestMembershipOutlivesFlap(t *testing.T) {
	host := netnstest.NewHost(t)
	link := open(t, peerConfig(host, tun.KindTUN))
	conn := host.ListenUDP("udp4", "0.0.0.0:5000")
	host.Join(conn, "mc0", netip.MustParseAddr("239.1.1.1"))
	flap(t, host, link)
	if n, err := link.Write([][]byte{packetTo("239.1.1.1:5000")}); n != 1 || err != nil {
		t.Fatalf("Write: %d, %v", n, err)
	}
	if got := receive(t, conn); got != "hello" {
		t.Errorf("received %q", got)
	}
}

// journal collects what a link logs.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) lines() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Split(strings.TrimSpace(j.text.String()), "\n")
}

// TestRoutesOfOthersAreTheirs has a device that somebody else configured.
func TestRoutesOfOthersAreTheirs(t *testing.T) {
	host := quiet(t)
	fd := rawDevice(t, host, unix.IFF_TUN|unix.IFF_NO_PI)
	host.Run("ip", "link", "set", "lent0", "up")
	host.Run("ip", "addr", "add", "10.0.1.2/24", "dev", "lent0")
	log := &journal{}
	config := peerConfig(host, tun.KindTUN)
	config.Logger = slog.New(slog.NewTextHandler(log, nil))
	link, err := tun.FromDescriptor(fd, config)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, link)
	flap(t, host, link)
	if routes := host.Run("ip", "route"); strings.Contains(routes, "default") {
		t.Errorf("routes that nobody asked for:\n%s", routes)
	}
	lines := log.lines()
	if len(lines) != 1 || !strings.Contains(lines[0], "left to whoever configured it") {
		t.Errorf("log %q, want one line", lines)
	}
}

// flapInContainer sets the container's device down and up.
func flapInContainer() error {
	device, err := netlink.LinkByName("mc0")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetDown(device); err != nil {
		return err
	}
	return netlink.LinkSetUp(device)
}

// missRoutes has a router that may not put the routes back, and says so.
func missRoutes(link *tun.Link, c *container, log *journal) error {
	if err := c.order("flap"); err != nil {
		return err
	}
	for event := range link.Events() {
		if event.Type == tun.EventUp {
			break
		}
	}
	lines := log.lines()
	if len(lines) != 1 || !strings.Contains(lines[0], "does not get its addresses") {
		return fmt.Errorf("log %q, want one line about the routes", lines)
	}
	return nil
}
