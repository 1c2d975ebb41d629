package tun

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// packetBuffer is what a packet socket asks for in each direction, in octets;
// net.core.rmem_max and wmem_max may allow less. It takes the place of a TUN's
// txqueuelen: what does not fit is lost, and counted by [Link.Overflows].
const packetBuffer = 4 << 20

// openPacket opens a socket on an Ethernet device that is there already.
func (d *device) openPacket(config Config) error {
	fd, err := packetSocket()
	if err != nil {
		return err
	}
	if err := d.openPacketOn(fd, config.Name); err != nil {
		unix.Close(fd)
		return err
	}
	d.file = os.NewFile(uintptr(fd), config.Name)
	d.water = &water.Interface{ReadWriteCloser: d.file}
	return nil
}

// openPacketOn binds a socket to a device.
func (d *device) openPacketOn(fd int, name string) error {
	link, err := findLink(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return fmt.Errorf("%w: it is not made here", unix.ENODEV)
	}
	if err != nil {
		return fmt.Errorf("look for the device: %w", err)
	}
	attrs := link.Attrs()
	if attrs.EncapType != "ether" || len(attrs.HardwareAddr) != 6 {
		return fmt.Errorf("its link layer is %q: want Ethernet", attrs.EncapType)
	}
	d.name, d.offload, d.hwAddr = name, OffloadSegmentation, attrs.HardwareAddr
	return bindPacketSocket(fd, attrs.Index)
}

// packetSocket opens a socket that is not bound yet.
func packetSocket() (int, error) {
	// Without a protocol nothing comes before the socket is bound.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EPERM) {
		return -1, fmt.Errorf("open a packet socket: %w "+
			"(needs CAP_NET_RAW in the user namespace that the network namespace belongs to)", err)
	}
	if err != nil {
		return -1, fmt.Errorf("open a packet socket: %w", err)
	}
	return fd, nil
}

// bindPacketSocket has a socket get everything that the device of this index
// receives and that is for this host, and nothing that this host sends.
func bindPacketSocket(fd, index int) error {
	steps := []struct {
		what string
		do   func() error
	}{
		{"ask for headers", func() error {
			return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1)
		}},
		{"set the filter", func() error { return setPacketFilter(fd) }},
		{"ask for all multicast", func() error {
			return unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
				&unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_ALLMULTI})
		}},
		{"bind", func() error {
			return unix.Bind(fd, &unix.SockaddrLinklayer{
				Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: index})
		}},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("packet socket: %s: %w", step.what, err)
		}
	}
	// The filter has the same effect, but costs a copy of each packet sent. Linux
	// has it since 4.20.
	_ = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	for _, option := range []struct{ forced, plain int }{
		{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF},
	} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, option.forced, packetBuffer) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option.plain, packetBuffer)
		}
	}
	return nil
}

// setPacketFilter drops what the host itself sends, what is for other hosts,
// which a device that is promiscuous receives, and what belongs to a VLAN: the
// tag has been taken off, and nothing would tell the packet from others.
func setPacketFilter(fd int) error {
	// Offsets of linux/filter.h, from SKF_AD_OFF.
	const (
		ancillary  = 0xfffff000
		packetType = ancillary + 4
		vlanTagged = ancillary + 48
		all        = 1 << 18
	)
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: vlanTagged},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: packetType},
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: unix.PACKET_OTHERHOST, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: all},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

// networkOrder is a 16-bit number as sockaddr_ll has it.
func networkOrder(n uint16) uint16 {
	return binary.NativeEndian.Uint16([]byte{byte(n >> 8), byte(n)})
}

// packetAddress is where a packet socket is bound; ok says that it is one.
func packetAddress(fd int) (address *unix.SockaddrLinklayer, ok bool) {
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return nil, false
	}
	address, ok = bound.(*unix.SockaddrLinklayer)
	return address, ok
}

// adoptPacket checks a packet socket that somebody else opened.
func adoptPacket(fd int, address *unix.SockaddrLinklayer) (device, error) {
	d := device{kind: KindPacket, rpf: -1, offload: OffloadSegmentation}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	headers, headersErr := unix.GetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR)
	switch {
	case errors.Join(err, headersErr) != nil:
		return device{}, fmt.Errorf("descriptor %d: %w", fd, errors.Join(err, headersErr))
	case kind != unix.SOCK_RAW || headers == 0:
		return device{}, fmt.Errorf("descriptor %d: a packet socket without SOCK_RAW or "+
			"PACKET_VNET_HDR", fd)
	case address.Ifindex <= 0 || address.Hatype != unix.ARPHRD_ETHER || address.Halen != 6:
		return device{}, fmt.Errorf("descriptor %d: a packet socket that is not bound to an "+
			"Ethernet device", fd)
	}
	d.hwAddr = net.HardwareAddr(address.Addr[:6:6])
	return d, d.askPacket(fd, address.Ifindex)
}

// askPacket asks a socket for its device's name, MTU and flags, which it tells
// without any right in the device's namespace.
func (d *device) askPacket(fd, index int) error {
	request, err := unix.NewIfreq("")
	if err != nil {
		return err
	}
	request.SetUint32(uint32(index))
	for _, ask := range []struct {
		call uint
		take func()
	}{
		{unix.SIOCGIFNAME, func() { d.name = request.Name() }},
		{unix.SIOCGIFMTU, func() { d.mtu = int(request.Uint32()) }},
		{unix.SIOCGIFFLAGS, func() { d.up = request.Uint16()&unix.IFF_UP != 0 }},
	} {
		if err := unix.IoctlIfreq(fd, ask.call, request); err != nil {
			return fmt.Errorf("descriptor %d: ask for its device: %w", fd, err)
		}
		ask.take()
	}
	return nil
}

// passes reports whether a failed read or write of one packet says nothing of
// the next. A packet socket tells once that its device went down, and fails to
// describe super-packets of kinds that it does not know.
func (l *Link) passes(err unix.Errno) bool {
	switch err {
	case unix.EINTR:
		return true
	case unix.ENETDOWN:
		return l.kind == KindPacket && !isGone(l.fd)
	case unix.EINVAL:
		return l.kind == KindPacket
	}
	return false
}
