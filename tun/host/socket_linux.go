package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// receiveBuffer is asked for; the kernel gives at most net.core.rmem_max.
const receiveBuffer = 4 << 20

// option is a socket option with an integer value.
type option struct {
	level, name, value int
	needed             bool // older kernels lack the others
}

// sharing lets the host's programs use the same port, where they share too.
var sharing = []option{
	{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1, true},
	{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1, false},
}

// receiving is what a receiver has. IP_MULTICAST_ALL leaves out what other
// sockets of the host have joined.
var receiving = [2][]option{
	{
		{unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer, false},
		{unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1, false},
		{unix.SOL_UDP, unix.UDP_GRO, 1, false},
		{unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0, true},
		{unix.IPPROTO_IP, unix.IP_PKTINFO, 1, true},
		{unix.IPPROTO_IP, unix.IP_RECVTTL, 1, true},
		{unix.IPPROTO_IP, unix.IP_RECVTOS, 1, true},
	},
	{
		{unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer, false},
		{unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1, false},
		{unix.SOL_UDP, unix.UDP_GRO, 1, false},
		{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1, true},
		{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0, false},
		{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1, true},
		{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1, true},
		{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1, true},
	},
}

// family is 0 for IPv4, 1 for IPv6.
func family(v6 bool) int {
	if v6 {
		return 1
	}
	return 0
}

// newSocket opens a UDP socket with options.
func newSocket(v6 bool, lists ...[]option) (int, error) {
	domain := unix.AF_INET
	if v6 {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open a UDP socket: %w", explained(err))
	}
	for _, list := range lists {
		for _, o := range list {
			err := unix.SetsockoptInt(fd, o.level, o.name, o.value)
			if err != nil && o.needed {
				unix.Close(fd)
				return -1, fmt.Errorf("set option %d/%d of a UDP socket: %w", o.level, o.name, err)
			}
		}
	}
	return fd, nil
}

// openReceiver opens a socket for one port of one group, which it has not joined
// yet. Bound to the group's address it takes no unicast datagram away from the
// host's programs.
func openReceiver(group netip.AddrPort, index int) (int, error) {
	v6 := group.Addr().Is6()
	fd, err := newSocket(v6, sharing, receiving[family(v6)])
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, sockaddr(group, index)); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("bind to %s: %w", group, explained(err))
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort, index int) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: uint32(index)}
}

// explained adds what to do to what the kernel says.
func explained(err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%w (a program of this host has the port and does not share it: "+
			"it would have to set SO_REUSEADDR)", err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w (ports below net.ipv4.ip_unprivileged_port_start need "+
			"CAP_NET_BIND_SERVICE)", err)
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return fmt.Errorf("%w (each group and port takes a descriptor: see ulimit -n)", err)
	}
	return err
}

// What MCAST_MSFILTER calls the modes of a filter (RFC 3678 section 5.2).
const (
	modeExclude = 0
	modeInclude = 1
)

// joinGroup joins a group on a device, of one source or, with the zero Addr, of
// all.
func joinGroup(fd, index int, group, source netip.Addr) error {
	request := appendGroup(nil, index, group)
	name := unix.MCAST_JOIN_GROUP
	if source.IsValid() {
		request = appendAddr(request, source)
		name = unix.MCAST_JOIN_SOURCE_GROUP
	}
	err := unix.SetsockoptString(fd, level(group), name, string(request))
	return os.NewSyscallError("join "+group.String(), err)
}

// setSources replaces the filter of a group that has been joined (RFC 3678
// section 5.2).
func setSources(fd, index int, group netip.Addr, exclude bool, sources []netip.Addr) error {
	mode := uint32(modeInclude)
	if exclude {
		mode = modeExclude
	}
	request := appendGroup(nil, index, group)
	request = binary.NativeEndian.AppendUint32(request, mode)
	request = binary.NativeEndian.AppendUint32(request, uint32(len(sources)))
	for _, source := range sources {
		request = appendAddr(request, source)
	}
	err := unix.SetsockoptString(fd, level(group), unix.MCAST_MSFILTER, string(request))
	return os.NewSyscallError("filter sources of "+group.String(), err)
}

func level(group netip.Addr) int {
	if group.Is6() {
		return unix.IPPROTO_IPV6
	}
	return unix.IPPROTO_IP
}

// appendGroup appends what all requests of RFC 3678 section 5 begin with: the
// device, padding up to the alignment of addresses, and the group.
func appendGroup(b []byte, index int, group netip.Addr) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(index))
	b = append(b, 0, 0, 0, 0)
	return appendAddr(b, group)
}

// appendAddr appends an address in the room of a sockaddr_storage.
func appendAddr(b []byte, a netip.Addr) []byte {
	var storage [128]byte
	if a.Is4() {
		binary.NativeEndian.PutUint16(storage[:], unix.AF_INET)
		copy(storage[4:], a.AsSlice())
	} else {
		binary.NativeEndian.PutUint16(storage[:], unix.AF_INET6)
		copy(storage[8:], a.AsSlice())
	}
	return append(b, storage[:]...)
}
