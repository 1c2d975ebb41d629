package tun_test

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

// ownedConfig is peerConfig for the router edge.
func ownedConfig(host *netnstest.Host, kind tun.Kind) tun.Config {
	config := peerConfig(host, kind)
	config.Owner = "edge"
	return config
}

// TestMembershipOutlivesCrash kills a router and starts it again, and the host
// does nothing: the socket that has joined before receives again.
func TestMembershipOutlivesCrash(t *testing.T) {
	for _, kind := range bothKinds {
		t.Run(kind.String(), func(t *testing.T) {
			host := netnstest.NewHost(t)
			kill := startVictim(t, host, kind)
			before := deviceOf(t, host, "mc0").Attrs()
			conn4 := host.ListenUDP("udp4", "0.0.0.0:5000")
			host.Join(conn4, "mc0", netip.MustParseAddr("239.1.1.1"))
			conn6 := host.ListenUDP("udp6", "[::]:5000")
			host.Join(conn6, "mc0", netip.MustParseAddr("ff0e::1:1"))
			kill()

			after := deviceOf(t, host, "mc0").Attrs()
			if after.Index != before.Index || after.Alias != "umroute: edge" {
				t.Errorf("device after the crash: index %d, alias %q; was %d",
					after.Index, after.Alias, before.Index)
			}
			checkMemberships(t, host)
			link := open(t, ownedConfig(host, kind))
			checkMemberships(t, host)
			packet := packetTo("239.1.1.1:5000")
			if kind == tun.KindTAP {
				frame := append([]byte{0x01, 0x00, 0x5e, 1, 1, 1}, link.HardwareAddr()...)
				packet = append(append(frame, 8, 0), packet...)
			}
			if n, err := link.Write([][]byte{packet}); n != 1 || err != nil {
				t.Fatalf("Write: %d, %v", n, err)
			}
			if got := receive(t, conn4); got != "hello" {
				t.Errorf("received %q", got)
			}
			send(t, host, "udp4", "239.1.1.1:5000", "back again")
			mustRead(t, link, "back again")
			send(t, host, "udp6", "[ff0e::1:1]:5000", "back with IPv6")
			mustRead(t, link, "back with IPv6")
			closeAndMiss(t, host, link)
		})
	}
}

// checkMemberships looks where the kernel lists what the host has joined: on
// device mc0, 239.1.1.1 in the order of the octets in memory, and ff0e::1:1.
func checkMemberships(t *testing.T, host *netnstest.Host) {
	t.Helper()
	if out := host.Run("cat", "/proc/net/igmp"); !strings.Contains(out, "010101EF") {
		t.Errorf("no membership of 239.1.1.1 in\n%s", out)
	}
	const group6 = "ff0e0000000000000000000000010001"
	if out := host.Run("cat", "/proc/net/igmp6"); !strings.Contains(out, group6) {
		t.Errorf("no membership of ff0e::1:1 in\n%s", out)
	}
}

// startVictim starts a router and returns what kills it.
func startVictim(t *testing.T, host *netnstest.Host, kind tun.Kind) (kill func()) {
	t.Helper()
	ns := strings.Replace(host.Netns(), "self", fmt.Sprint(os.Getpid()), 1)
	cmd := exec.Command(os.Args[0], asVictim, ns, kind.String())
	cmd.Stderr = os.Stderr
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // killed
	}
	t.Cleanup(kill)
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the router to kill said %q, %v", line, err)
	}
	return kill
}

// waitForTheEnd is that router.
func waitForTheEnd(netns, kind string) error {
	config := tun.Config{
		Netns: netns, Owner: "edge", PeerRoutes: true,
		PeerAddresses: prefixes("10.0.1.2/24", "fd00:1::2/64"),
	}
	if kind == tun.KindTAP.String() {
		config.Kind = tun.KindTAP
		config.Addresses = prefixes("10.0.1.1/24", "fd00:1::1/64")
	}
	if _, err := tun.Open(config); err != nil {
		return err
	}
	fmt.Println("ready")
	select {}
}

// closeAndMiss closes a link and wants its device gone.
func closeAndMiss(t *testing.T, host *netnstest.Host, link *tun.Link) {
	t.Helper()
	if err := link.Close(); err != nil {
		t.Fatal(err)
	}
	host.Do(func() error {
		_, err := netlink.LinkByName("mc0")
		if !errors.As(err, &netlink.LinkNotFoundError{}) {
			t.Errorf("looking for the device: %v, want that it is not found", err)
		}
		return nil
	})
}

func TestOwnedDevice(t *testing.T) {
	for _, owner := range []string{"edge", strings.Repeat("x", 246)} {
		host := netnstest.NewHost(t)
		config := ownedConfig(host, tun.KindTUN)
		config.Owner = owner
		link := open(t, config)
		device, ok := deviceOf(t, host, "mc0").(*netlink.Tuntap)
		if !ok || device.NonPersist || device.Alias != "umroute: "+owner {
			t.Errorf("owner %q: device %+v", owner, device)
		}
		// Nobody else may attach to what a crash leaves.
		details := host.Run("ip", "-d", "link", "show", "mc0")
		if !strings.Contains(details, " persist on user root ") { // whom the tests run as
			t.Errorf("the device belongs to another user or to all:\n%s", details)
		}
		_, err := tun.Open(config)
		if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "in use by another") {
			t.Errorf("opened twice: %v", err)
		}
		closeAndMiss(t, host, link)
	}
}

// TestLeftDeviceIsBroughtUpToDate finds a device that a router with another
// configuration left.
func TestLeftDeviceIsBroughtUpToDate(t *testing.T) {
	host := netnstest.NewHost(t)
	leave(host, "umroute: edge")
	host.Run("ip", "link", "set", "mc0", "mtu", "1400", "txqueuelen", "7")
	host.Run("ip", "addr", "add", "10.0.7.2/24", "dev", "mc0")
	link := open(t, ownedConfig(host, tun.KindTUN))
	attrs := deviceOf(t, host, "mc0").Attrs()
	if attrs.MTU != 1500 || attrs.TxQLen != tun.DefaultTxQueueLen || link.MTU() != 1500 {
		t.Errorf("mtu %d, %d in the link, txqueuelen %d", attrs.MTU, link.MTU(), attrs.TxQLen)
	}
	addrs := host.Run("ip", "-o", "addr", "show", "dev", "mc0")
	for _, want := range []string{"10.0.1.2/24", "fd00:1::2/64", "10.0.7.2/24"} {
		if !strings.Contains(addrs, want) {
			t.Errorf("no %s in\n%s", want, addrs)
		}
	}
	send(t, host, "udp4", "239.1.1.1:5000", "hello")
	mustRead(t, link, "hello")
	closeAndMiss(t, host, link)
}

// TestDevicesOfOthersStay opens devices that look a little like this router's.
func TestDevicesOfOthersStay(t *testing.T) {
	for _, alias := range []string{"", "edge", "umroute: ", "umroute: edge2", "umroute: core"} {
		host := netnstest.NewHost(t)
		leave(host, alias)
		link := open(t, ownedConfig(host, tun.KindTUN))
		if err := link.Close(); err != nil {
			t.Fatal(err)
		}
		device, ok := deviceOf(t, host, "mc0").(*netlink.Tuntap)
		if !ok || device.NonPersist || device.Alias != alias {
			t.Errorf("alias %q: device after Close: %+v", alias, device)
		}
	}
}

// TestLeftDeviceStaysWithoutOwner has nobody that it belongs to.
func TestLeftDeviceStaysWithoutOwner(t *testing.T) {
	host := netnstest.NewHost(t)
	leave(host, "umroute: ")
	if err := open(t, peerConfig(host, tun.KindTUN)).Close(); err != nil {
		t.Fatal(err)
	}
	deviceOf(t, host, "mc0") // fails where there is none
}

// TestFailedOpenLeavesNothing cannot give the device what it asks for.
func TestFailedOpenLeavesNothing(t *testing.T) {
	host := netnstest.NewHost(t)
	host.Run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")
	if _, err := tun.Open(ownedConfig(host, tun.KindTUN)); err == nil {
		t.Fatal("no error without IPv6")
	}
	if out := host.Run("ip", "-o", "link"); strings.Contains(out, "mc0") {
		t.Errorf("devices after an error:\n%s", out)
	}
}

func TestDeletedDeviceOfOurs(t *testing.T) {
	host := netnstest.NewHost(t)
	link := open(t, ownedConfig(host, tun.KindTUN))
	host.Run("ip", "link", "del", "mc0")
	closeAndMiss(t, host, link)
}

func TestHandOverOfOurs(t *testing.T) {
	host := netnstest.NewHost(t)
	ours, theirs := socketPair(t)
	if err := tun.Send(theirs, open(t, ownedConfig(host, tun.KindTUN))); err != nil {
		t.Fatal(err)
	}
	if device, ok := deviceOf(t, host, "mc0").(*netlink.Tuntap); !ok || device.NonPersist {
		t.Errorf("device on its way: %+v", device)
	}
	link, err := tun.Receive(ours, tun.Config{})
	if err != nil {
		t.Fatal(err)
	}
	keep(t, link)
	closeAndMiss(t, host, link)
}

// TestFailedHandOver has nobody who would remove the device later.
func TestFailedHandOver(t *testing.T) {
	host := netnstest.NewHost(t)
	ours, theirs := socketPair(t)
	ours.Close()
	link := open(t, ownedConfig(host, tun.KindTUN))
	if err := tun.Send(theirs, link); err == nil {
		t.Error("handed over to nobody")
	}
	closeAndMiss(t, host, link)
}

// leave makes a persistent TUN mc0, as a router that is killed does.
func leave(host *netnstest.Host, alias string) {
	host.Run("ip", "tuntap", "add", "mc0", "mode", "tun")
	if alias != "" {
		host.Run("ip", "link", "set", "mc0", "alias", alias)
	}
}
