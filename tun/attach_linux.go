package tun

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// deviceFlags is TUNGETIFF: the IFF_ flags of a descriptor's device. It gives
// EBADFD where the descriptor has no device (any more), and ENOTTY where it is
// something else altogether.
func deviceFlags(fd int) (*unix.Ifreq, error) {
	// The kernel overwrites the name, but Ifreq wants one to start with.
	request, err := unix.NewIfreq("tun")
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlIfreq(fd, unix.TUNGETIFF, request); err != nil {
		return nil, err
	}
	return request, nil
}

// identify finds out what a descriptor is: the device's name and kind. It
// refuses what this package cannot speak.
func identify(fd int) (name string, kind Kind, err error) {
	request, err := deviceFlags(fd)
	switch {
	case errors.Is(err, unix.EBADF):
		return "", 0, fmt.Errorf("descriptor %d: not open", fd)
	case errors.Is(err, unix.EBADFD):
		return "", 0, fmt.Errorf("descriptor %d: a TUN or TAP without a device: "+
			"TUNSETIFF was not called, or the device was deleted", fd)
	case err != nil:
		return "", 0, fmt.Errorf("descriptor %d: not a TUN or TAP: %w", fd, err)
	}
	name, flags := request.Name(), request.Uint16()
	switch {
	case flags&unix.IFF_VNET_HDR != 0:
		return "", 0, fmt.Errorf("descriptor %d (%s): opened with IFF_VNET_HDR, which puts "+
			"a header before each packet: open it without", fd, name)
	case flags&unix.IFF_TAP != 0:
		kind = KindTAP
	case flags&unix.IFF_TUN != 0:
		kind = KindTUN
	default:
		return "", 0, fmt.Errorf("descriptor %d (%s): neither TUN nor TAP", fd, name)
	}
	return name, kind, nil
}

// clearOffloads makes the kernel finish every checksum before it hands a packet
// out. What the last user of a device asked for outlives its descriptor.
func clearOffloads(fd int, name string) error {
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, 0); err != nil {
		return fmt.Errorf("clear the offloads of %s: %w", name, err)
	}
	return nil
}

// routerHardwareAddr makes the address of the router's end of a TAP out of the
// kernel's end, so that hosts keep what they learnt when the router restarts.
func routerHardwareAddr(fd int) net.HardwareAddr {
	kernel := kernelHardwareAddr(fd)
	addr := make(net.HardwareAddr, 6)
	if kernel == nil {
		_, _ = rand.Read(addr) // never fails
	} else {
		hash := fnv.New64a()
		_, _ = hash.Write(kernel) // never fails
		copy(addr, hash.Sum(nil))
	}
	// IEEE 802: locally administered, and not a group address.
	addr[0] = addr[0]&^0x01 | 0x02
	if string(addr) == string(kernel) {
		addr[5] ^= 0x01
	}
	return addr
}

// kernelHardwareAddr is nil where the kernel does not tell.
func kernelHardwareAddr(fd int) net.HardwareAddr {
	// struct ifreq of netdevice(7), with a struct sockaddr in its union.
	var request struct {
		name   [unix.IFNAMSIZ]byte
		family uint16
		addr   [6]byte
		_      [16]byte
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCGIFHWADDR,
		uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return nil
	}
	return request.addr[:]
}
