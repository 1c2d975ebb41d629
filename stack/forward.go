package stack

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	netstack "gvisor.dev/gvisor/pkg/tcpip/stack"
)

// nextHop is where the packets of a prefix go.
type nextHop struct {
	out *iface
	via netip.Addr // invalid where the destination is on the link
}

// forwardUnicast forwards a packet that is not for the router. Routes, limits and
// errors are decided here: gVisor searches all interfaces for each packet, sends
// a TTL of 1 on as 0, numbers the pieces of a fragment from 0, names an MTU of 0
// in its errors, and panics where a packet can't leave.
func (s *Stack) forwardUnicast(i *iface, p *punt) drop {
	if !s.forward {
		return dropNotForUs
	}
	if why := p.forwardable(); why != accepted {
		return why
	}
	if !s.validSource(i, p) {
		return dropSourceValidation // RFC 3704 §2.2: without a word to a forged source
	}
	// RFC 1812 §5.3.1, RFC 8200 §3: no packet leaves with a limit of 0.
	if p.hops() <= 1 {
		s.sendError(i, p, timeExceeded(p.family))
		return dropTTL
	}
	hop, ok := s.table.Lookup(p.destination)
	if !ok {
		s.sendError(i, p, noRoute(p.family))
		return dropNoRoute
	}
	// RFC 4443 §3.1: on a point-to-point link it would come back.
	if hop.out == i && !i.link.ethernet() && i.onLink(p.destination) {
		s.sendError(i, p, unreachableAddress(p.family))
		return dropOnLink
	}
	mtu := int(hop.out.link.mtu)
	if len(p.packet) <= mtu {
		return s.relay(i, p, hop, p.packet)
	}
	if p.family != ipv4.ProtocolNumber ||
		header.IPv4(p.packet).Flags()&header.IPv4FlagDontFragment != 0 {
		s.sendError(i, p, tooBig(p.family, mtu))
		return dropTooBig
	}
	why := accepted
	for _, piece := range fragment(p.packet, mtu) {
		why = max(why, s.relay(i, p, hop, piece))
	}
	return why
}

// forwardable tells what no router forwards.
func (p *punt) forwardable() drop {
	if p.family == ipv4.ProtocolNumber && !header.IPv4(p.packet).IsChecksumValid() {
		return dropMalformed // RFC 1812 §5.2.2
	}
	if p.source.IsUnspecified() {
		return dropMartianSource // RFC 4291 §2.5.2
	}
	if p.destination.IsLinkLocalUnicast() || p.source.IsLinkLocalUnicast() {
		return dropLinkLocal // RFC 3927 §7, RFC 4291 §2.5.6
	}
	return accepted
}

// relay sends a packet, or a piece of it, to its next hop. gVisor gets those with
// options to look at, and those that wait for a MAC address.
func (s *Stack) relay(i *iface, p *punt, hop nextHop, packet []byte) drop {
	to, known := s.neighbor(p, hop)
	if !known {
		if !hop.out.unresolved.allow(time.Now()) {
			return dropUnresolved
		}
		pass(i, p, packet, 0)
		return accepted
	}
	if p.hasOptions() {
		pass(i, p, packet, 0)
		return accepted
	}
	f := frames.Get().(*frame)
	defer frames.Put(f)
	l := hop.out.link
	f.start(l)
	if l.ethernet() {
		f.bytes = appendEthernet(f.bytes, to, l.hardware, p.family)
	}
	start := len(f.bytes)
	f.bytes = append(f.bytes, packet...)
	decrement(f.bytes[start:])
	_ = l.write(f) // counted there
	return accepted
}

// neighbor returns the MAC address of the next hop, and true where it is known or
// none is needed. Asking for one starts its resolution and its refreshment.
func (s *Stack) neighbor(p *punt, hop nextHop) (tcpip.LinkAddress, bool) {
	if !hop.out.link.ethernet() {
		return "", true
	}
	address := hop.via
	if !address.IsValid() {
		address = p.destination
	}
	// The first call leaves nothing behind where the address is unknown; a
	// callback would stay until it is known or given up.
	target, nic := toAddress(address), hop.out.nic()
	if err := s.net.GetLinkAddress(nic, target, tcpip.Address{}, p.family, nil); err != nil {
		return "", false
	}
	var to atomic.Pointer[tcpip.LinkAddress] // an address lost by now is told later
	err := s.net.GetLinkAddress(nic, target, tcpip.Address{}, p.family,
		func(r netstack.LinkResolutionResult) { to.Store(&r.LinkAddress) })
	if err != nil {
		return "", false
	}
	return *to.Load(), true
}

// hops returns the TTL or the hop limit.
func (p *punt) hops() uint8 {
	if p.family == ipv4.ProtocolNumber {
		return p.packet[8]
	}
	return p.packet[7]
}

// hasOptions says whether a router has to read more than the fixed header: IPv4
// options (RFC 1812 §4.2.2.1), or IPv6 Hop-by-Hop Options (RFC 8200 §4.3).
func (p *punt) hasOptions() bool {
	if p.family == ipv4.ProtocolNumber {
		return p.packet[0]&0xf != header.IPv4MinimumSize/4
	}
	return p.packet[6] == protocolHopByHop
}

// decrement takes one off the TTL or hop limit.
func decrement(packet []byte) {
	if packet[0]>>4 == 6 {
		packet[7]--
		return
	}
	// RFC 1624 §3, equation 3.
	before := binary.BigEndian.Uint16(packet[8:])
	packet[8]--
	sum := uint32(^binary.BigEndian.Uint16(packet[10:])) + uint32(^before) +
		uint32(binary.BigEndian.Uint16(packet[8:]))
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(packet[10:], ^uint16(sum+sum>>16))
}

// fragment cuts an IPv4 packet, itself a fragment or not, into pieces of at most
// mtu bytes (RFC 791 §3.2).
func fragment(packet []byte, mtu int) [][]byte {
	h := header.IPv4(packet)
	headerLength := int(h.HeaderLength())
	data := packet[headerLength:]
	room := (mtu - headerLength) &^ 7
	pieces := make([][]byte, 0, len(data)/room+1)
	for at := 0; at < len(data); at += room {
		n := min(room, len(data)-at)
		piece := make([]byte, 0, headerLength+n)
		piece = append(piece, packet[:headerLength]...)
		piece = append(piece, data[at:at+n]...)
		if at+int(h.FragmentOffset()) > 0 {
			forgetOptions(piece[header.IPv4MinimumSize:headerLength])
		}
		flags := h.Flags()
		if at+n < len(data) {
			flags |= header.IPv4FlagMoreFragments
		}
		ph := header.IPv4(piece)
		ph.SetTotalLength(uint16(len(piece)))
		ph.SetFlagsFragmentOffset(flags, h.FragmentOffset()+uint16(at))
		ph.SetChecksum(0)
		ph.SetChecksum(^checksum.Checksum(piece[:headerLength], 0))
		pieces = append(pieces, piece)
	}
	return pieces
}

// forgetOptions blanks what only the first fragment carries: the options without
// the copied flag, which is their highest bit (RFC 791 §3.1).
func forgetOptions(options []byte) {
	for at := 0; at < len(options); {
		kind := options[at]
		if kind == uint8(header.IPv4OptionListEndType) {
			return
		}
		if kind == uint8(header.IPv4OptionNOPType) {
			at++
			continue
		}
		if at+1 >= len(options) || options[at+1] < 2 || at+int(options[at+1]) > len(options) {
			return // broken: gVisor tells the sender
		}
		length := int(options[at+1])
		if kind&0x80 == 0 {
			for k := range length {
				options[at+k] = uint8(header.IPv4OptionNOPType)
			}
		}
		at += length
	}
}

// window bounds events a second, roughly: it is enough that they have a bound.
type window struct {
	second atomic.Int64
	count  atomic.Int64
}

// unresolvedRate is how many packets a second may start to wait on one interface.
// Each costs gVisor memory until its next hop is found or, 3 s later, given up.
const unresolvedRate = 1000

func (w *window) allow(now time.Time) bool {
	if second := now.Unix(); w.second.Swap(second) != second {
		w.count.Store(0)
	}
	return w.count.Add(1) <= unresolvedRate
}
