package tun

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// What TUNSETOFFLOAD takes (linux/if_tun.h). The kernel refuses one USO flag
// without the other, and both without the checksum.
const (
	tunChecksum     = 0x01
	tunSegmentation = tunChecksum | 0x20 | 0x40 // TUN_F_USO4, TUN_F_USO6
)

// nodePath is the node that every TUN and TAP is opened through.
const nodePath = "/dev/net/tun"

// openWithHeader opens a device whose packets have headers, which package
// water cannot do. Whether it is persistent stays as it is.
func openWithHeader(config Config, multiQueue bool) (*os.File, error) {
	fd, err := unix.Open(nodePath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", nodePath, err)
	}
	request, err := unix.NewIfreq(config.Name)
	if err == nil {
		flags := uint16(unix.IFF_TUN)
		if config.Kind == KindTAP {
			flags = unix.IFF_TAP
		}
		if multiQueue { // as the device was made
			flags |= unix.IFF_MULTI_QUEUE
		}
		request.SetUint16(flags | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err == nil {
		err = setHeaderLen(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open %s with headers: %w", config.Name, err)
	}
	// Only what does not block by now is given to the poller.
	return os.NewFile(uintptr(fd), config.Name), nil
}

// setHeaderLen undoes what an earlier user of the device may have asked for.
func setHeaderLen(fd int) error {
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, VirtioHeaderLen); err != nil {
		return fmt.Errorf("set the length of headers: %w", err)
	}
	return nil
}

// setOffload asks for as much as wanted and the kernel has, and says how much
// that is. What the last user of a device asked for outlives its descriptor, so
// OffloadNone is to be set as well.
func setOffload(fd int, name string, wanted Offload) (Offload, error) {
	steps := []struct {
		offload Offload
		flags   int
	}{
		{OffloadSegmentation, tunSegmentation},
		{OffloadChecksum, tunChecksum},
		{min(wanted, OffloadHeader), 0},
	}
	var err error
	for _, step := range steps {
		if step.offload > wanted {
			continue
		}
		err = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, step.flags)
		if err == nil {
			return step.offload, nil
		}
		if !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	return OffloadNone, fmt.Errorf("set the offloads of %s: %w", name, err)
}

// hasHeader reports whether a header stands before each packet of a device.
func hasHeader(fd int) bool {
	request, err := deviceFlags(fd)
	return err == nil && request.Uint16()&unix.IFF_VNET_HDR != 0
}

// Offload is how much of the work on packets the device and the router leave
// to one another. With OffloadHeader or more, each packet of Read and Write has
// a header in front.
func (l *Link) Offload() Offload { return l.offload }

// clearOffload leaves a device that stays to its next user without offloads:
// one that knows nothing of headers would take packets without checksums.
func (l *Link) clearOffload() {
	if l.kind != KindPacket && l.offload >= OffloadChecksum && !l.handedOver {
		// It fails where the device is gone, and then nothing is left to do.
		_ = unix.IoctlSetInt(l.fd, unix.TUNSETOFFLOAD, 0)
	}
}
