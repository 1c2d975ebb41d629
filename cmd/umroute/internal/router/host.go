package router

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"umroute/cmd/umroute/internal/control"
	"umroute/tun"
	"umroute/tun/host"
)

// openHost opens a device of the host's own network.
func (r *Router) openHost(i *iface) error {
	device, err := host.Open(host.Config{
		Device: i.config.Device,
		Ports:  i.config.Host.Ports,
		Pairs:  i.config.Host.Pairs,
		Logger: r.log.With("if", i.config.Name),
	})
	if err != nil {
		return err
	}
	i.device, i.host, i.joins = device, device, device.Member()
	if err := i.joinConfigured(); err != nil {
		device.Close()
		return err
	}
	return nil
}

// joinConfigured joins what the configuration names.
func (i *iface) joinConfigured() error {
	sources := make(map[netip.Addr][]netip.Addr)
	for _, each := range i.config.Host.Join {
		list := sources[each.Group]
		if each.Source.IsValid() {
			list = append(list, each.Source)
		}
		sources[each.Group] = list
	}
	for _, each := range i.config.Host.Join {
		if !each.Source.IsValid() {
			sources[each.Group] = nil // any source
		}
	}
	var errs []error
	configured := i.host.Member()
	for group, list := range sources {
		errs = append(errs, configured.SetFilter(group, len(list) == 0, list))
	}
	return errors.Join(errs...)
}

// hostAddressesChanged takes over the prefixes that lie on the host's device.
func (r *Router) hostAddressesChanged(i *iface) {
	if err := r.rib.SetConnected(i.index, i.subnets()); err != nil {
		r.log.Error("addresses of the host not in the RIB", "if", i.config.Name, "err", err)
	}
}

// takeHost makes the client of IGMP or MLD take an interface to the host's network,
// so that what comes in there goes to the listeners elsewhere. No machine runs on
// it: the host's kernel speaks IGMP and MLD there. It runs on the loop.
func (f *family) takeHost(i *iface) error {
	if err := f.client.TakeInterface(i.key()); err != nil {
		return fmt.Errorf("take interface %s for %s: %w", i.config.Name, f.name, err)
	}
	return nil
}

// punt takes what is not for the packet path.
func (r *Router) punt(index uint32, frame []byte) {
	if i := r.byIndex(index); i != nil {
		r.relays.offer(i, frame)
		if i.host != nil {
			return // which the host's kernel has seen to
		}
	}
	r.stack.Deliver(index, frame)
}

// describeHost adds what is special of an interface to the host's network.
func (i *iface) describeHost(document *control.Interface) {
	if i.host == nil {
		return
	}
	for _, address := range i.host.Addresses() {
		document.Addresses = append(document.Addresses, address.String())
	}
	for reason, n := range i.host.Drops() {
		document.Drops[reason] += n
	}
}

// eventful is a device that tells what becomes of it.
type eventful interface {
	Events() <-chan tun.Event
}

// follow applies what happens to an interface's device.
func (r *Router) follow(ctx context.Context, i *iface) {
	device, ok := i.device.(eventful)
	if !ok {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-device.Events():
			if !open {
				return
			}
			r.apply(ctx, i, event)
		}
	}
}
