package delay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"umroute/bench/plan"
	"umroute/bench/topology"
)

// How long a host waits: for the first datagram after a join, and without any
// before traffic counts as stopped.
const (
	patience = 10 * time.Second
	silence  = 200 * time.Millisecond
)

// Host is a receiver that joins and leaves.
type Host struct {
	group  netip.Addr
	device *net.Interface
	watch  int // packet socket
	member int // UDP socket; -1 while it is no member
	host   topology.Host
	buffer [2048]byte
}

// NewHost prepares a host to join a group by a protocol, one of package plan's.
// Close it.
func NewHost(t topology.Host, group netip.Addr, protocol string) (*Host, error) {
	h := &Host{group: group, host: t, watch: -1, member: -1}
	err := t.Namespace.Do(func() (err error) {
		if h.device, err = net.InterfaceByName(topology.Device); err != nil {
			return fmt.Errorf("find %s: %w", topology.Device, err)
		}
		if err := speak(protocol); err != nil {
			return err
		}
		return h.open()
	})
	if err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// speak makes the kernel of a host speak one version, whatever queries say.
func speak(protocol string) error {
	setting, known := map[string][2]string{
		plan.IGMPv2: {"ipv4/conf/all/force_igmp_version", "2"},
		plan.IGMPv3: {"ipv4/conf/all/force_igmp_version", "3"},
		plan.MLDv1:  {"ipv6/conf/all/force_mld_version", "1"},
		plan.MLDv2:  {"ipv6/conf/all/force_mld_version", "2"},
	}[protocol]
	if !known {
		return fmt.Errorf("protocol %q is unknown", protocol)
	}
	err := os.WriteFile("/proc/sys/net/"+setting[0], []byte(setting[1]), 0)
	if err != nil {
		return fmt.Errorf("make the host speak %s: %w", protocol, err)
	}
	return nil
}

// open opens the packet socket.
func (h *Host) open() error {
	var wire [2]byte
	binary.BigEndian.PutUint16(wire[:], unix.ETH_P_ALL)
	protocol := binary.NativeEndian.Uint16(wire[:])
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(protocol))
	if err != nil {
		return fmt.Errorf("watch %s: %w", h.device.Name, err)
	}
	h.watch = fd
	// Enough for the time between a leave and the look at what came meanwhile.
	const buffer = 8 << 20
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer)
	return errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: h.device.Index}))
}

// ErrNothing says that a group was joined in vain.
var ErrNothing = errors.New("nothing came after the join")

// Join joins, and returns the group join delay.
func (h *Host) Join() (time.Duration, error) {
	if err := h.drain(); err != nil {
		return 0, err
	}
	if err := h.becomeMember(); err != nil {
		return 0, err
	}
	var reported int64
	for deadline := time.Now().Add(patience); ; {
		k, at, err := h.next(time.Until(deadline))
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return 0, ErrNothing
		case err != nil:
			return 0, err
		case k == joins && reported == 0:
			reported = at
		case k == data && reported != 0:
			// What the clocks of two processors make of it is no less than 0.
			return time.Duration(max(0, at-reported)), nil
		}
	}
}

// Forget ends a membership that brought nothing.
func (h *Host) Forget() {
	if h.member >= 0 {
		unix.Close(h.member)
		h.member = -1
	}
}

// Leave leaves, and returns the group leave delay: until the last datagram.
func (h *Host) Leave() (time.Duration, error) {
	if h.member < 0 {
		return 0, errors.New("leave: the host is no member")
	}
	if err := h.drain(); err != nil {
		return 0, err
	}
	h.Forget()
	var left, last int64
	for deadline := time.Now().Add(patience); ; {
		k, at, err := h.next(silence)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && left != 0:
			return time.Duration(max(0, last-left)), nil
		case errors.Is(err, os.ErrDeadlineExceeded) || time.Now().After(deadline):
			return 0, fmt.Errorf("traffic did not stop as it should within %v of a leave", patience)
		case err != nil:
			return 0, err
		case k == leaves && left == 0:
			left = at
		case k == data && left != 0:
			last = at
		}
	}
}

// drain forgets what came before.
func (h *Host) drain() error {
	for {
		_, _, err := h.receive(unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// next gives the next packet that says something, as it came or left.
func (h *Host) next(wait time.Duration) (kind, int64, error) {
	for deadline := time.Now().Add(wait); ; {
		ready := []unix.PollFd{{Fd: int32(h.watch), Events: unix.POLLIN}}
		rest := max(0, time.Until(deadline).Milliseconds())
		n, err := unix.Poll(ready, int(rest))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return other, 0, os.NewSyscallError("poll", err)
		}
		if n == 0 {
			return other, 0, os.ErrDeadlineExceeded
		}
		k, at, err := h.receive(unix.MSG_DONTWAIT)
		if err != nil || k != other {
			return k, at, err
		}
		if time.Now().After(deadline) {
			return other, 0, os.ErrDeadlineExceeded
		}
	}
}

// receive takes one packet. Its own multicast that comes back is no data.
func (h *Host) receive(flags int) (kind, int64, error) {
	var control [128]byte
	n, used, _, from, err := unix.Recvmsg(h.watch, h.buffer[:], control[:], flags)
	if errors.Is(err, unix.EINTR) {
		return other, 0, nil
	}
	if err != nil {
		return other, 0, err
	}
	k := classify(h.buffer[:n], h.group)
	link, ok := from.(*unix.SockaddrLinklayer)
	outgoing := ok && link.Pkttype == unix.PACKET_OUTGOING
	if outgoing == (k == data) {
		return other, 0, nil
	}
	messages, err := unix.ParseSocketControlMessage(control[:used])
	if err != nil {
		return other, 0, err
	}
	for _, m := range messages {
		if m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			return k, (*unix.Timespec)(unsafe.Pointer(&m.Data[0])).Nano(), nil
		}
	}
	return other, 0, errors.New("the kernel gives no times")
}

// becomeMember joins on a socket that nothing is read from.
func (h *Host) becomeMember() error {
	return h.host.Namespace.Do(func() error {
		domain := unix.AF_INET
		if h.group.Is6() {
			domain = unix.AF_INET6
		}
		fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open a UDP socket: %w", err)
		}
		if h.group.Is6() {
			err = unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
				&unix.IPv6Mreq{Multiaddr: h.group.As16(), Interface: uint32(h.device.Index)})
		} else {
			err = unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
				&unix.IPMreqn{Multiaddr: h.group.As4(), Ifindex: int32(h.device.Index)})
		}
		if err != nil {
			unix.Close(fd)
			return fmt.Errorf("join %s: %w", h.group, err)
		}
		h.member = fd
		return nil
	})
}

// Close leaves and lets go.
func (h *Host) Close() {
	h.Forget()
	if h.watch >= 0 {
		unix.Close(h.watch)
		h.watch = -1
	}
}
