package tun

import (
	"fmt"
	"os"

	"github.com/songgao/water"
	"golang.org/x/sys/unix"

	"umroute/tun/netns"
)

// FromDescriptor makes a link of an open TUN or TAP descriptor that this
// process inherited, and takes it over: the link's Close closes it. On an error
// it stays open. The device is configured by whoever made it; of config only
// IO, MTU and Logger count, and MTU only where the kernel does not tell.
//
// It needs no privilege. With CAP_NET_ADMIN and CAP_SYS_ADMIN where the device
// lives, the link also knows the device's MTU and sees its changes.
func FromDescriptor(fd int, config Config) (*Link, error) {
	d, err := adopt(fd, config)
	if err != nil {
		return nil, err
	}
	d.observe()
	return newLink(d, config)
}

// adopt checks a descriptor and prepares it for this package.
func adopt(fd int, config Config) (device, error) {
	name, kind, err := identify(fd)
	if err != nil {
		return device{}, err
	}
	if _, err := ioMode(config.IO); err != nil {
		return device{}, fmt.Errorf("descriptor %d (%s): %w", fd, name, err)
	}
	if err := clearOffloads(fd, name); err != nil {
		return device{}, err
	}
	unix.CloseOnExec(fd)
	// The poller takes only what does not block when the os.File is made.
	if err := unix.SetNonblock(fd, true); err != nil {
		return device{}, fmt.Errorf("descriptor %d (%s): make non-blocking: %w", fd, name, err)
	}
	mtu := config.MTU
	if mtu == 0 {
		mtu = DefaultMTU
	}
	file := os.NewFile(uintptr(fd), name)
	return device{
		name: name, kind: kind, mtu: mtu, up: true, rpf: -1,
		file: file, water: &water.Interface{ReadWriteCloser: file},
	}, nil
}

// observe learns from the device's namespace what it can, which is nothing for
// a process without rights there.
func (d *device) observe() {
	ns, err := unix.IoctlRetInt(int(d.file.Fd()), unix.TUNGETDEVNETNS)
	if err != nil {
		return
	}
	defer unix.Close(ns)
	// An error leaves the device as it was: usable, and not watched.
	_ = netns.Do(fmt.Sprintf("/proc/self/fd/%d", ns), func() error {
		subscription, err := subscribe()
		if err != nil {
			return err
		}
		if err := d.inspect(); err != nil {
			subscription.Close()
			return err
		}
		d.netlink = subscription
		return nil
	})
}
