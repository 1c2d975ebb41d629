package tun

import (
	"crypto/rand"
	"hash/fnv"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

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
