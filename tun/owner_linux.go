package tun

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// aliasOf marks a device as its router's: it is the device's ifalias, which
// everybody can read and "ip link" prints.
func aliasOf(owner string) string { return aliasPrefix + owner }

// isLeft reports whether an existing device is one that a router of this name
// made and could not remove, since it was killed.
func isLeft(existing *netlink.Tuntap, owner string) bool {
	return owner != "" && !existing.NonPersist && existing.Alias == aliasOf(owner)
}

// mark writes on a new device whose it is. It comes before the device is made
// persistent, so that every device that a crash leaves can be told from others.
func (d *device) mark(owner string) error {
	link, err := findLink(d.name)
	if err != nil {
		return fmt.Errorf("find the device: %w", err)
	}
	if err := netlink.LinkSetAlias(link, aliasOf(owner)); err != nil {
		return fmt.Errorf("set the alias %q: %w", aliasOf(owner), err)
	}
	// While no router has it open, the kernel would give a device without an
	// owner to any user of its namespace who may open the TUN node.
	// EINVAL: this user has no number in that user namespace.
	err = unix.IoctlSetInt(int(d.file.Fd()), unix.TUNSETOWNER, os.Geteuid())
	if err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("set the owner: %w", err)
	}
	return nil
}

// outlive keeps a device of ours beyond its descriptor. Whoever holds the
// descriptor may do so, and the holder that goes on to use it does: an opening
// that fails before leaves nothing behind.
func (d *device) outlive() error {
	if !d.ours {
		return nil
	}
	if err := unix.IoctlSetInt(int(d.file.Fd()), unix.TUNSETPERSIST, 1); err != nil {
		return fmt.Errorf("make it persistent: %w", err)
	}
	return nil
}

// release lets a device of ours disappear with its descriptor.
func (l *Link) release() error {
	if !l.ours.Load() {
		return nil
	}
	err := unix.IoctlSetInt(l.fd, unix.TUNSETPERSIST, 0)
	if err == nil || errors.Is(err, unix.EBADFD) {
		return nil // EBADFD: somebody has deleted it already
	}
	return fmt.Errorf("%s %s: make it disappear: %w", l.kind, l.name, err)
}
