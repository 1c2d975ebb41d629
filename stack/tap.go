package stack

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	netstack "gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	protocolHopByHop = 0   // RFC 8200 §4.3
	protocolIGMP     = 2   // RFC 9776 §4
	protocolPIM      = 103 // RFC 7761 §4.9
)

// registerTaps has gVisor show the control messages. It does so for each valid
// IP packet, before it looks at membership or at the source address.
func (s *Stack) registerTaps(config Config) error {
	for _, t := range []struct {
		tap      Tap
		family   tcpip.NetworkProtocolNumber
		protocol tcpip.TransportProtocolNumber
		accepts  func(*netstack.PacketBuffer) bool
	}{
		{config.IGMP, ipv4.ProtocolNumber, protocolIGMP, intact4},
		{config.PIM, ipv4.ProtocolNumber, protocolPIM, intact4},
		{config.PIM, ipv6.ProtocolNumber, protocolPIM, anything},
		// IPv6 packets are told apart by their first next header, which is
		// Hop-by-Hop Options in a valid MLD message (RFC 2710 §3).
		{config.MLD, ipv6.ProtocolNumber, protocolHopByHop, isMLD},
	} {
		if t.tap == nil {
			continue
		}
		endpoint := &tap{stack: s, call: t.tap, accepts: t.accepts}
		if err := s.net.RegisterRawTransportEndpoint(t.family, t.protocol, endpoint); err != nil {
			return failure("register a tap", err)
		}
	}
	return nil
}

// tap is gVisor's raw endpoint around a Tap.
type tap struct {
	stack   *Stack
	call    Tap
	accepts func(*netstack.PacketBuffer) bool
}

// HandlePacket implements netstack.RawTransportEndpoint.
func (t *tap) HandlePacket(p *netstack.PacketBuffer) {
	// What is sent to the router's address on another interface passes here
	// twice: as it arrives, and as the other interface takes it. What is not for
	// the router has no mark at all.
	if uint32(p.NICID) != p.Hash || !t.accepts(p) {
		return
	}
	t.stack.excuse(p)
	packet := make([]byte, 0, p.Size())
	views, skip := p.AsViewList()
	for v := views.Front(); v != nil; v = v.Next() {
		b := v.AsSlice()
		n := min(skip, len(b))
		packet = append(packet, b[n:]...)
		skip -= n
	}
	t.call(uint32(p.NICID), packet)
}

// excuse counts a packet that gVisor will count as dropped, since it is to a
// group that the router has not joined, although a tap has taken it. Deliver
// has read-locked the interfaces.
func (s *Stack) excuse(p *netstack.PacketBuffer) {
	group := p.Network().DestinationAddress()
	i, ok := s.interfaces[uint32(p.NICID)]
	if !ok || !header.IsV4MulticastAddress(group) && !header.IsV6MulticastAddress(group) {
		return
	}
	if joined, err := s.net.IsInGroup(p.NICID, group); err == nil && !joined {
		i.counters.tapped.Add(1)
	}
}

func anything(*netstack.PacketBuffer) bool { return true }

// intact4 leaves out what gVisor has put together from fragments: it keeps the
// first one's checksum. No router sends a control message in fragments.
func intact4(p *netstack.PacketBuffer) bool {
	return header.IPv4(p.NetworkHeader().Slice()).IsChecksumValid()
}

// isMLD tells MLD from other packets with a Hop-by-Hop Options header.
func isMLD(p *netstack.PacketBuffer) bool {
	h := p.NetworkHeader().Slice()
	if len(h) < header.IPv6MinimumSize+8 {
		return false
	}
	options := h[header.IPv6MinimumSize:]
	// ICMPv6 directly behind the options, and nothing between.
	if options[0] != uint8(header.ICMPv6ProtocolNumber) || len(options) != 8*(int(options[1])+1) {
		return false
	}
	message := p.TransportHeader().Slice()
	if len(message) == 0 {
		return false
	}
	switch header.ICMPv6(message).Type() {
	case header.ICMPv6MulticastListenerQuery, header.ICMPv6MulticastListenerReport,
		header.ICMPv6MulticastListenerDone, header.ICMPv6MulticastListenerV2Report:
		return true
	default:
		return false
	}
}

// control is a transport protocol that gVisor knows by number alone, so that a
// tap can be registered for it and nobody is told that it is unreachable.
type control struct{ number tcpip.TransportProtocolNumber }

var _ netstack.TransportProtocol = control{}

func controlProtocol(number tcpip.TransportProtocolNumber) netstack.TransportProtocolFactory {
	return func(*netstack.Stack) netstack.TransportProtocol { return control{number} }
}

func (c control) Number() tcpip.TransportProtocolNumber { return c.number }

func (control) NewEndpoint(tcpip.NetworkProtocolNumber,
	*waiter.Queue) (tcpip.Endpoint, tcpip.Error) {
	return nil, &tcpip.ErrNotSupported{}
}

func (control) NewRawEndpoint(tcpip.NetworkProtocolNumber,
	*waiter.Queue) (tcpip.Endpoint, tcpip.Error) {
	return nil, &tcpip.ErrNotSupported{}
}

func (control) MinimumPacketSize() int { return 0 }

func (control) ParsePorts([]byte) (src, dst uint16, err tcpip.Error) { return 0, 0, nil }

func (control) HandleUnknownDestinationPacket(netstack.TransportEndpointID,
	*netstack.PacketBuffer) netstack.UnknownDestinationPacketDisposition {
	return netstack.UnknownDestinationPacketHandled
}

func (control) SetOption(tcpip.SettableTransportProtocolOption) tcpip.Error {
	return &tcpip.ErrUnknownProtocolOption{}
}

func (control) Option(tcpip.GettableTransportProtocolOption) tcpip.Error {
	return &tcpip.ErrUnknownProtocolOption{}
}

func (control) Close()   {}
func (control) Wait()    {}
func (control) Pause()   {}
func (control) Resume()  {}
func (control) Restore() {}

// Parse leaves the message where it is: its header is the protocol's affair.
func (control) Parse(*netstack.PacketBuffer) bool { return true }
