package tun_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
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

// veth is a host behind a veth pair, whose other end is veth0 of the middle.
type veth struct {
	*netnstest.Host
	middle *netnstest.Host
}

func newVeth(t *testing.T) veth {
	t.Helper()
	v := veth{quiet(t), quiet(t)}
	ns, err := os.Open(v.Netns())
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	v.middle.Do(func() error {
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "veth0"}, PeerName: "mc0",
			PeerNamespace: netlink.NsFd(int(ns.Fd()))}
		if err := netlink.LinkAdd(pair); err != nil {
			return err
		}
		return netlink.LinkSetUp(pair)
	})
	v.Run("ip", "addr", "add", "10.0.1.2/24", "dev", "mc0")
	v.Run("ip", "link", "set", "mc0", "up")
	v.Run("ip", "route", "add", "default", "dev", "mc0")
	return v
}

// openVeth opens a packet link to the end in the middle.
func openVeth(t *testing.T, v veth, io string) *tun.Link {
	t.Helper()
	return open(t, vethConfig(v, io))
}

func vethConfig(v veth, io string) tun.Config {
	return tun.Config{Name: "veth0", Kind: tun.KindPacket, Netns: v.middle.Netns(), IO: io,
		Offload: tun.OffloadSegmentation}
}

// TestPacketLink exchanges packets with a host behind a veth pair.
func TestPacketLink(t *testing.T) {
	for _, io := range ioModes {
		t.Run(io, func(t *testing.T) {
			needIO(t, io)
			v := newVeth(t)
			v.middle.Run("ip", "link", "set", "veth0", "mtu", "1400")
			link := openVeth(t, v, io)
			if link.Kind() != tun.KindPacket || link.IO() != io || link.MTU() != 1400 ||
				link.Offload() != tun.OffloadSegmentation || link.ReversePathFilter() != -1 {
				t.Errorf("%v, io %s, mtu %d, %v", link.Kind(), link.IO(), link.MTU(), link.Offload())
			}
			var device *net.Interface
			v.middle.Do(func() (err error) {
				device, err = net.InterfaceByName("veth0")
				return err
			})
			if !bytes.Equal(link.HardwareAddr(), device.HardwareAddr) {
				t.Errorf("hardware address %v, want %v", link.HardwareAddr(), device.HardwareAddr)
			}
			send(t, v.Host, "udp4", "239.1.1.1:5000", "hello")
			packet := mustRead(t, link, "hello")
			at := tun.VirtioHeaderLen + 14
			if packet[at] != 0x45 || packet[at+9] != 17 {
				t.Errorf("behind the headers: % x", packet[at:at+20])
			}
			conn := v.ListenUDP("udp4", ":6000")
			v.Join(conn, "mc0", netip.MustParseAddr("239.1.1.2"))
			frame := frameTo("239.1.1.2:6000", "and back")
			if n, err := link.Write([][]byte{frame}); n != 1 || err != nil {
				t.Errorf("Write: %d, %v", n, err)
			}
			batch := []tun.Packet{{To: link, Data: frame}}
			if link.WriteBatch(batch); batch[0].Err != nil {
				t.Errorf("WriteBatch: %v", batch[0].Err)
			}
			for range 2 {
				buf := make([]byte, 100)
				if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "and back" {
					t.Errorf("received %q, %v", buf[:n], err)
				}
			}
			// What the link sends does not come back.
			send(t, v.Host, "udp4", "239.1.1.1:5000", "the last")
			bufs, sizes := buffers(8, 2048)
			if n, err := link.Read(bufs, sizes); n != 1 || err != nil ||
				!bytes.Contains(bufs[0][:sizes[0]], []byte("the last")) {
				t.Errorf("Read: %d, %v, % x", n, err, bufs[0][:sizes[0]])
			}
		})
	}
}

// frameTo is a datagram in an Ethernet frame behind an empty virtio-net header.
func frameTo(group, text string) []byte {
	to := netip.MustParseAddrPort(group)
	b := make([]byte, tun.VirtioHeaderLen, 200)
	mac := to.Addr().As4()
	b = append(b, 1, 0, 0x5e, mac[1]&0x7f, mac[2], mac[3], 2, 0, 0, 0, 0, 9)
	b = binary.BigEndian.AppendUint16(b, 0x0800)
	return append(b, udp4(netip.MustParseAddrPort("10.0.1.1:4000"), to, 5, text)...)
}

// TestPacketLinkIgnores sends what is not the router's: with a VLAN tag, and to
// another host on a device that is promiscuous.
func TestPacketLinkIgnores(t *testing.T) {
	v := newVeth(t)
	v.middle.Run("ip", "link", "set", "veth0", "promisc", "on")
	v.Run("ip", "neigh", "add", "10.0.1.7", "lladdr", "02:00:00:00:00:07", "dev", "mc0")
	link := openVeth(t, v, "")
	frame := frameTo("239.1.1.1:5000", "tagged")[tun.VirtioHeaderLen:]
	frame = append(frame[:12:12], append([]byte{0x81, 0, 0, 5}, frame[12:]...)...)
	v.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: v.Index("mc0")})
	})
	send(t, v.Host, "udp4", "10.0.1.7:5000", "for another")
	send(t, v.Host, "udp4", "239.1.1.1:5000", "for all")
	bufs, sizes := buffers(8, 2048)
	n, err := link.Read(bufs, sizes)
	if n != 1 || err != nil || !bytes.Contains(bufs[0][:sizes[0]], []byte("for all")) {
		t.Errorf("Read: %d packets, %v, the first % x", n, err, bufs[0][:sizes[0]])
	}
}

// TestPacketLinkEvents takes the device down, up and away.
func TestPacketLinkEvents(t *testing.T) {
	for _, io := range ioModes {
		t.Run(io, func(t *testing.T) {
			needIO(t, io)
			v := newVeth(t)
			link := openVeth(t, v, io)
			ended := make(chan error, 1)
			heard := make(chan struct{})
			go func() {
				_, err := readFrom(link, "after it was down")
				close(heard)
				if err == nil {
					_, err = readFrom(link, "what never comes")
				}
				ended <- err
			}()
			v.middle.Run("ip", "link", "set", "veth0", "down")
			if got := next(t, link); got.Type != tun.EventDown {
				t.Errorf("event %v", got.Type)
			}
			if n, err := link.Write([][]byte{frameTo("239.1.1.1:1", "x")}); n != 0 || err == nil {
				t.Errorf("Write to a device that is down: %d, %v", n, err)
			}
			v.middle.Run("ip", "link", "set", "veth0", "up")
			if got := next(t, link); got.Type != tun.EventUp {
				t.Errorf("event %v", got.Type)
			}
			send(t, v.Host, "udp4", "239.1.1.1:5000", "after it was down")
			<-heard
			v.middle.Run("ip", "link", "del", "veth0")
			if err := <-ended; !errors.Is(err, unix.EBADFD) {
				t.Errorf("Read of a deleted device: %v, want %v", err, unix.EBADFD)
			}
			for next(t, link).Type != tun.EventRemoved {
			}
		})
	}
}

func TestPacketLinkHandedOver(t *testing.T) {
	v := newVeth(t)
	ours, theirs := socketPair(t)
	sent := openVeth(t, v, "")
	want := sent.HardwareAddr().String()
	go func() {
		if err := tun.Send(theirs, sent); err != nil {
			t.Error(err)
		}
	}()
	link, err := tun.Receive(ours, tun.Config{IO: tun.IOPlain})
	if err != nil {
		t.Fatal(err)
	}
	keep(t, link)
	if link.Kind() != tun.KindPacket || link.Name() != "veth0" || link.MTU() != 1500 ||
		!link.Up() || link.HardwareAddr().String() != want {
		t.Errorf("%v %s, mtu %d, up %v, %v", link.Kind(), link.Name(), link.MTU(), link.Up(),
			link.HardwareAddr())
	}
	send(t, v.Host, "udp4", "239.1.1.1:5000", "hello")
	mustRead(t, link, "hello")
}

func TestPacketLinkErrors(t *testing.T) {
	v := newVeth(t)
	v.middle.Run("ip", "tuntap", "add", "dev", "tun0", "mode", "tun")
	tests := map[string]struct {
		change func(*tun.Config)
		want   string
	}{
		"absent":   {func(c *tun.Config) { c.Name = "veth9" }, "no such device"},
		"loopback": {func(c *tun.Config) { c.Name = "lo" }, "want Ethernet"},
		"tun":      {func(c *tun.Config) { c.Name = "tun0" }, "want Ethernet"},
		"offload":  {func(c *tun.Config) { c.Offload = tun.OffloadChecksum }, "super-packets"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			config := vethConfig(v, "")
			test.change(&config)
			link, err := tun.Open(config)
			if err == nil {
				link.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Open: %v, want %q", err, test.want)
			}
		})
	}
}

func TestForeignPacketSocket(t *testing.T) {
	v := newVeth(t)
	tests := map[string]struct {
		kind    int
		headers int
		bound   bool
	}{
		"not raw":         {unix.SOCK_DGRAM, 0, true},
		"without headers": {unix.SOCK_RAW, 0, true},
		"not bound":       {unix.SOCK_RAW, 1, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var fd int
			v.middle.Do(func() (err error) {
				fd, err = unix.Socket(unix.AF_PACKET, test.kind, 0)
				if err == nil && test.headers != 0 {
					err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1)
				}
				if err != nil || !test.bound {
					return err
				}
				return unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: v.middle.Index("veth0")})
			})
			defer unix.Close(fd)
			if link, err := tun.FromDescriptor(fd, tun.Config{}); err == nil {
				link.Close()
				t.Error("it was taken")
			}
		})
	}
}

// TestPacketLinkWithoutRight has a process without CAP_NET_RAW ask.
func TestPacketLinkWithoutRight(t *testing.T) {
	netnstest.Require(t)
	cmd := exec.Command(os.Args[0], asPowerless)
	powerless(cmd)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, output)
	}
}

// openWithoutRight is that process.
func openWithoutRight() error {
	link, err := tun.Open(tun.Config{Name: "lo", Kind: tun.KindPacket,
		Offload: tun.OffloadSegmentation})
	if err == nil {
		link.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "CAP_NET_RAW") {
		return errors.Join(errors.New("no word of CAP_NET_RAW"), err)
	}
	return nil
}
