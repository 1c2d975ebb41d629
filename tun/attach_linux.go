package tun

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// attach opens the device, made or found. One that it makes for an owner is
// marked as the owner's.
func (d *device) attach(config Config) error {
	request := water.Config{DeviceType: water.TUN}
	if config.Kind == KindTAP {
		request.DeviceType = water.TAP
	}
	request.Name = config.Name
	existing, err := existingDevice(config)
	if err != nil {
		return err
	}
	shared := false
	if existing != nil {
		// water sets the persist flag on every device, one way or the other,
		// and the kernel wants the queue flag that the device was made with.
		request.Persist = !existing.NonPersist
		request.MultiQueue = existing.Flags&netlink.TUNTAP_MULTI_QUEUE != 0
		shared = existing.Queues+existing.DisabledQueues > 0
		d.ours = isLeft(existing, config.Owner)
	}
	if err := d.open(config, request, shared); err != nil {
		return attachError(err)
	}
	if existing == nil && config.Owner != "" {
		d.ours = true
		err = d.mark(config.Owner)
	}
	if err != nil {
		d.file.Close()
	}
	return err
}

// open opens the device with headers, if they are wanted and can be had, and
// else with package water. shared says that others have queues of the device.
func (d *device) open(config Config, request water.Config, shared bool) (err error) {
	// Whether there are headers is one for all queues of a device.
	if config.Offload != OffloadNone && !shared {
		if err = d.openWithHeader(config, request.MultiQueue); err == nil {
			return nil
		}
	}
	iface, err := openWater(request)
	if err != nil {
		return err
	}
	file, ok := iface.ReadWriteCloser.(*os.File)
	if !ok {
		iface.Close()
		return errors.New("package water gave no file")
	}
	d.water, d.file, d.name = iface, file, iface.Name()
	if d.offload, err = setOffload(int(file.Fd()), d.name, OffloadNone); err != nil {
		file.Close()
	}
	return err
}

// openWithHeader is open for a device with headers.
func (d *device) openWithHeader(config Config, multiQueue bool) error {
	file, err := openWithHeader(config, multiQueue)
	if err != nil {
		return err
	}
	if d.offload, err = setOffload(int(file.Fd()), config.Name, config.Offload); err != nil {
		file.Close()
		return err
	}
	d.file, d.name = file, config.Name
	d.water = &water.Interface{ReadWriteCloser: file}
	return nil
}

// existingDevice is the TUN or TAP of that name, nil without. A device of
// another kind is an error.
func existingDevice(config Config) (*netlink.Tuntap, error) {
	link, err := findLink(config.Name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for an existing device: %w", err)
	}
	existing, ok := link.(*netlink.Tuntap)
	if !ok {
		return nil, fmt.Errorf("a device of this name exists and is a %s", link.Type())
	}
	kind := KindTUN
	if existing.Mode == netlink.TUNTAP_MODE_TAP {
		kind = KindTAP
	}
	if kind != config.Kind {
		return nil, fmt.Errorf("a device of this name exists and is a %s: "+
			"open it as one, or remove it there with \"ip link del %s\"", kind, config.Name)
	}
	return existing, nil
}

// waterMu lets one openWater run at a time, so that what closeLeaked finds
// belongs to it.
var waterMu sync.Mutex

// openWater opens a device that child processes do not inherit.
func openWater(request water.Config) (*water.Interface, error) {
	waterMu.Lock()
	defer waterMu.Unlock()
	// water does not set close-on-exec: no child may start in between. A child
	// that inherits a device would keep it alive after the router has gone.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	iface, err := water.New(request)
	if err != nil {
		closeLeaked()
		return nil, err
	}
	if file, ok := iface.ReadWriteCloser.(*os.File); ok {
		unix.CloseOnExec(int(file.Fd()))
	}
	return iface, nil
}

// attachError adds what to do to what the kernel says. The same number can come
// from opening the node and from TUNSETIFF; each has one of its own that counts.
func attachError(err error) error {
	const node = nodePath
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%s: %w (is the tun driver loaded, and the node there?)", node, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%s: %w (its mode must let this user read and write it)", node, err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w (needs CAP_NET_ADMIN in that namespace, or a persistent device "+
			"that this user owns)", err)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%w (in use by another process)", err)
	}
	return err
}

// closeLeaked closes the descriptor that water leaves open when the kernel
// refuses a device: a TUN without a device that children would inherit. No
// other code can want such a one.
func closeLeaked() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, entry := range entries {
		var fd int
		if _, err := fmt.Sscan(entry.Name(), &fd); err != nil || !isLeaked(fd) {
			continue
		}
		_ = unix.Close(fd)
	}
}

// isLeaked looks at the descriptor alone: its path may be any.
func isLeaked(fd int) bool {
	var stat unix.Stat_t
	if unix.Fstat(fd, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFCHR {
		return false
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC != 0 {
		return false
	}
	// Only a TUN answers so: EBADFD, the descriptor is good and has no device.
	return isGone(fd)
}
