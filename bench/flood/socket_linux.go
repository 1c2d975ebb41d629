package flood

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Options of UDP sockets (linux/udp.h).
const (
	udpSegment = 103
	udpGRO     = 104
)

// receiveBuffer is what a sink asks for; net.core.rmem_max may allow less.
const receiveBuffer = 4 << 20

// option is one integer option of a socket.
type option struct{ level, name, value int }

func setOptions(fd int, options ...option) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("set socket option %d/%d: %w", o.level, o.name, err)
		}
	}
	return nil
}

func udpSocket(v6 bool) (int, error) {
	domain := unix.AF_INET
	if v6 {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open a UDP socket: %w", err)
	}
	return fd, nil
}

// sourceSocket makes a socket that sends as c says on a device of this thread's
// namespace. With one flow it is connected.
func sourceSocket(c Config, device *net.Interface) (int, error) {
	v6 := c.Source.Is6()
	fd, err := udpSocket(v6)
	if err != nil {
		return -1, err
	}
	options := []option{
		{unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, TTL}, {unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0},
		{unix.IPPROTO_IP, unix.IP_TTL, TTL},
	}
	if v6 {
		options = []option{
			{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, TTL},
			{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0},
			{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, device.Index},
			{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, TTL},
		}
	}
	if c.Segment {
		// From here on the kernel cuts each message into datagrams of this size.
		options = append(options, option{unix.IPPROTO_UDP, udpSegment, c.Size})
	}
	err = setOptions(fd, options...)
	if err == nil && !v6 {
		err = unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF,
			&unix.IPMreqn{Ifindex: int32(device.Index)})
	}
	// The source is part of the flows that are routed: not for the kernel to
	// choose.
	if err == nil {
		err = unix.Bind(fd, sockaddr(c.Source, 0))
	}
	if err == nil && c.flows() == 1 && len(c.Groups) == 1 {
		err = unix.Connect(fd, sockaddr(c.Groups[0], c.Port))
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("send from %s on %s: %w", c.Source, device.Name, err)
	}
	return fd, nil
}

// sinkSocket makes a socket that gets whatever this namespace is a member of. It
// is no member itself: the kernel would go through all its memberships for each
// datagram.
func sinkSocket(c Config, device *net.Interface) (int, error) {
	v6 := c.Source.Is6()
	fd, err := udpSocket(v6)
	if err != nil {
		return -1, err
	}
	options := []option{
		{unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer}, {unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
	}
	if c.GRO {
		options = append(options, option{unix.IPPROTO_UDP, udpGRO, 1})
	}
	any := netip.IPv4Unspecified()
	if v6 {
		any = netip.IPv6Unspecified()
	}
	err = setOptions(fd, append(options, ttlOption(v6, 1))...)
	// With SO_RCVBUFFORCE a privileged process gets past the limit.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
	if err == nil {
		err = unix.Bind(fd, sockaddr(any, c.Port))
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("receive on %s: %w", device.Name, err)
	}
	return fd, nil
}

// ttlOption makes the TTL or hop limit come with each datagram, or not.
func ttlOption(v6 bool, value int) option {
	if v6 {
		return option{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, value}
	}
	return option{unix.IPPROTO_IP, unix.IP_RECVTTL, value}
}

func join(fd int, group netip.Addr, index int) error {
	var err error
	if group.Is6() {
		err = unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
			&unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)})
	} else {
		err = unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
			&unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)})
	}
	if err != nil {
		return fmt.Errorf("join %s: %w", group, err)
	}
	return nil
}

func sockaddr(a netip.Addr, port uint16) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4(), Port: int(port)}
	}
	return &unix.SockaddrInet6{Addr: a.As16(), Port: int(port)}
}

// rawName returns a socket address as the kernel takes it, in a struct
// sockaddr_in6, which has room for either family.
func rawName(a netip.Addr, port uint16) (name unix.RawSockaddrInet6) {
	var wire [2]byte
	binary.BigEndian.PutUint16(wire[:], port)
	name.Port = binary.NativeEndian.Uint16(wire[:])
	if a.Is6() {
		name.Family, name.Addr = unix.AF_INET6, a.As16()
		return name
	}
	// In a sockaddr_in the address stands where the flow label does.
	name.Family = unix.AF_INET
	v4 := a.As4()
	name.Flowinfo = binary.NativeEndian.Uint32(v4[:])
	return name
}

// overflows is how many datagrams a socket has dropped, most often as its
// buffer was full; 0 where the kernel does not say (before Linux 4.12).
func overflows(fd int) uint64 {
	const drops = 8 // SK_MEMINFO_DROPS of linux/sock_diag.h
	var info [drops + 1]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET,
		unix.SO_MEMINFO, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0
	}
	return uint64(info[drops])
}

// windowFor narrows a window to what a receive buffer holds: the kernel
// charges a datagram's memory, up to twice its size and two headers.
func windowFor(window, buffer, size int) int {
	return max(turn, min(window, buffer/(2*size+1280)))
}
