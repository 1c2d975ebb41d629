package tun

import (
	"errors"
	"fmt"
	"os"

	"github.com/songgao/water"
	"golang.org/x/sys/unix"
)

// FromDescriptor makes a link of an open descriptor of a TUN or TAP, or of a
// packet socket that is bound to a device and has PACKET_VNET_HDR, which this
// process inherited, and takes it over: the link's Close closes it. On an error
// it stays open. The device is configured by whoever made it; of config only
// IO, Offload, MTU and Logger count, and MTU only where the kernel does not
// tell. There are offloads only if it was opened with IFF_VNET_HDR, and then at
// least OffloadHeader has to be asked for.
//
// It needs no privilege. With CAP_NET_ADMIN and CAP_SYS_ADMIN where the device
// lives, the link also knows the device's MTU and sees its changes. Routes that
// the device loses when it is set down are not put back.
func FromDescriptor(fd int, config Config) (*Link, error) {
	d, err := adopt(fd, config)
	if err != nil {
		return nil, err
	}
	if err := d.observe(fd); err != nil {
		return nil, fmt.Errorf("descriptor %d (%s): %w", fd, d.name, err)
	}
	d.take(fd)
	return newLink(d, config)
}

// adopt checks a descriptor and prepares it for this package. take is what
// remains to be done once nothing can fail.
func adopt(fd int, config Config) (device, error) {
	d, err := examine(fd, config)
	if err != nil {
		return device{}, err
	}
	unix.CloseOnExec(fd)
	// The poller takes only what does not block when the os.File is made.
	if err := unix.SetNonblock(fd, true); err != nil {
		return device{}, fmt.Errorf("descriptor %d (%s): make non-blocking: %w", fd, d.name, err)
	}
	return d, nil
}

// examine finds out what a descriptor is, and sets offloads.
func examine(fd int, config Config) (device, error) {
	_, err := ioMode(config.IO)
	if address, ok := packetAddress(fd); ok && err == nil {
		return adoptPacket(fd, address)
	}
	name, kind, identifyErr := identify(fd)
	if identifyErr != nil {
		return device{}, identifyErr
	}
	if err != nil {
		return device{}, fmt.Errorf("descriptor %d (%s): %w", fd, name, err)
	}
	offload, err := adoptOffload(fd, name, config.Offload)
	if err != nil {
		return device{}, err
	}
	mtu := config.MTU
	if mtu == 0 {
		mtu = DefaultMTU
	}
	return device{
		name: name, kind: kind, mtu: mtu, up: true, rpf: -1, offload: offload,
	}, nil
}

// adoptOffload asks for what a descriptor can have. Whether there are headers
// was settled when it was opened.
func adoptOffload(fd int, name string, wanted Offload) (Offload, error) {
	switch {
	case !hasHeader(fd):
		return setOffload(fd, name, OffloadNone)
	case wanted == OffloadNone:
		return OffloadNone, fmt.Errorf("descriptor %d (%s): opened with IFF_VNET_HDR, which "+
			"puts a header before each packet: open it without, or ask for offloads", fd, name)
	}
	if err := setHeaderLen(fd); err != nil {
		return OffloadNone, fmt.Errorf("descriptor %d (%s): %w", fd, name, err)
	}
	return setOffload(fd, name, wanted)
}

// take makes the descriptor the device's own.
func (d *device) take(fd int) {
	d.file = os.NewFile(uintptr(fd), d.name)
	d.water = &water.Interface{ReadWriteCloser: d.file}
}

// errPacketInfo is for descriptors of which TUNGETIFF does not tell: the bit of
// IFF_NO_PI there says instead that no filter is attached.
var errPacketInfo = errors.New("opened without IFF_NO_PI, which puts four octets " +
	"before each packet: open it with")

// observe learns from the device's namespace what it can, which is nothing for
// a process without rights there.
func (d *device) observe(fd int) error {
	err := inNetnsOf(fd, d.follow)
	if errors.Is(err, errPacketInfo) {
		return err
	}
	return nil // the device is usable, and not watched
}

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
	case flags&unix.IFF_TAP != 0:
		kind = KindTAP
	case flags&unix.IFF_TUN != 0:
		kind = KindTUN
	default:
		return "", 0, fmt.Errorf("descriptor %d (%s): neither TUN nor TAP", fd, name)
	}
	return name, kind, nil
}
