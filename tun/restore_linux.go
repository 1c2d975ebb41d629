package tun

import (
	"fmt"

	"golang.org/x/sys/unix"

	"umroute/tun/netns"
)

// restore puts back what the kernel has dropped when the device went down: its
// routes, and its IPv6 addresses (net.ipv6.conf.*.keep_addr_on_down is off).
// Memberships have stayed.
func (w *watch) restore() {
	if w.link.kind == KindPacket {
		return // the router gave it nothing
	}
	if !w.configured {
		w.logger.Info("device was down; its routes are left to whoever configured it",
			"device", w.link.name)
		return
	}
	if len(w.config.PeerAddresses) == 0 {
		return // nor are there routes then
	}
	err := inNetnsOf(w.link.fd, func() error { return reconfigure(w.link.fd, w.config) })
	if err != nil {
		w.logger.Warn("device was down and does not get its addresses and routes back",
			"device", w.link.name, "err", err)
	}
}

// reconfigure adds a device's addresses and routes that are missing, on a
// thread that is in its namespace. What else was changed while the device was
// down was meant.
func reconfigure(fd int, config Config) error {
	request, err := deviceFlags(fd)
	if err != nil {
		return err
	}
	// The name may be a new one, and an index would be another's after a move.
	link, err := findLink(request.Name())
	if err != nil {
		return fmt.Errorf("find the device: %w", err)
	}
	if link.Attrs().RawFlags&unix.IFF_UP == 0 {
		return nil // down again: the next time
	}
	if err := addAddresses(link, config.PeerAddresses); err != nil {
		return err
	}
	if config.PeerRoutes {
		if err := addRoutes(link, config); err != nil {
			return err
		}
	}
	awaitLocal(link, config)
	return nil
}

// inNetnsOf runs f in the namespace that a descriptor's device is in now. It
// needs CAP_NET_ADMIN there, and CAP_SYS_ADMIN unless it is this process's own.
func inNetnsOf(fd int, f func() error) error {
	ask := uint(unix.TUNGETDEVNETNS)
	if _, ok := packetAddress(fd); ok {
		ask = unix.SIOCGSKNS
	}
	ns, err := unix.IoctlRetInt(fd, ask)
	if err != nil {
		return fmt.Errorf("open its network namespace: %w", err)
	}
	defer unix.Close(ns)
	return netns.Do(fmt.Sprintf("/proc/self/fd/%d", ns), f)
}
