package tun_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

// rawDevice opens the device lent0 in a host with the flags of TUNSETIFF.
func rawDevice(t *testing.T, host *netnstest.Host, flags uint16) int {
	t.Helper()
	var fd int
	host.Do(func() (err error) {
		fd, err = unix.Open("/dev/net/tun", unix.O_RDWR, 0)
		if err != nil || flags == 0 {
			return err
		}
		request, err := unix.NewIfreq("lent0")
		if err != nil {
			return err
		}
		request.SetUint16(flags)
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	})
	return fd
}

func fromDescriptor(t *testing.T, host *netnstest.Host, flags uint16) *tun.Link {
	t.Helper()
	fd := rawDevice(t, host, flags)
	link, err := tun.FromDescriptor(fd, tun.Config{})
	if err != nil {
		unix.Close(fd)
		t.Fatal(err)
	}
	keep(t, link)
	return link
}

func TestFromDescriptor(t *testing.T) {
	kinds := map[uint16]tun.Kind{unix.IFF_TUN: tun.KindTUN, unix.IFF_TAP: tun.KindTAP}
	for flag, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			host := quiet(t)
			fd := rawDevice(t, host, flag|unix.IFF_NO_PI)
			host.Run("ip", "link", "set", "lent0", "mtu", "1400", "up")
			host.Run("ip", "addr", "add", "10.0.1.2/24", "dev", "lent0")
			host.Run("ip", "route", "add", "224.0.0.0/4", "dev", "lent0")
			link, err := tun.FromDescriptor(fd, tun.Config{MTU: 1000})
			if err != nil {
				t.Fatal(err)
			}
			keep(t, link)
			// These tests may ask the kernel, so what Config says counts less.
			if link.Name() != "lent0" || link.Kind() != kind || link.MTU() != 1400 {
				t.Errorf("%s, %v, mtu %d", link.Name(), link.Kind(), link.MTU())
			}
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("descriptor flags %x, %v: want close-on-exec", flags, err)
			}
			send(t, host, "udp4", "239.1.1.1:5000", "hello")
			mustRead(t, link, "hello")
			host.Run("ip", "link", "set", "lent0", "down")
			if got := next(t, link); got.Type != tun.EventDown {
				t.Errorf("event %v", got.Type)
			}
		})
	}
}

// TestDescriptorChecksums reads what the kernel has been told not to finish.
func TestDescriptorChecksums(t *testing.T) {
	host := quiet(t)
	fd := rawDevice(t, host, unix.IFF_TUN|unix.IFF_NO_PI)
	const offloadChecksum = 1 // TUN_F_CSUM
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offloadChecksum); err != nil {
		t.Fatal(err)
	}
	link, err := tun.FromDescriptor(fd, tun.Config{})
	if err != nil {
		t.Fatal(err)
	}
	keep(t, link)
	host.Run("ip", "link", "set", "lent0", "up")
	host.Run("ip", "addr", "add", "10.0.1.2/24", "dev", "lent0")
	host.Run("ip", "route", "add", "224.0.0.0/4", "dev", "lent0")
	send(t, host, "udp4", "239.1.1.1:5000", "hello")
	if packet := mustRead(t, link, "hello"); udpSum(packet) != 0xffff {
		t.Errorf("UDP checksum is unfinished: %x", packet)
	}
}

// udpSum adds up a UDP datagram with its pseudo header (RFC 768): 0xffff.
func udpSum(packet []byte) uint32 {
	udp := packet[20:]
	sum := 17 + uint32(len(udp))
	for _, part := range [][]byte{packet[12:20], udp} {
		for i, octet := range part {
			sum += uint32(octet) << (8 * (1 - i%2))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return sum
}

func TestFromDescriptorErrors(t *testing.T) {
	device := func(flags uint16) int { return rawDevice(t, netnstest.NewHost(t), flags) }
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	tests := []struct {
		name string
		fd   int
		want string
	}{
		{"header", device(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR), "IFF_VNET_HDR"},
		{"packet information", device(unix.IFF_TUN), "IFF_NO_PI"},
		{"no device", device(0), "TUNSETIFF"},
		{"pipe", int(reader.Fd()), "not a TUN"},
		{"closed", 9999, "not open"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := tun.FromDescriptor(test.fd, tun.Config{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v does not say %q", err, test.want)
			}
		})
		if test.name != "pipe" {
			unix.Close(test.fd)
		}
	}
}

// socketPair is two ends of a unix stream socket.
func socketPair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "socket")
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = conn.(*net.UnixConn)
		t.Cleanup(func() { conn.Close() })
	}
	return conns[0], conns[1]
}

func TestHandOver(t *testing.T) {
	host := netnstest.NewHost(t)
	ours, theirs := socketPair(t)
	config := peerConfig(host, tun.KindTAP)
	config.MTU = 1400
	sent := open(t, config)
	if err := tun.Send(theirs, sent); err != nil {
		t.Fatal(err)
	}
	if _, err := sent.Write([][]byte{{1}}); err != os.ErrClosed {
		t.Errorf("Write to what was handed over: %v, want %v", err, os.ErrClosed)
	}
	link, err := tun.Receive(ours, tun.Config{IO: tun.IOPlain})
	if err != nil {
		t.Fatal(err)
	}
	keep(t, link)
	if link.Name() != "mc0" || link.Kind() != tun.KindTAP || link.MTU() != 1400 || !link.Up() ||
		link.IO() != tun.IOPlain || link.ReversePathFilter() != sent.ReversePathFilter() ||
		link.HardwareAddr().String() != sent.HardwareAddr().String() {
		t.Errorf("received %s, %v, mtu %d, up %v, io %s, rp_filter %d, %s",
			link.Name(), link.Kind(), link.MTU(), link.Up(), link.IO(),
			link.ReversePathFilter(), link.HardwareAddr())
	}
	send(t, host, "udp4", "239.1.1.1:5000", "hello")
	mustRead(t, link, "hello")
	host.Run("ip", "link", "set", "mc0", "down")
	if got := next(t, link); got.Type != tun.EventDown {
		t.Errorf("event %v", got.Type)
	}
}

// TestReceiveFromOthers takes a line that another program could write.
func TestReceiveFromOthers(t *testing.T) {
	host := quiet(t)
	ours, theirs := socketPair(t)
	fd := rawDevice(t, host, unix.IFF_TUN|unix.IFF_NO_PI)
	pass(t, theirs, `{"version": 1, "name": "mine"}`+"\n", fd)
	link, err := tun.Receive(ours, tun.Config{MTU: 1300})
	if err != nil {
		t.Fatal(err)
	}
	keep(t, link)
	if link.Name() != "lent0" || link.MTU() != 1300 || !link.Up() {
		t.Errorf("received %s, mtu %d, up %v", link.Name(), link.MTU(), link.Up())
	}
	if link.ReversePathFilter() != -1 {
		t.Errorf("rp_filter %d, want that it is unknown", link.ReversePathFilter())
	}
}

// pass writes to a socket and sends descriptors along, which it closes.
func pass(t *testing.T, conn *net.UnixConn, text string, fds ...int) {
	t.Helper()
	if _, _, err := conn.WriteMsgUnix([]byte(text), unix.UnixRights(fds...), nil); err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// none, devices and pipes make the descriptors that a test passes.
func none(*testing.T) []int { return nil }

func someDevice(t *testing.T) []int {
	return []int{rawDevice(t, netnstest.NewHost(t), unix.IFF_TUN|unix.IFF_NO_PI)}
}

func pipes(n int) func(*testing.T) []int {
	return func(t *testing.T) []int {
		var fds []int
		for range n {
			var ends [2]int
			if err := unix.Pipe(ends[:]); err != nil {
				t.Fatal(err)
			}
			unix.Close(ends[1])
			fds = append(fds, ends[0])
		}
		return fds
	}
}

func TestReceiveErrors(t *testing.T) {
	const good = `{"version": 1, "name": "lent0", "kind": "tun", "mtu": 1500}` + "\n"
	tests := []struct {
		name string
		text string
		fds  func(*testing.T) []int
		want string
		is   error
	}{
		{"nothing", "", none, "EOF", io.EOF},
		{"half a line", `{"version"`, none, "unexpected EOF", io.ErrUnexpectedEOF},
		{"no descriptor", good, none, "0 descriptors", nil},
		{"another's descriptor", good, pipes(1), "not a TUN", nil},
		{"two descriptors", good, pipes(2), "2 descriptors", nil},
		{"too many descriptors", good, pipes(20), "more than 8", nil},
		{"not JSON", "hello\n", someDevice, "notice", nil},
		{"two lines", good + good, someDevice, "more than one line", nil},
		{"long line", strings.Repeat("x", 5000), someDevice, "longer than 4096", nil},
		{"later version", `{"version": 2}` + "\n", someDevice, "version 2", nil},
		{"mtu", `{"version": 1, "mtu": 20}` + "\n", someDevice, "mtu 20", nil},
		{"index", `{"version": 1, "index": -1}` + "\n", someDevice, "index -1", nil},
		{"netlink", `{"version": 1, "netlink": true}` + "\n", pipes(2), "not a netlink", nil},
		{"error", `{"version": 1, "error": "no device", "errno": 19}` + "\n", none,
			"no device", unix.ENODEV},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			netnstest.Require(t)
			receiveWrong(t, test.text, test.fds, test.want, test.is)
		})
	}
}

// receiveWrong wants an error, and every descriptor that came with it closed.
func receiveWrong(
	t *testing.T, text string, fds func(*testing.T) []int, want string, is error,
) {
	ours, theirs := socketPair(t)
	passed := fds(t)
	before := descriptors(t) - len(passed)
	if text != "" {
		pass(t, theirs, text, passed...)
	}
	theirs.CloseWrite()
	_, err := tun.Receive(ours, tun.Config{})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v does not say %q", err, want)
	}
	if is != nil && !errors.Is(err, is) {
		t.Errorf("error %v is not %v", err, is)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors open, %d before", after, before)
	}
}

func TestPeerCredentials(t *testing.T) {
	ours, _ := socketPair(t)
	peer, err := tun.PeerCredentials(ours)
	if err != nil {
		t.Fatal(err)
	}
	want := unix.Ucred{Pid: int32(os.Getpid()), Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}
	if peer != want {
		t.Errorf("peer %+v, want %+v", peer, want)
	}
}
