package multicast

import (
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	netstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"umroute/tun"
)

// link is a device without Ethernet as gVisor sees it.
type link struct {
	device     tun.Device
	dispatcher atomic.Pointer[netstack.NetworkDispatcher]
}

var _ netstack.LinkEndpoint = (*link)(nil)

// vector is one packet as tun.Device takes it.
type vector struct {
	bytes []byte
	one   [1][]byte
}

var vectors = sync.Pool{New: func() any { return &vector{bytes: make([]byte, 0, 2048)} }}

// WritePackets implements netstack.LinkWriter. gVisor's forwarding panics on
// most errors, so that only the one it counts is left.
func (l *link) WritePackets(packets netstack.PacketBufferList) (int, tcpip.Error) {
	v := vectors.Get().(*vector)
	defer vectors.Put(v)
	for i, p := range packets.AsSlice() {
		v.bytes = v.bytes[:0]
		views, skip := p.AsViewList()
		for view := views.Front(); view != nil; view = view.Next() {
			b := view.AsSlice()
			n := min(skip, len(b))
			v.bytes = append(v.bytes, b[n:]...)
			skip -= n
		}
		v.one[0] = v.bytes
		if n, _ := l.device.Write(v.one[:]); n != 1 {
			return i, &tcpip.ErrNoBufferSpace{}
		}
	}
	return packets.Len(), nil
}

// Attach implements netstack.NetworkLinkEndpoint.
func (l *link) Attach(dispatcher netstack.NetworkDispatcher) {
	if dispatcher == nil {
		l.dispatcher.Store(nil)
		return
	}
	l.dispatcher.Store(&dispatcher)
}

// The rest implements netstack.NetworkLinkEndpoint.

func (l *link) IsAttached() bool                              { return l.dispatcher.Load() != nil }
func (l *link) MTU() uint32                                   { return uint32(l.device.MTU()) }
func (*link) SetMTU(uint32)                                   {}
func (*link) MaxHeaderLength() uint16                         { return 0 }
func (*link) LinkAddress() tcpip.LinkAddress                  { return "" }
func (*link) SetLinkAddress(tcpip.LinkAddress)                {}
func (*link) Capabilities() netstack.LinkEndpointCapabilities { return netstack.CapabilityNone }
func (*link) Wait()                                           {}
func (*link) ARPHardwareType() header.ARPHardwareType         { return header.ARPHardwareNone }
func (*link) AddHeader(*netstack.PacketBuffer)                {}
func (*link) ParseHeader(*netstack.PacketBuffer) bool         { return true }
func (*link) Close()                                          {}
func (*link) SetOnCloseAction(func())                         {}
