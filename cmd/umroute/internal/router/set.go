package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"umroute/cmd/umroute/internal/config"
	"umroute/routing"
	"umroute/stack"
)

// openConfigured opens an interface of the configuration before the router
// serves.
func (r *Router) openConfigured(settings config.Interface) error {
	i, err := r.open(settings, configured)
	if err != nil {
		return err
	}
	return r.admit(i)
}

// open opens an interface's device. The router does not know it yet.
func (r *Router) open(settings config.Interface, from origin) (*iface, error) {
	i := &iface{config: settings, origin: from, state: &state{up: true}}
	if err := r.openDevice(i); err != nil {
		return nil, fmt.Errorf("interface %s: %w", settings.Name, err)
	}
	return i, nil
}

// add takes an interface whose device is open into a router that serves. On an
// error the device is closed, and nothing has changed.
func (r *Router) add(ctx context.Context, i *iface) error {
	if err := r.admit(i); err != nil {
		return err
	}
	var err error
	if !r.loop.run(ctx, func(now time.Time) { err = r.start(now, i) }) {
		err = errStopped
	}
	if err != nil {
		r.remove(ctx, i)
	}
	return err
}

// admit makes the stack, the forwarder and the RIB know an interface, and gives
// it its index. On an error its device is closed.
func (r *Router) admit(i *iface) error {
	i.index = r.registry.reserve()
	err := r.connect(i)
	if err == nil && !r.registry.add(i) {
		err = errStopped
	}
	if err != nil {
		r.disconnect(i)
		r.closeDevice(i)
		return fmt.Errorf("interface %s: %w", i.config.Name, err)
	}
	r.log.Info("interface opened", "if", i.config.Name, "device", i.device.Name(),
		"netns", i.config.Netns.String(), "io", i.device.IO(), "mtu", i.device.MTU())
	return nil
}

func (r *Router) connect(i *iface) (err error) {
	if err = r.connectStack(i); err != nil {
		return err
	}
	if i.port, err = r.forwarder.AddInterface(i.forwarding()); err != nil {
		return err
	}
	if err := r.setSourceValidation(i); err != nil {
		return err
	}
	return r.rib.SetConnected(i.index, i.subnets())
}

// connectStack makes the stack know an interface, unless it is one to the host's
// network: there the host's kernel is the stack.
func (r *Router) connectStack(i *iface) error {
	if i.host != nil {
		return nil
	}
	return r.stack.AddInterface(stack.InterfaceConfig{
		Index: i.index, Name: i.config.Name, Device: i.device,
		HardwareAddr: i.hardwareAddr(), MTU: i.device.MTU(), Addresses: i.config.Addresses,
	})
}

// setAddresses makes the stack know the addresses of an interface, as connectStack
// has it.
func (r *Router) setAddresses(i *iface) error {
	if i.host != nil {
		return nil
	}
	return r.stack.SetAddresses(i.index, i.config.Addresses)
}

// forwarding is the interface as the forwarder has it.
func (i *iface) forwarding() routing.InterfaceConfig {
	result := routing.InterfaceConfig{
		Index: i.index, Name: i.config.Name, Device: i.device,
		HardwareAddr: i.hardwareAddr(), MTU: i.device.MTU(),
		TTLThreshold: i.config.TTLThreshold, Boundary: i.config.Boundary,
		Domain: i.config.Domain, Separate: !i.config.Coalesce, FlowLimit: i.config.MaxFlows,
	}
	if punted := i.state.punted.Load(); punted != nil {
		result.Punted = *punted
	}
	return result
}

// disconnect undoes connect, as far as that has come.
func (r *Router) disconnect(i *iface) {
	r.rib.RemoveInterface(i.index)
	// Both fail only where they do not know the interface.
	_ = r.forwarder.RemoveInterface(i.index)
	_ = r.stack.RemoveInterface(i.index)
}

// remove takes an interface out of a router that serves, and closes its device.
// When it returns, nothing of the interface is left.
func (r *Router) remove(ctx context.Context, i *iface) {
	if !r.registry.isGone(i) { // else that has been done
		r.loop.run(ctx, func(now time.Time) { r.stop(now, i) })
	}
	r.disconnect(i)
	r.closeDevice(i)
	if i.state.served != nil {
		<-i.state.served // or its index could not be used again
	}
	r.registry.remove(i.index)
	r.log.Info("interface removed", "if", i.config.Name)
}

// dismiss removes an attached interface whose device is gone.
func (r *Router) dismiss(ctx context.Context, i *iface) {
	r.changing.Lock()
	defer r.changing.Unlock()
	if current := r.byIndex(i.index); current != nil && current.state == i.state {
		r.remove(ctx, current)
	}
}

// modify gives an interface settings that its device is not concerned with. It
// goes on forwarding meanwhile.
func (r *Router) modify(ctx context.Context, i *iface, settings config.Interface) error {
	next := *i
	next.config = settings
	err := errors.Join(
		r.setAddresses(&next),
		r.setSourceValidation(&next),
		r.forwarder.UpdateInterface(next.forwarding()),
		r.rib.SetConnected(i.index, next.subnets()),
	)
	r.registry.replace(&next)
	if !slices.Equal(i.config.Boundary, settings.Boundary) {
		for _, f := range r.families() {
			f.manager.BoundaryChanged(i.key())
		}
	}
	var restartErr error
	if !r.loop.run(ctx, func(now time.Time) { restartErr = r.restart(now, i, &next) }) {
		restartErr = errStopped
	}
	if err := errors.Join(err, restartErr); err != nil {
		return fmt.Errorf("interface %s: %w", settings.Name, err)
	}
	return nil
}

// restart takes over what has changed of an interface's protocols, IGMP and MLD.
// What they know stays, where the addresses do. It runs on the loop.
func (r *Router) restart(now time.Time, from, to *iface) error {
	var errs []error
	if !slices.Equal(from.config.Addresses, to.config.Addresses) || r.changesFamilies(from, to) {
		r.removeFromProtocols(now, from)
		r.addToProtocols(now, to)
	}
	for _, f := range r.families() {
		before, after := r.routerSide(f, from), r.routerSide(f, to)
		switch address := r.queryAddress(f, to); {
		case !after.Enabled && before.Enabled:
			f.removeInterface(now, from, r.log)
		case after.Enabled && !before.Enabled:
			errs = append(errs, f.addInterface(now, to, after, address))
		case after.Enabled:
			errs = append(errs,
				f.membership.UpdateInterface(now, to.membershipConfig(after, address)))
		}
	}
	return errors.Join(errs...)
}

// changesFamilies says whether IGMP or MLD comes, goes or changes its version:
// what a proxy does on an interface follows that.
func (r *Router) changesFamilies(from, to *iface) bool {
	return slices.ContainsFunc(r.families(), func(f *family) bool {
		before, after := f.settings(from.config), f.settings(to.config)
		return before.Enabled != after.Enabled || before.Version != after.Version
	})
}
