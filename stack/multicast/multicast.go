// Package multicast is gVisor's own multicast forwarding, as gVisor has it,
// between devices of package tun. It is here to be measured: umroute forwards
// with package routing, which knows what this doesn't ((*,G), entries without
// outputs, counters) and is faster.
package multicast

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	netstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"umroute/tun"
)

// families are those that are forwarded.
var families = []tcpip.NetworkProtocolNumber{ipv4.ProtocolNumber, ipv6.ProtocolNumber}

// Router forwards by installed routes, and unicast between the subnets of its
// interfaces. Its methods are safe for concurrent use.
type Router struct {
	net     *netstack.Stack
	unknown atomic.Uint64

	mu     sync.Mutex
	routes []tcpip.Route
	links  map[uint32]*link
}

// New returns a router without interfaces.
func New() (*Router, error) {
	r := &Router{links: make(map[uint32]*link), net: netstack.New(netstack.Options{
		NetworkProtocols: []netstack.NetworkProtocolFactory{
			ipv4.NewProtocol,
			ipv6.NewProtocolWithOptions(ipv6.Options{
				NDPConfigs: ipv6.NDPConfigurations{HandleRAs: ipv6.HandlingRAsDisabled},
			}),
		},
	})}
	for _, family := range families {
		if err := r.net.SetForwardingDefaultAndAllNICs(family, true); err != nil {
			return nil, failure("forward unicast", err)
		}
		if _, err := r.net.EnableMulticastForwardingForProtocol(family, events{r}); err != nil {
			return nil, failure("forward multicast", err)
		}
	}
	return r, nil
}

// events counts what gVisor asks about.
type events struct{ *Router }

// OnMissingRoute implements netstack.MulticastForwardingEventDispatcher.
func (e events) OnMissingRoute(netstack.MulticastPacketContext) { e.unknown.Add(1) }

// OnUnexpectedInputInterface implements
// netstack.MulticastForwardingEventDispatcher.
func (e events) OnUnexpectedInputInterface(netstack.MulticastPacketContext, tcpip.NICID) {
	e.unknown.Add(1)
}

// Add makes a device an interface with addresses, one of each family at least:
// gVisor forwards to no other. The device has no virtio-net header.
func (r *Router) Add(index uint32, device tun.Device, addresses []netip.Prefix) error {
	nic := tcpip.NICID(index)
	l := &link{device: device}
	if err := r.net.CreateNIC(nic, l); err != nil {
		return failure("add "+device.Name(), err)
	}
	r.mu.Lock()
	r.links[index] = l
	r.mu.Unlock()
	for _, prefix := range addresses {
		address := tcpip.AddressWithPrefix{Address: toAddress(prefix.Addr()),
			PrefixLen: prefix.Bits()}
		family := families[0]
		if prefix.Addr().Is6() {
			family = families[1]
		}
		err := r.net.AddProtocolAddress(nic, tcpip.ProtocolAddress{
			Protocol: family, AddressWithPrefix: address}, netstack.AddressProperties{})
		if err != nil {
			return failure(fmt.Sprintf("add %s to %s", prefix, device.Name()), err)
		}
		r.mu.Lock()
		r.routes = append(r.routes, tcpip.Route{Destination: address.Subnet(), NIC: nic})
		r.net.SetRouteTable(r.routes)
		r.mu.Unlock()
	}
	for _, family := range families {
		if _, err := r.net.SetNICMulticastForwarding(nic, family, true); err != nil {
			return failure("forward multicast on "+device.Name(), err)
		}
	}
	return nil
}

// Route forwards a flow from one interface to others from now on.
func (r *Router) Route(source, group netip.Addr, in uint32, out []uint32) error {
	route := netstack.MulticastRoute{ExpectedInputInterface: tcpip.NICID(in)}
	for _, index := range out {
		// It forwards a packet whose TTL is MinTTL too: 2 leaves no 0 behind.
		route.OutgoingInterfaces = append(route.OutgoingInterfaces,
			netstack.MulticastRouteOutgoingInterface{ID: tcpip.NICID(index), MinTTL: 2})
	}
	family := families[0]
	if group.Is6() {
		family = families[1]
	}
	flow := netstack.UnicastSourceAndMulticastDestination{
		Source: toAddress(source), Destination: toAddress(group)}
	if err := r.net.AddMulticastRoute(family, flow, route); err != nil {
		return failure(fmt.Sprintf("route %s from %s", group, source), err)
	}
	return nil
}

// Run gives what a device brings to gVisor until the device is closed. Each
// device needs a goroutine of its own.
func (r *Router) Run(index uint32) error {
	r.mu.Lock()
	l := r.links[index]
	r.mu.Unlock()
	if l == nil {
		return fmt.Errorf("run interface %d: there is none", index)
	}
	const batch, largest = 64, 2048
	buffers, sizes := make([][]byte, batch), make([]int, batch)
	for i := range buffers {
		buffers[i] = make([]byte, largest)
	}
	for {
		n, err := l.device.Read(buffers, sizes)
		if errors.Is(err, os.ErrClosed) {
			return nil
		} else if err != nil {
			return err
		}
		for i := range n {
			l.deliver(buffers[i][:sizes[i]])
		}
	}
}

// deliver gives gVisor a copy of a packet.
func (l *link) deliver(packet []byte) {
	dispatcher := l.dispatcher.Load()
	if len(packet) == 0 || dispatcher == nil {
		return
	}
	family := families[0]
	if packet[0]>>4 == 6 {
		family = families[1]
	}
	p := netstack.NewPacketBuffer(netstack.PacketBufferOptions{
		Payload: buffer.MakeWithData(packet)})
	(*dispatcher).DeliverNetworkPacket(family, p)
	p.DecRef()
}

// Dropped counts packets that were not forwarded, by reason.
func (r *Router) Dropped() map[string]uint64 {
	f := r.net.Stats().IP.Forwarding
	return map[string]uint64{
		"unknown flow": r.unknown.Load(),
		"no route":     f.Unrouteable.Value(),
		"ttl":          f.ExhaustedTTL.Value(),
		"too big":      f.PacketTooBig.Value(),
		"device":       f.OutgoingDeviceNoBufferSpace.Value(),
	}
}

// Close ends the stack. The devices are their owner's.
func (r *Router) Close() { r.net.Destroy() }

func failure(operation string, err tcpip.Error) error {
	return fmt.Errorf("%s: %s", operation, err)
}

func toAddress(a netip.Addr) tcpip.Address {
	if a.Is4() {
		return tcpip.AddrFrom4(a.As4())
	}
	return tcpip.AddrFrom16(a.As16())
}
