package engine

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"umroute/bench/plan"
	"umroute/bench/topology"
	"umroute/mgm"
)

// kernel is the multicast forwarding of a network namespace. It lasts as long
// as its sockets.
type kernel struct {
	sockets [2]*os.File // IPv4, IPv6
}

// startKernel turns forwarding on in t's router.
func startKernel(t *topology.Topology) (Router, error) {
	if n := len(t.Receivers()); n > plan.KernelOifs {
		return nil, fmt.Errorf("%d receivers: the kernel forwards to %d at the most",
			n, plan.KernelOifs)
	}
	k := new(kernel)
	err := t.Router.Do(func() error {
		if err := forwardUnicast(); err != nil {
			return err
		}
		for family := range k.sockets {
			if err := k.open(family, len(t.Hosts)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		k.Close()
		return nil, err
	}
	for _, address := range t.Sender().Addresses {
		if err := k.Route(unusedFlows(address.Addr()), len(t.Receivers())); err != nil {
			k.Close()
			return nil, err
		}
	}
	return k, nil
}

// forwardUnicast turns unicast forwarding on in this thread's namespace.
func forwardUnicast() error {
	for _, path := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		if err := os.WriteFile("/proc/sys/net/"+path, []byte("1"), 0); err != nil {
			return fmt.Errorf("turn unicast forwarding on: %w", err)
		}
	}
	return nil
}

// open makes this thread's namespace a multicast router of one family, with
// the ports as its virtual interfaces.
func (k *kernel) open(family, ports int) error {
	api := families[family]
	fd, err := unix.Socket(api.domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, api.protocol)
	if err != nil {
		return fmt.Errorf("open a raw %s socket: %w", api.name, err)
	}
	// linux/mroute.h: the socket that began it owns the forwarding; its end is
	// the end of all interfaces and entries.
	k.sockets[family] = os.NewFile(uintptr(fd), api.name)
	err = unix.SetsockoptInt(fd, api.level, mrtInit, 1)
	if errors.Is(err, unix.ENOPROTOOPT) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("turn %s multicast forwarding on: %w (is the kernel built without?)",
			api.name, err)
	}
	if err != nil {
		return fmt.Errorf("turn %s multicast forwarding on: %w", api.name, err)
	}
	// Reports and misses come here, and nobody wants them.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil {
		return err
	}
	for i := range ports {
		device, err := net.InterfaceByName(topology.Port(i))
		if err != nil {
			return err
		}
		request := string(api.interfaceRequest(i, device.Index))
		if err := unix.SetsockoptString(fd, api.level, mrtAddVIF, request); err != nil {
			return fmt.Errorf("add %s to %s multicast forwarding: %w", device.Name, api.name, err)
		}
	}
	return nil
}

// Route implements Router.
func (k *kernel) Route(flows []mgm.Flow, oifs int) error {
	for _, f := range flows {
		family := 0
		if f.Group.Is6() {
			family = 1
		}
		api := families[family]
		request := string(api.entryRequest(f, oifs))
		// A socket that is closed has ended the forwarding too.
		fd := int(k.sockets[family].Fd())
		if err := unix.SetsockoptString(fd, api.level, mrtAddMFC, request); err != nil {
			return flowError(f, err)
		}
	}
	return nil
}

// Counters implements Router: the kernel counts no reasons by router.
func (k *kernel) Counters() (Counters, error) { return Counters{}, nil }

// Membership implements Router.
func (k *kernel) Membership() bool { return false }

// PID implements Router.
func (k *kernel) PID() int { return 0 }

// Close implements Router.
func (k *kernel) Close() error {
	var errs []error
	for _, socket := range k.sockets {
		if socket != nil {
			errs = append(errs, socket.Close())
		}
	}
	return errors.Join(errs...)
}
