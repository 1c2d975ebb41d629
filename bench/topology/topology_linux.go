package topology

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"umroute/bench/plan"
	"umroute/tun/netns"
)

// Device is the name of the device that each host has.
const Device = "mc0"

// QueueLen is how many packets wait for the router on a link: more than a
// closed loop has under way.
const QueueLen = 2048

// Host is a sender or receiver.
type Host struct {
	Namespace *netns.Namespace
	Addresses []netip.Prefix // IPv4, IPv6
	Gateways  []netip.Prefix // the router's, likewise
}

// Topology is one sender, one router, and receivers. Ports of the router are
// numbered from 0, which leads to the sender.
type Topology struct {
	Hosts  []Host           // the sender first
	Router *netns.Namespace // nil where the router is a process
}

// New makes the hosts. They have no links yet.
func New(receivers int) (*Topology, error) {
	if receivers < 1 || receivers > plan.MaxOifs {
		return nil, fmt.Errorf("%d receivers: not from 1 to %d", receivers, plan.MaxOifs)
	}
	t := new(Topology)
	for i := range receivers + 1 {
		ns, err := netns.New()
		if err != nil {
			t.Close()
			return nil, err
		}
		h := Host{Namespace: ns}
		for _, end := range []struct {
			of     *[]netip.Prefix
			number byte
		}{{&h.Gateways, 1}, {&h.Addresses, 2}} {
			*end.of = []netip.Prefix{
				netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 200, byte(i), end.number}), 24),
				netip.PrefixFrom(netip.AddrFrom16([16]byte{
					0: 0xfd, 3: 0xc8, 5: byte(i), 15: end.number}), 64),
			}
		}
		t.Hosts = append(t.Hosts, h)
	}
	return t, nil
}

// Sender is the host that sends.
func (t *Topology) Sender() Host { return t.Hosts[0] }

// Receivers are the hosts that receive.
func (t *Topology) Receivers() []Host { return t.Hosts[1:] }

// Address is the host's address of one family.
func (h Host) Address(v6 bool) netip.Addr {
	if v6 {
		return h.Addresses[1].Addr()
	}
	return h.Addresses[0].Addr()
}

// Refused is how many packets the device of a host has dropped that the host
// wanted to send: with a TUN, those for which the router left no room.
func (h Host) Refused() (n uint64, err error) {
	err = h.Namespace.Do(func() error {
		link, err := netlink.LinkByName(Device)
		if err != nil {
			return fmt.Errorf("find %s: %w", Device, err)
		}
		if statistics := link.Attrs().Statistics; statistics != nil {
			n = statistics.TxDropped
		}
		return nil
	})
	return n, err
}

// Close lets go of the namespaces, and with them of all devices that nobody
// else has open.
func (t *Topology) Close() {
	for _, h := range t.Hosts {
		h.Namespace.Close()
	}
	if t.Router != nil {
		t.Router.Close()
	}
}
