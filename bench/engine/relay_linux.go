package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"umroute/bench/topology"
	"umroute/mgm"
	"umroute/tun"
	"umroute/tun/netns"
)

// TrafficPort is the UDP port that all test traffic goes to: the one that a
// relay listens on.
const TrafficPort = 5000

// relay is what people do without a router: a program that is a member of the
// groups itself, and sends what it gets to each output from a socket of its own.
// Source addresses and TTLs are lost on the way.
type relay struct {
	inputs  [2]int   // IPv4, IPv6
	outputs [2][]int // likewise, for each port but the first
	first   int      // index of the device of port 0

	mu     sync.RWMutex
	flows  map[netip.Addr]int // outputs, by group
	joined map[netip.Addr]bool

	unknown atomic.Uint64
	refused atomic.Uint64
}

// newRelay opens the sockets in the router's namespace and starts.
func newRelay(s start) (*relay, error) {
	r := &relay{flows: make(map[netip.Addr]int), joined: make(map[netip.Addr]bool)}
	path := fmt.Sprintf("/proc/self/fd/%d", s.Namespace)
	err := netns.Do(path, func() error {
		// As kernels come, a socket may be a member of 20 groups.
		const path = "/proc/sys/net/ipv4/igmp_max_memberships"
		if err := os.WriteFile(path, []byte("100000"), 0); err != nil {
			return fmt.Errorf("allow many memberships: %w", err)
		}
		for i := range s.Ports {
			device, err := net.InterfaceByName(topology.Port(i))
			if err != nil {
				return err
			}
			if i == 0 {
				r.first = device.Index
				err = r.listen()
			} else {
				err = r.addOutput(device.Index)
			}
			if err != nil {
				return fmt.Errorf("open the sockets of %s: %w", device.Name, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for family := range r.inputs {
		go runToEnd(func() error { return r.run(family) })
	}
	return r, nil
}

var domains = [2]int{unix.AF_INET, unix.AF_INET6}

func (r *relay) listen() (err error) {
	for family, domain := range domains {
		fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		r.inputs[family] = fd
		const buffer = 4 << 20
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer)
		var at unix.Sockaddr = &unix.SockaddrInet4{Port: TrafficPort}
		// The group of each datagram is told beside it.
		level, name := unix.IPPROTO_IP, unix.IP_PKTINFO
		if family == 1 {
			at = &unix.SockaddrInet6{Port: TrafficPort}
			level, name = unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
			if err := unix.SetsockoptInt(fd, level, unix.IPV6_V6ONLY, 1); err != nil {
				return err
			}
		}
		if err := errors.Join(unix.SetsockoptInt(fd, level, name, 1), unix.Bind(fd, at)); err != nil {
			return err
		}
	}
	return nil
}

func (r *relay) addOutput(index int) error {
	for family, domain := range domains {
		fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		r.outputs[family] = append(r.outputs[family], fd)
		if family == 0 {
			err = errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, 7),
				unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0),
				unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF,
					&unix.IPMreqn{Ifindex: int32(index)}))
		} else {
			err = errors.Join(
				unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 7),
				unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0),
				unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// run takes one datagram a call and gives one a call.
func (r *relay) run(family int) error {
	buffer, control := make([]byte, 1<<16), make([]byte, 128)
	var name [unix.SizeofSockaddrInet6]byte
	for {
		n, used, _, _, err := unix.Recvmsg(r.inputs[family], buffer, control, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		group := groupOf(control[:used])
		r.mu.RLock()
		outputs := r.outputs[family][:r.flows[group]]
		r.mu.RUnlock()
		if len(outputs) == 0 {
			r.unknown.Add(1)
			continue
		}
		length := putName(&name, group)
		for _, fd := range outputs {
			_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd),
				uintptr(unsafe.Pointer(&buffer[0])), uintptr(n), 0,
				uintptr(unsafe.Pointer(&name)), length)
			if errno != 0 {
				r.refused.Add(1)
			}
		}
	}
}

// groupOf reads struct in_pktinfo or in6_pktinfo.
func groupOf(control []byte) netip.Addr {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return netip.Addr{}
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO &&
			len(m.Data) >= 12:
			return netip.AddrFrom4([4]byte(m.Data[8:]))
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO &&
			len(m.Data) >= 16:
			return netip.AddrFrom16([16]byte(m.Data))
		}
	}
	return netip.Addr{}
}

// putName writes a struct sockaddr_in or sockaddr_in6.
func putName(name *[unix.SizeofSockaddrInet6]byte, group netip.Addr) uintptr {
	binary.BigEndian.PutUint16(name[2:], TrafficPort)
	if group.Is4() {
		binary.NativeEndian.PutUint16(name[:], unix.AF_INET)
		copy(name[4:], group.AsSlice())
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(name[:], unix.AF_INET6)
	copy(name[8:], group.AsSlice())
	return unix.SizeofSockaddrInet6
}

// route implements forwarder.
func (r *relay) route(f mgm.Flow, oifs int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.joined[f.Group] {
		if err := r.join(f.Group); err != nil {
			return err
		}
		r.joined[f.Group] = true
	}
	r.flows[f.Group] = oifs
	return nil
}

// join makes the input a member.
func (r *relay) join(group netip.Addr) error {
	if group.Is4() {
		return unix.SetsockoptIPMreqn(r.inputs[0], unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
			&unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(r.first)})
	}
	return unix.SetsockoptIPv6Mreq(r.inputs[1], unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
		&unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(r.first)})
}

func (r *relay) add(uint32, tun.Device, []netip.Prefix) error {
	return errors.New("a relay has no devices")
}

func (r *relay) dropped() map[string]uint64 {
	return map[string]uint64{"unknown flow": r.unknown.Load(), "device": r.refused.Load()}
}
