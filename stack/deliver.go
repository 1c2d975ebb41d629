package stack

import (
	"encoding/binary"
	"net/netip"
	"runtime/debug"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/header/parse"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	netstack "gvisor.dev/gvisor/pkg/tcpip/stack"
)

// punt is a packet on its way into the stack.
type punt struct {
	family              tcpip.NetworkProtocolNumber
	packet              []byte           // IP or ARP, without padding once screened
	to                  tcpip.PacketType // whom the frame addressed; 0 without Ethernet
	source, destination netip.Addr       // of IP
}

func (p *punt) group() bool {
	return p.to == tcpip.PacketBroadcast || p.to == tcpip.PacketMulticast
}

// Deliver gives the stack what arrived on a link and is not for the packet path:
// an IP packet, or from a TAP an Ethernet frame. The frame is copied; the work
// is bounded and starts no goroutine. A bad frame is counted by its reason and
// nothing else. Any number of goroutines may deliver at a time.
func (s *Stack) Deliver(index uint32, frame []byte) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, ok := s.interfaces[index]
	if !ok {
		s.unknown.Add(1)
		return
	}
	i.counters.punted.add(len(frame))
	defer s.contain(i)
	if why := s.receive(i, frame); why != accepted {
		i.counters.drops[why].Add(1)
	}
}

// contain keeps one packet that gVisor panics on from ending the router. None
// is known that gets past receive; the log tells if there is one.
func (s *Stack) contain(i *iface) {
	if fault := recover(); fault != nil {
		i.counters.drops[dropFault].Add(1)
		s.log.Error("packet dropped: the netstack panicked",
			"if", i.name, "err", fault, "trace", string(debug.Stack()))
	}
}

// receive takes a frame as far as it gets, and says why no further. What it accepts
// is gVisor's, which counts what it drops by itself.
func (s *Stack) receive(i *iface, frame []byte) drop {
	if !i.up {
		return dropDown
	}
	p, why := i.link.open(frame)
	if why != accepted {
		return why
	}
	if p.family != arp.ProtocolNumber {
		if why := s.screen(i, &p); why != accepted {
			return why
		}
		if !p.destination.IsMulticast() {
			if !s.local.owns(i, p.destination) {
				return s.forwardUnicast(i, &p)
			}
			i = s.receiver(i, &p)
		}
	}
	pass(i, &p, p.packet, i.link.index)
	return accepted
}

// open tells the protocol of a frame.
func (l *link) open(frame []byte) (punt, drop) {
	if l.ethernet() {
		return l.unframe(frame)
	}
	if len(frame) == 0 {
		return punt{}, dropShort
	}
	switch frame[0] >> 4 {
	case 4:
		return punt{family: ipv4.ProtocolNumber, packet: frame}, accepted
	case 6:
		return punt{family: ipv6.ProtocolNumber, packet: frame}, accepted
	default:
		return punt{}, dropVersion
	}
}

// screen checks an IP packet's lengths and addresses, and cuts off padding.
func (s *Stack) screen(i *iface, p *punt) drop {
	var why drop
	if p.family == ipv4.ProtocolNumber {
		why = p.screen4()
	} else {
		why = p.screen6(i)
	}
	if why != accepted {
		return why
	}
	// RFC 1122 §3.3.6, RFC 1812 §5.3.4: nothing that a frame to a group brought
	// is for one host, or to be forwarded to one.
	if p.group() && !p.destination.IsMulticast() && !s.isBroadcast(p.destination) {
		return dropGroupFrame
	}
	if s.local.forges(i, p.source) {
		return dropOwnSource
	}
	return accepted
}

func (s *Stack) isBroadcast(a netip.Addr) bool {
	_, ok := s.local.broadcasts[a]
	return ok
}

// screen4 leaves the header checksum to gVisor, or to forwardUnicast.
func (p *punt) screen4() drop {
	b := p.packet
	if len(b) < header.IPv4MinimumSize {
		return dropShort
	}
	if b[0]>>4 != 4 {
		return dropVersion
	}
	headerLength, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	if headerLength < header.IPv4MinimumSize || total < headerLength || total > len(b) {
		return dropLength
	}
	p.packet = b[:total]
	p.source = netip.AddrFrom4([4]byte(b[12:16]))
	p.destination = netip.AddrFrom4([4]byte(b[16:20]))
	// RFC 1812 §5.3.7. A source of 0.0.0.0 is good for IGMP and for a host that
	// asks for its address, neither of them sent to one host.
	if p.source.IsUnspecified() {
		if !p.destination.IsMulticast() && p.destination != limitedBroadcast {
			return dropMartianSource
		}
	} else if b[12] == 0 || b[12] == 127 || p.source.IsMulticast() || p.source == limitedBroadcast {
		return dropMartianSource
	}
	if b[16] == 0 || b[16] == 127 {
		return dropMartianDestination
	}
	return accepted
}

// screen6 needs the interface: IPv6 is off where the MTU is too small for it.
func (p *punt) screen6(i *iface) drop {
	b := p.packet
	if len(b) < header.IPv6MinimumSize {
		return dropShort
	}
	if b[0]>>4 != 6 {
		return dropVersion
	}
	if !i.linkLocal.IsValid() {
		return dropNoIPv6
	}
	total := header.IPv6MinimumSize + int(binary.BigEndian.Uint16(b[4:]))
	if total > len(b) {
		return dropLength
	}
	p.packet = b[:total]
	p.source = netip.AddrFrom16([16]byte(b[8:24]))
	p.destination = netip.AddrFrom16([16]byte(b[24:40]))
	// RFC 4291 §2.5.2, §2.5.3, §2.7; RFC 6890 §2.2.3 for IPv4-mapped ones.
	if p.source.IsMulticast() || p.source.IsLoopback() || p.source.Is4In6() {
		return dropMartianSource
	}
	if p.destination.IsUnspecified() || p.destination.IsLoopback() || p.destination.Is4In6() {
		return dropMartianDestination
	}
	if total > ipv6MinimumMTU && p.headerChain() > ipv6MinimumMTU {
		return dropHeaderChain
	}
	return accepted
}

// headerChain measures the IPv6 header with its extension headers, as gVisor
// does: it panics when it is to forward a chain that the smallest MTU can't hold.
// RFC 7112 §5 lets a router drop those.
func (p *punt) headerChain() int {
	switch tcpip.TransportProtocolNumber(p.packet[6]) {
	case header.UDPProtocolNumber, header.TCPProtocolNumber, header.ICMPv6ProtocolNumber:
		return header.IPv6MinimumSize
	}
	b := newPacket(p.packet)
	defer b.DecRef()
	if _, _, _, _, ok := parse.IPv6(b); !ok {
		return 0
	}
	return len(b.NetworkHeader().Slice())
}

// receiver returns the interface to deliver a packet for the router by: the one it
// came in on, or the one that owns its destination if its hop limit has run out.
// From elsewhere gVisor would answer that it can't be forwarded, which it need
// not be (RFC 8200 §3: the limit is for nodes that forward).
func (s *Stack) receiver(i *iface, p *punt) *iface {
	owner := s.local.unicast[p.destination]
	if p.family == ipv6.ProtocolNumber && p.hops() <= 1 && owner != nil && owner.up {
		return owner
	}
	return i
}

// pass gives gVisor a copy of a packet, as from interface i. The index tells a tap
// where it came in, 0 that it is none of the router's.
func pass(i *iface, p *punt, packet []byte, index uint32) {
	b := newPacket(packet)
	defer b.DecRef()
	b.PktType = p.to
	b.Hash = index // of no use to gVisor on a packet that comes in
	i.link.deliver(p.family, b)
}

// newPacket copies a packet into gVisor's pooled memory; DecRef gives it back.
func newPacket(packet []byte) *netstack.PacketBuffer {
	return netstack.NewPacketBuffer(netstack.PacketBufferOptions{
		Payload: buffer.MakeWithData(packet),
	})
}
