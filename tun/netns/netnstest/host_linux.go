package netnstest

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"umroute/tun/netns"
)

// Host is a network namespace with a Linux host in it. What goes wrong in a
// method fails the test; what a method opens or starts ends with the test.
// Methods are for the test's own goroutine.
type Host struct {
	t  testing.TB
	ns *netns.Namespace
}

// NewHost makes a host with nothing but loopback, which is up.
func NewHost(t testing.TB) *Host {
	t.Helper()
	Require(t)
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	h := &Host{t: t, ns: ns}
	h.Do(netns.RaiseLoopback)
	return h
}

// Netns is the path of the host's namespace, good in this process.
func (h *Host) Netns() string { return h.ns.Path() }

// Do runs f in the host's namespace. f must not call FailNow, nor Fatal, nor
// Skip of a test: it is on another goroutine.
func (h *Host) Do(f func() error) {
	h.t.Helper()
	if err := h.ns.Do(f); err != nil {
		h.t.Fatal(err)
	}
}

// ListenUDP opens a socket of "udp4" or "udp6" on a local address such as
// "0.0.0.0:5000", which others may be bound to as well.
func (h *Host) ListenUDP(network, address string) *net.UDPConn {
	h.t.Helper()
	var conn net.PacketConn
	config := net.ListenConfig{Control: shareAddress}
	h.Do(func() (err error) {
		conn, err = config.ListenPacket(context.Background(), network, address)
		return err
	})
	h.t.Cleanup(func() { conn.Close() })
	return conn.(*net.UDPConn)
}

// shareAddress lets every receiver of a group bind its port.
func shareAddress(_, _ string, raw syscall.RawConn) error {
	var err error
	controlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	})
	if controlErr != nil {
		return controlErr
	}
	return err
}

// Join joins a group on a device: any source, or one of those given.
func (h *Host) Join(conn *net.UDPConn, device string, group netip.Addr, sources ...netip.Addr) {
	h.t.Helper()
	if len(sources) == 0 {
		h.setGroup(conn, unix.MCAST_JOIN_GROUP, h.groupRequest(device, group))
	}
	for _, source := range sources {
		h.setGroup(conn, unix.MCAST_JOIN_SOURCE_GROUP, h.groupRequest(device, group, source))
	}
}

// Leave undoes a Join with the same arguments.
func (h *Host) Leave(conn *net.UDPConn, device string, group netip.Addr, sources ...netip.Addr) {
	h.t.Helper()
	if len(sources) == 0 {
		h.setGroup(conn, unix.MCAST_LEAVE_GROUP, h.groupRequest(device, group))
	}
	for _, source := range sources {
		h.setGroup(conn, unix.MCAST_LEAVE_SOURCE_GROUP, h.groupRequest(device, group, source))
	}
}

// Index is a device's index in the host.
func (h *Host) Index(device string) int {
	h.t.Helper()
	var found *net.Interface
	h.Do(func() (err error) {
		found, err = net.InterfaceByName(device)
		return err
	})
	return found.Index
}

// groupRequest is a struct group_req or group_source_req of RFC 3678 section
// 5.1: the interface, then each address in the room of a sockaddr_storage.
func (h *Host) groupRequest(device string, addrs ...netip.Addr) []byte {
	h.t.Helper()
	const storage = 128
	request := make([]byte, 8+storage*len(addrs))
	binary.NativeEndian.PutUint32(request, uint32(h.Index(device)))
	for i, addr := range addrs {
		sockaddr := request[8+storage*i:]
		if addr.Is4() {
			binary.NativeEndian.PutUint16(sockaddr, unix.AF_INET)
			copy(sockaddr[4:], addr.AsSlice())
		} else {
			binary.NativeEndian.PutUint16(sockaddr, unix.AF_INET6)
			copy(sockaddr[8:], addr.AsSlice())
		}
	}
	return request
}

// setGroup makes the call that all of RFC 3678's options have in common. The
// family of the first address says which protocol it is for.
func (h *Host) setGroup(conn *net.UDPConn, option int, request []byte) {
	h.t.Helper()
	level := unix.IPPROTO_IPV6
	if binary.NativeEndian.Uint16(request[8:]) == unix.AF_INET {
		level = unix.IPPROTO_IP
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		h.t.Fatal(err)
	}
	var setErr error
	err = raw.Control(func(fd uintptr) {
		setErr = unix.SetsockoptString(int(fd), level, option, string(request))
	})
	if err != nil || setErr != nil {
		h.t.Fatalf("change group membership: %v %v", err, setErr)
	}
}

// Run runs a command in the host to its end and returns what it printed.
func (h *Host) Run(name string, args ...string) string {
	h.t.Helper()
	cmd := exec.Command(name, args...)
	var output []byte
	h.Do(func() error {
		// The process is started in the namespace; its end may be awaited there.
		var err error
		output, err = cmd.CombinedOutput()
		if err != nil {
			h.t.Logf("%s: %s", cmd, output)
		}
		return err
	})
	return string(output)
}

// Start starts a command in the host and ends it with the test.
func (h *Host) Start(cmd *exec.Cmd) {
	h.t.Helper()
	if err := h.ns.Start(cmd); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // its status is not of interest
	})
}
