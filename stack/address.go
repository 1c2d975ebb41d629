package stack

import (
	"crypto/sha256"
	"fmt"
	"math/bits"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
)

// ipv6MinimumMTU is the least a link needs to carry IPv6 (RFC 8200 §5).
const ipv6MinimumMTU = 1280

// failure makes an error of one of gVisor's, which are none.
func failure(operation string, err tcpip.Error) error {
	return fmt.Errorf("%s: %s", operation, err)
}

// toAddress converts an address that is neither zoned nor IPv4-mapped, which
// gVisor can't tell from an IPv6 address.
func toAddress(a netip.Addr) tcpip.Address {
	if a.Is4() {
		return tcpip.AddrFrom4(a.As4())
	}
	return tcpip.AddrFrom16(a.As16())
}

// family returns the EtherType of an address, by which gVisor names protocols.
func family(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return ipv4.ProtocolNumber
	}
	return ipv6.ProtocolNumber
}

func toProtocolAddress(p netip.Prefix) tcpip.ProtocolAddress {
	return tcpip.ProtocolAddress{
		Protocol: family(p.Addr()),
		AddressWithPrefix: tcpip.AddressWithPrefix{
			Address:   toAddress(p.Addr()),
			PrefixLen: p.Bits(),
		},
	}
}

func toSubnet(p netip.Prefix) tcpip.Subnet {
	return tcpip.AddressWithPrefix{
		Address:   toAddress(p.Masked().Addr()),
		PrefixLen: p.Bits(),
	}.Subnet()
}

// checkAddress tells why an interface can't have an address, or nil.
func checkAddress(p netip.Prefix, mtu int) error {
	a := p.Addr()
	switch {
	case !p.IsValid():
		return fmt.Errorf("address %s: not an address with a prefix length", p)
	case a.Is4In6() || a.Zone() != "":
		return fmt.Errorf("address %s: write it without a zone and not IPv4-mapped", p)
	case a.IsUnspecified(), a.IsMulticast(), a.IsLoopback(), a == limitedBroadcast:
		return fmt.Errorf("address %s: not a unicast address of a link", p)
	case a.Is4() && p.Bits() < 31 && (a == broadcast(p) || a == p.Masked().Addr()):
		return fmt.Errorf("address %s: names the whole subnet, not a host in it", p)
	case a.Is6() && mtu < ipv6MinimumMTU:
		return fmt.Errorf("address %s: IPv6 needs an mtu of %d or more, not %d",
			p, ipv6MinimumMTU, mtu)
	}
	return nil
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// broadcast returns the subnet's directed broadcast address; invalid where it
// has none: IPv6, and IPv4 prefixes longer than 30 bits (RFC 3021 §2.1).
func broadcast(p netip.Prefix) netip.Addr {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return netip.Addr{}
	}
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= bits.Reverse8(1 << (i % 8))
	}
	return netip.AddrFrom4(b)
}

// linkLocal makes an interface's link-local address. It is stable and opaque:
// a digest of the names, as RFC 7217 §5 has it, with no address of hardware in.
func linkLocal(router, name string) netip.Addr {
	digest := sha256.Sum256([]byte("link-local\x00" + router + "\x00" + name))
	address := [16]byte{0: 0xfe, 1: 0x80}
	copy(address[8:], digest[:8])
	return netip.AddrFrom16(address)
}

// localAddresses are the addresses of all interfaces, for the tests that each
// punted packet goes through.
type localAddresses struct {
	unicast    map[netip.Addr]*iface // without IPv6 link-local ones
	broadcasts map[netip.Addr]struct{}
}

// newLocalAddresses collects the addresses. Of an address on several interfaces any
// one counts as the owner.
func newLocalAddresses(interfaces map[uint32]*iface) localAddresses {
	l := localAddresses{
		unicast:    make(map[netip.Addr]*iface),
		broadcasts: map[netip.Addr]struct{}{limitedBroadcast: {}},
	}
	for _, i := range interfaces {
		for _, p := range i.addresses {
			if p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
				continue
			}
			l.unicast[p.Addr()] = i
			if b := broadcast(p); b.IsValid() {
				l.broadcasts[b] = struct{}{}
			}
		}
	}
	return l
}

// owns says whether a packet to this address, arriving on i, is for the router.
func (l *localAddresses) owns(i *iface, a netip.Addr) bool {
	if l.unicast[a] != nil || i.has(a) {
		return true
	}
	_, ok := l.broadcasts[a]
	return ok
}

// forges says whether a packet with this source can't have come from
// somebody else on i. A link-local address is the router's on its own link only.
func (l *localAddresses) forges(i *iface, source netip.Addr) bool {
	return l.unicast[source] != nil || i.has(source)
}
