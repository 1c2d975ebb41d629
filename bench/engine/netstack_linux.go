package engine

import (
	"net/netip"

	"umroute/mgm"
	"umroute/stack/multicast"
	"umroute/tun"
)

// netstack is gVisor's own multicast forwarding.
type netstack struct{ router *multicast.Router }

func newNetstack() (netstack, error) {
	r, err := multicast.New()
	return netstack{r}, err
}

func (n netstack) add(index uint32, device tun.Device, addresses []netip.Prefix) error {
	if err := n.router.Add(index, device, addresses); err != nil {
		return err
	}
	go runToEnd(func() error { return n.router.Run(index) })
	return nil
}

func (n netstack) route(f mgm.Flow, oifs int) error {
	var out []uint32
	for i := range oifs {
		out = append(out, uint32(i+2))
	}
	return n.router.Route(f.Source, f.Group, 1, out)
}

func (n netstack) dropped() map[string]uint64 { return n.router.Dropped() }
