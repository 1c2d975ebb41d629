package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// filterSources is how many sources the filter of one socket takes:
// net.ipv4.igmp_max_msf, which is 10 unless somebody changes it.
const filterSources = 10

// SetReceived has one port of a group received from all sources, or ends that. It
// does not depend on what the configuration names, nor on SetFilter.
func (d *Device) SetReceived(group netip.AddrPort, on bool) error {
	d.joining.Lock()
	defer d.joining.Unlock()
	if d.closed.Load() {
		return fmt.Errorf("join %s on %s: %w", group, d.name, os.ErrClosed)
	}
	if on {
		d.fixed[group] = true
	} else {
		delete(d.fixed, group)
	}
	return d.apply(group)
}

// Received are the ports of a group that are received, in order.
func (d *Device) Received(group netip.Addr) (ports []uint16) {
	d.receiving.RLock()
	defer d.receiving.RUnlock()
	for each := range d.received {
		if each.Addr() == group {
			ports = append(ports, each.Port())
		}
	}
	slices.Sort(ports)
	return ports
}

// wanted is what is to be received of a port of a group.
func (d *Device) wanted(group netip.AddrPort) filter {
	if d.fixed[group] {
		return filter{exclude: true}
	}
	if slices.Contains(d.config.ports(group.Addr()), group.Port()) {
		return d.filter(group.Addr())
	}
	return filter{}
}

// apply makes the sockets of a port of a group what they are to be. The caller has
// locked joining.
func (d *Device) apply(group netip.AddrPort) error {
	if d.Index() == 0 {
		return nil // all is joined when the device comes back
	}
	var err error
	switch f := d.wanted(group); {
	case f.none():
		d.reduce(group, 0)
	case f.exclude:
		// RFC 3376 section 3.2 lets a system receive more than was asked for.
		sources := f.sources[:min(len(f.sources), filterSources)]
		if err = d.setSocket(group, 0, true, sources); err == nil {
			d.reduce(group, 1)
		}
	default:
		err = d.include(group, f.sources)
	}
	if err != nil {
		return fmt.Errorf("receive %s on %s: %w", group, d.name, err)
	}
	return nil
}

// include spreads sources over as many sockets as it takes. Those that have a
// socket keep it, so that nothing is lost of them.
func (d *Device) include(group netip.AddrPort, sources []netip.Addr) error {
	var lists [][]netip.Addr
	kept := make(map[netip.Addr]bool)
	for _, r := range d.subscriptions[group] {
		var list []netip.Addr
		for _, source := range r.sources {
			if slices.Contains(sources, source) && !kept[source] && !r.exclude {
				kept[source] = true
				list = append(list, source)
			}
		}
		lists = append(lists, list)
	}
	for _, source := range sources {
		if kept[source] {
			continue
		}
		kept[source] = true
		place := slices.IndexFunc(lists, func(list []netip.Addr) bool {
			return len(list) < filterSources
		})
		if place < 0 {
			place = len(lists)
			lists = append(lists, nil)
		}
		lists[place] = append(lists[place], source)
	}
	lists = slices.DeleteFunc(lists, func(list []netip.Addr) bool { return len(list) == 0 })
	for i, list := range lists {
		if err := d.setSocket(group, i, false, list); err != nil {
			return err
		}
	}
	d.reduce(group, len(lists))
	return nil
}

// setSocket gives the filter to the socket at a place among those of a group, and
// opens it where there is none.
func (d *Device) setSocket(group netip.AddrPort, place int, exclude bool,
	sources []netip.Addr) error {
	if all := d.subscriptions[group]; place < len(all) {
		r := all[place]
		if r.exclude == exclude && slices.Equal(r.sources, sources) {
			return nil
		}
		if err := setSources(r.fd, d.Index(), group.Addr(), exclude, sources); err != nil {
			return err
		}
		r.exclude, r.sources = exclude, sources
		return nil
	}
	fd, err := openReceiver(group, d.Index())
	if err != nil {
		return err
	}
	r := &receiver{fd: fd, group: group, exclude: exclude, sources: sources}
	if err = d.join(r); err == nil {
		err = d.listen(r)
	}
	if err != nil {
		unix.Close(fd)
	}
	return err
}

// join joins the group of a new socket. A join of one source first keeps the
// kernel from asking for all of them in between.
func (d *Device) join(r *receiver) error {
	group := r.group.Addr()
	var first netip.Addr
	if !r.exclude {
		first = r.sources[0]
	}
	err := joinGroup(r.fd, d.Index(), group, first)
	if err == nil && (len(r.sources) > 1 || r.exclude && len(r.sources) > 0) {
		err = setSources(r.fd, d.Index(), group, r.exclude, r.sources)
	}
	return err
}

// listen has Read take what a socket receives.
func (d *Device) listen(r *receiver) error {
	d.receiving.Lock()
	defer d.receiving.Unlock()
	if d.closed.Load() {
		return os.ErrClosed
	}
	err := unix.EpollCtl(int(d.poll.Fd()), unix.EPOLL_CTL_ADD, r.fd,
		&unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(r.fd)})
	if err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	d.receivers[int32(r.fd)] = r
	d.received[r.group]++
	d.generation.Add(1)
	d.subscriptions[r.group] = append(d.subscriptions[r.group], r)
	return nil
}

// reduce closes all but the first n sockets of a port of a group.
func (d *Device) reduce(group netip.AddrPort, n int) {
	all := d.subscriptions[group]
	if len(all) <= n {
		return
	}
	d.receiving.Lock()
	defer d.receiving.Unlock()
	for _, r := range all[n:] {
		unix.Close(r.fd) // which leaves the group, and the poller
		delete(d.receivers, int32(r.fd))
	}
	d.received[group] = n
	d.subscriptions[group] = all[:n]
	if n == 0 {
		delete(d.received, group)
		delete(d.subscriptions, group)
	}
	d.generation.Add(1)
}

// closeReceivers closes all of them. What is wanted stays. The caller has locked
// joining.
func (d *Device) closeReceivers() {
	for group := range d.subscriptions {
		d.reduce(group, 0)
	}
}

// rejoin opens everything anew, after the device came back.
func (d *Device) rejoin() error {
	d.joining.Lock()
	defer d.joining.Unlock()
	d.closeReceivers()
	d.sending.Lock()
	d.closeSenders()
	d.sending.Unlock()
	if d.closed.Load() {
		return nil
	}
	var errs []error
	for group := range d.joined() {
		for _, port := range d.config.ports(group) {
			errs = append(errs, d.apply(netip.AddrPortFrom(group, port)))
		}
	}
	for group := range d.fixed {
		errs = append(errs, d.apply(group))
	}
	return errors.Join(errs...)
}
