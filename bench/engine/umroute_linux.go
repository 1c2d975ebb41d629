package engine

import (
	"fmt"
	"net/netip"
	"os"

	"umroute/mgm"
	"umroute/routing"
	"umroute/tun"
)

// umroute is package routing as the router has it, without a control plane.
type umroute struct{ forwarder *routing.Forwarder }

func newUmroute() umroute { return umroute{routing.New(routing.Config{})} }

// attach adds a device that is not read yet.
func (u umroute) attach(index uint32, device tun.Device) (*routing.Interface, error) {
	return u.forwarder.AddInterface(routing.InterfaceConfig{
		Index: index, Name: device.Name(), Device: device,
	})
}

func (u umroute) add(index uint32, device tun.Device, _ []netip.Prefix) error {
	i, err := u.attach(index, device)
	if err != nil {
		return err
	}
	go runToEnd(i.Run)
	return nil
}

// runToEnd ends a router that can no longer read: its parent sees that.
func runToEnd(run func() error) {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (u umroute) route(f mgm.Flow, oifs int) error {
	return u.forwarder.Plane(f.Group.Is6()).Set(entry(f, oifs))
}

// entry lets f go from port 0 to as many of the others.
func entry(f mgm.Flow, oifs int) mgm.MFE {
	m := mgm.MFE{Flow: f, In: mgm.Iface{Index: 1}}
	for i := range oifs {
		m.OIFs = append(m.OIFs, mgm.Iface{Index: uint32(i + 2)})
	}
	return m
}

func (u umroute) dropped() map[string]uint64 { return u.forwarder.Stats().Dropped }
