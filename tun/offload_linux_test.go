package tun_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

var offloads = []tun.Offload{tun.OffloadNone, tun.OffloadHeader, tun.OffloadChecksum,
	tun.OffloadSegmentation}

// segmented sends one buffer as datagrams of size octets in one call, from a
// host without IPv6 of its own.
func segmented(t *testing.T, host *netnstest.Host, payload []byte, size int) {
	t.Helper()
	conn := host.ListenUDP("udp4", "10.0.1.2:0")
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, size); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	to := &net.UDPAddr{IP: net.IPv4(239, 1, 1, 1), Port: 5000}
	if _, err := conn.WriteTo(payload, to); err != nil {
		t.Fatal(err)
	}
}

// TestOffload has a sender of super-packets behind devices with all offloads:
// what a device has decides in how many packets they come, and how complete.
func TestOffload(t *testing.T) {
	payload := bytes.Repeat([]byte("umroute!"), 200)
	for _, kind := range bothKinds {
		for _, offload := range offloads {
			t.Run(kind.String()+"/"+offload.String(), func(t *testing.T) {
				host := quiet(t)
				config := quietConfig(host, "")
				config.Kind, config.Offload = kind, offload
				link := open(t, config)
				if link.Offload() != offload || tun.OffloadOf(link) != offload {
					t.Fatalf("offload %v", link.Offload())
				}
				segmented(t, host, payload, 400)
				checkOffloaded(t, link, payload)
			})
		}
	}
}

// checkOffloaded reads a payload of datagrams of 400 octets each.
func checkOffloaded(t *testing.T, link *tun.Link, payload []byte) {
	t.Helper()
	offload := link.Offload()
	head, ethernet := 0, 0
	if offload != tun.OffloadNone {
		head = tun.VirtioHeaderLen
	}
	if link.Kind() == tun.KindTAP {
		ethernet = 14
	}
	bufs, sizes := buffers(8, 65535+head+ethernet)
	var got []byte
	for len(got) < len(payload) {
		n, err := link.Read(bufs, sizes)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			b := bufs[i][:sizes[i]]
			ip := b[head+ethernet:]
			if offload == tun.OffloadSegmentation {
				kind, size := b[1], binary.NativeEndian.Uint16(b[4:])
				if kind != 5 || size != 400 || len(ip) != 28+len(payload) {
					t.Fatalf("header % x before %d octets", b[:head], len(ip))
				}
			} else if len(ip) != 428 {
				t.Fatalf("packet of %d octets", len(ip))
			}
			if finished := udpSum(ip) == 0xffff; finished != (offload < tun.OffloadChecksum) {
				t.Errorf("checksum finished: %v", finished)
			}
			if head > 0 && (b[0] == 1) != (offload >= tun.OffloadChecksum) {
				t.Errorf("flags %d", b[0])
			}
			got = append(got, ip[28:]...)
		}
	}
	if !bytes.Equal(got, payload) {
		t.Errorf("read %d octets, which differ", len(got))
	}
}

// TestWriteSegmented writes a super-packet, and one that the kernel refuses.
func TestWriteSegmented(t *testing.T) {
	host := quiet(t)
	config := quietConfig(host, "")
	config.Offload = tun.OffloadSegmentation
	link := open(t, config)
	conn := host.ListenUDP("udp4", "0.0.0.0:5000")
	segmented(t, host, bytes.Repeat([]byte("0123456789"), 30), 100)
	bufs, sizes := buffers(1, 70000)
	if n, err := link.Read(bufs, sizes); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	b := bufs[0][:sizes[0]]
	// Back to where it came from, by other addresses: both sums stay.
	copy(b[10+12:], []byte{10, 0, 1, 7, 10, 0, 1, 2})
	copy(b[10+10:], []byte{0, 0})
	binary.BigEndian.PutUint16(b[10+10:], ^fold(b[10:30]))
	if n, err := link.Write([][]byte{b}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	for range 3 {
		got := make([]byte, 1000)
		if n, _ := conn.Read(got); n != 100 {
			t.Errorf("datagram of %d octets", n)
		}
	}
	b[0] = 0
	if n, err := link.Write([][]byte{b}); n != 0 || err != unix.EINVAL {
		t.Errorf("Write without a checksum to finish: %d, %v", n, err)
	}
}

// fold is the sum of RFC 1071.
func fold(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	return uint16(sum>>16 + sum&0xffff)
}

// TestOffloadOfPreparedDevice opens a device that stays, by turns with
// headers and without: each user finds it as it asks for it.
func TestOffloadOfPreparedDevice(t *testing.T) {
	host := quiet(t)
	host.Run("ip", "tuntap", "add", "mc0", "mode", "tun", "vnet_hdr")
	payload := bytes.Repeat([]byte{7}, 800)
	for _, offload := range append(offloads, offloads...) {
		config := quietConfig(host, "")
		config.Offload = offload
		link := open(t, config)
		if link.Offload() != offload {
			t.Errorf("offload %v, want %v", link.Offload(), offload)
		}
		segmented(t, host, payload, 400)
		checkOffloaded(t, link, payload)
		if err := link.Close(); err != nil {
			t.Fatal(err)
		}
		features := host.Run("ip", "-d", "link", "show", "mc0")
		if !bytes.Contains([]byte(features), []byte("persist on")) {
			t.Errorf("the device has changed:\n%s", features)
		}
	}
}

// TestOffloadOfSharedDevice leaves the form of packets to other queues' users,
// where there are any.
func TestOffloadOfSharedDevice(t *testing.T) {
	for shared, want := range map[bool]tun.Offload{
		false: tun.OffloadSegmentation, true: tun.OffloadNone,
	} {
		t.Run(fmt.Sprintf("shared %v", shared), func(t *testing.T) {
			host := quiet(t)
			host.Run("ip", "tuntap", "add", "lent0", "mode", "tun", "multi_queue")
			if shared {
				fd := rawDevice(t, host, unix.IFF_TUN|unix.IFF_NO_PI|unix.IFF_MULTI_QUEUE)
				defer unix.Close(fd)
			}
			config := quietConfig(host, "")
			config.Name, config.Offload = "lent0", tun.OffloadSegmentation
			link := open(t, config)
			if link.Offload() != want {
				t.Errorf("offload %v, want %v", link.Offload(), want)
			}
			if shared {
				return // the packets may be in the other queue
			}
			payload := bytes.Repeat([]byte{7}, 800)
			segmented(t, host, payload, 400)
			checkOffloaded(t, link, payload)
		})
	}
}

// TestOffloadOfLeftDevice takes over what a killed router of another version
// left, which knew no headers.
func TestOffloadOfLeftDevice(t *testing.T) {
	host := quiet(t)
	host.Run("ip", "tuntap", "add", "mc0", "mode", "tun")
	host.Run("ip", "link", "set", "mc0", "alias", "umroute: edge")
	config := quietConfig(host, "")
	config.Owner, config.Offload = "edge", tun.OffloadSegmentation
	link := open(t, config)
	payload := bytes.Repeat([]byte{7}, 800)
	segmented(t, host, payload, 400)
	checkOffloaded(t, link, payload)
	if link.Offload() != tun.OffloadSegmentation {
		t.Errorf("offload %v", link.Offload())
	}
	link.Close()
	host.Do(func() error {
		if _, err := netlink.LinkByName("mc0"); err == nil {
			t.Error("the device is still there")
		}
		return nil
	})
}

func TestOffloadOfDescriptor(t *testing.T) {
	const plain = unix.IFF_TUN | unix.IFF_NO_PI
	tests := []struct {
		name  string
		flags uint16
		want  tun.Offload
	}{
		{"with headers", plain | unix.IFF_VNET_HDR, tun.OffloadSegmentation},
		{"without", plain, tun.OffloadNone},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			host := quiet(t)
			fd := rawDevice(t, host, test.flags)
			if test.want != tun.OffloadNone {
				// What its maker may have asked for.
				if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, 12); err != nil {
					t.Fatal(err)
				}
			}
			host.Run("ip", "address", "add", "10.0.1.2/24", "dev", "lent0")
			host.Run("ip", "link", "set", "lent0", "up")
			host.Run("ip", "route", "add", "224.0.0.0/4", "dev", "lent0")
			link, err := tun.FromDescriptor(fd, tun.Config{Offload: tun.OffloadSegmentation})
			if err != nil {
				t.Fatal(err)
			}
			keep(t, link)
			if link.Offload() != test.want {
				t.Errorf("offload %v", link.Offload())
			}
			payload := bytes.Repeat([]byte{7}, 800)
			segmented(t, host, payload, 400)
			checkOffloaded(t, link, payload)
		})
	}
}

// TestHandOverOffload holds that the sender's end of a handed over device
// does not turn its offloads off.
func TestHandOverOffload(t *testing.T) {
	host := quiet(t)
	ours, theirs := socketPair(t)
	config := quietConfig(host, "")
	config.Offload = tun.OffloadSegmentation
	sent := open(t, config)
	if err := tun.Send(theirs, sent); err != nil {
		t.Fatal(err)
	}
	link, err := tun.Receive(ours, tun.Config{Offload: tun.OffloadSegmentation})
	if err != nil {
		t.Fatal(err)
	}
	keep(t, link)
	payload := bytes.Repeat([]byte{7}, 800)
	segmented(t, host, payload, 400)
	checkOffloaded(t, link, payload)
}
