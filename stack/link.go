package stack

import (
	"errors"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	netstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"umroute/tun"
)

// link is a device as gVisor sees it. Packets come in through Stack.Deliver,
// never through a goroutine of the link's own.
//
// It claims no checksum offload. This gVisor leaves the transport checksum of
// what it forwards alone, legal zero ones and fragments included, and fills it
// for what it sends itself; a link that claimed it would have to complete
// datagrams that are fragments by then, which can't be done right.
type link struct {
	index    uint32
	device   tun.Device
	hardware tcpip.LinkAddress // empty where there is no Ethernet
	mtu      uint32
	headers  bool // a virtio-net header stands before each packet of device
	counters *counters

	dispatcher atomic.Pointer[netstack.NetworkDispatcher] // nil once removed
}

var _ netstack.LinkEndpoint = (*link)(nil)

func (l *link) ethernet() bool { return l.hardware != "" }

// deliver hands a packet to gVisor, which borrows it.
func (l *link) deliver(family tcpip.NetworkProtocolNumber, packet *netstack.PacketBuffer) {
	if d := l.dispatcher.Load(); d != nil {
		(*d).DeliverNetworkPacket(family, packet)
	}
}

// WritePackets implements netstack.LinkWriter. It never returns an error:
// gVisor's forwarding panics on most of them. What the device does not take is
// counted, as a full queue of hardware would drop it.
func (l *link) WritePackets(packets netstack.PacketBufferList) (int, tcpip.Error) {
	for _, p := range packets.AsSlice() {
		_ = l.writePacket(p) // counted there
	}
	return packets.Len(), nil
}

// writePacket frames a packet of gVisor's, which may be in several pieces: a device
// wants it in one.
func (l *link) writePacket(p *netstack.PacketBuffer) error {
	f := frames.Get().(*frame)
	defer frames.Put(f)
	f.start(l)
	if l.ethernet() {
		remote := p.EgressRoute.RemoteLinkAddress
		if len(remote) != header.EthernetAddressSize {
			l.counters.drops[dropUnresolved].Add(1)
			return nil
		}
		f.bytes = appendEthernet(f.bytes, remote, l.hardware, p.NetworkProtocolNumber)
	}
	views, skip := p.AsViewList()
	for v := views.Front(); v != nil; v = v.Next() {
		b := v.AsSlice()
		n := min(skip, len(b))
		f.bytes = append(f.bytes, b[n:]...)
		skip -= n
	}
	return l.write(f)
}

var errNotTaken = errors.New("the device did not take it")

// write gives a frame to the device and counts it.
func (l *link) write(f *frame) error {
	if l.dispatcher.Load() == nil {
		l.counters.drops[dropRemoved].Add(1)
		return ErrUnknownInterface
	}
	f.vector[0] = f.bytes
	n, err := l.device.Write(f.vector[:])
	f.vector[0] = nil
	if n != 1 {
		l.counters.drops[dropDevice].Add(1)
		return errors.Join(errNotTaken, err)
	}
	l.counters.sent.add(len(f.bytes) - f.head)
	return nil
}

// frame is a buffer for one frame, with the vector that Device.Write wants.
type frame struct {
	bytes  []byte
	head   int // of bytes, the virtio-net header
	vector [1][]byte
}

// noOffload is the virtio-net header of a packet that is complete.
var noOffload [tun.VirtioHeaderLen]byte

// start begins a frame for l.
func (f *frame) start(l *link) {
	f.bytes = f.bytes[:0]
	if l.headers {
		f.bytes = append(f.bytes, noOffload[:]...)
	}
	f.head = len(f.bytes)
}

var frames = sync.Pool{New: func() any { return &frame{bytes: make([]byte, 0, 2048)} }}

// MTU implements netstack.NetworkLinkEndpoint: of IP packets.
func (l *link) MTU() uint32 { return l.mtu }

// SetMTU implements netstack.NetworkLinkEndpoint. The MTU is fixed.
func (*link) SetMTU(uint32) {}

// MaxHeaderLength implements netstack.NetworkLinkEndpoint: the Ethernet header
// is written when the packet is copied to a frame, not into the packet.
func (*link) MaxHeaderLength() uint16 { return 0 }

// LinkAddress implements netstack.NetworkLinkEndpoint.
func (l *link) LinkAddress() tcpip.LinkAddress { return l.hardware }

// SetLinkAddress implements netstack.NetworkLinkEndpoint. It is fixed.
func (*link) SetLinkAddress(tcpip.LinkAddress) {}

// Capabilities implements netstack.NetworkLinkEndpoint.
func (l *link) Capabilities() netstack.LinkEndpointCapabilities {
	if l.ethernet() {
		return netstack.CapabilityResolutionRequired
	}
	return netstack.CapabilityNone
}

// Attach implements netstack.NetworkLinkEndpoint.
func (l *link) Attach(dispatcher netstack.NetworkDispatcher) {
	if dispatcher == nil {
		l.dispatcher.Store(nil)
		return
	}
	l.dispatcher.Store(&dispatcher)
}

// IsAttached implements netstack.NetworkLinkEndpoint.
func (l *link) IsAttached() bool { return l.dispatcher.Load() != nil }

// Wait implements netstack.NetworkLinkEndpoint. There is no goroutine.
func (*link) Wait() {}

// ARPHardwareType implements netstack.NetworkLinkEndpoint.
func (l *link) ARPHardwareType() header.ARPHardwareType {
	if l.ethernet() {
		return header.ARPHardwareEther
	}
	return header.ARPHardwareNone
}

// AddHeader implements netstack.NetworkLinkEndpoint; see MaxHeaderLength.
func (*link) AddHeader(*netstack.PacketBuffer) {}

// ParseHeader implements netstack.NetworkLinkEndpoint.
func (*link) ParseHeader(*netstack.PacketBuffer) bool { return true }

// Close implements netstack.NetworkLinkEndpoint. The device is its owner's.
func (*link) Close() {}

// SetOnCloseAction implements netstack.NetworkLinkEndpoint.
func (*link) SetOnCloseAction(func()) {}
