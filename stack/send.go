package stack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	netstack "gvisor.dev/gvisor/pkg/tcpip/stack"
)

var (
	errNotIP  = errors.New("not a complete IP packet")
	errTooBig = errors.New("larger than the mtu")
)

// Send sends a complete IP packet out of one link, byte for byte: no route is
// looked up, no field filled in, nothing fragmented. On a TAP a packet to a
// group goes to the group's MAC address; one to a single host waits for that
// host's, and is dropped and counted if it has none.
func (s *Stack) Send(index uint32, packet []byte) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, ok := s.interfaces[index]
	if !ok {
		return fmt.Errorf("send on interface %d: %w", index, ErrUnknownInterface)
	}
	if err := s.send(i, packet); err != nil {
		return fmt.Errorf("send on %s: %w", i.name, err)
	}
	return nil
}

// send checks what the sender can get wrong. A device that does not take the packet
// is an error too, since a protocol may want to send again.
func (s *Stack) send(i *iface, packet []byte) error {
	family, destination, ok := addressee(packet)
	switch {
	case !ok:
		return errNotIP
	case len(packet) > int(i.link.mtu):
		return fmt.Errorf("%d bytes: %w of %d", len(packet), errTooBig, i.link.mtu)
	case !i.up:
		return ErrDown
	case !i.link.ethernet():
		return i.link.send(packet, "", family)
	case destination.IsMulticast() || destination == limitedBroadcast:
		return i.link.send(packet, groupMAC(destination), family)
	default:
		return s.sendResolved(i, packet, family, destination)
	}
}

// sendResolved sends to one host on an Ethernet link.
func (s *Stack) sendResolved(i *iface, packet []byte,
	family tcpip.NetworkProtocolNumber, destination netip.Addr) error {
	packet = append([]byte(nil), packet...) // it may have to wait
	l := i.link
	err := s.net.GetLinkAddress(i.nic(), toAddress(destination), tcpip.Address{}, family,
		func(r netstack.LinkResolutionResult) {
			if r.Err != nil {
				l.counters.drops[dropUnresolved].Add(1)
				return
			}
			_ = l.send(packet, r.LinkAddress, family) // counted there
		})
	switch err.(type) {
	case nil, *tcpip.ErrWouldBlock:
		return nil
	default:
		return failure("resolve "+destination.String(), err)
	}
}

// send frames a packet, for the MAC address to where there is Ethernet.
func (l *link) send(packet []byte, to tcpip.LinkAddress, family tcpip.NetworkProtocolNumber) error {
	f := frames.Get().(*frame)
	defer frames.Put(f)
	f.start(l)
	if l.ethernet() {
		f.bytes = appendEthernet(f.bytes, to, l.hardware, family)
	}
	f.bytes = append(f.bytes, packet...)
	return l.write(f)
}

// addressee reads where a complete packet goes.
func addressee(b []byte) (tcpip.NetworkProtocolNumber, netip.Addr, bool) {
	if len(b) < header.IPv4MinimumSize {
		return 0, netip.Addr{}, false
	}
	switch {
	case b[0]>>4 == 4 && int(binary.BigEndian.Uint16(b[2:])) == len(b):
		return ipv4.ProtocolNumber, netip.AddrFrom4([4]byte(b[16:20])), true
	case b[0]>>4 == 6 && len(b) >= header.IPv6MinimumSize &&
		header.IPv6MinimumSize+int(binary.BigEndian.Uint16(b[4:])) == len(b):
		return ipv6.ProtocolNumber, netip.AddrFrom16([16]byte(b[24:40])), true
	default:
		return 0, netip.Addr{}, false
	}
}
