package stack

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
)

const ethernetHeader = header.EthernetMinimumSize // 14 bytes: to, from, type

func appendEthernet(b []byte, to, from tcpip.LinkAddress,
	etherType tcpip.NetworkProtocolNumber) []byte {
	b = append(b, to...)
	b = append(b, from...)
	return binary.BigEndian.AppendUint16(b, uint16(etherType))
}

// groupMAC maps a group, or IPv4's limited broadcast address, to the MAC address
// its frames go to.
func groupMAC(group netip.Addr) tcpip.LinkAddress {
	switch {
	case group == limitedBroadcast:
		return header.EthernetBroadcastAddress
	case group.Is4():
		// RFC 1112 §6.4: the low 23 bits behind 01-00-5E.
		return header.EthernetAddressFromMulticastIPv4Address(toAddress(group))
	default:
		// RFC 2464 §7: the low 32 bits behind 33-33.
		return header.EthernetAddressFromMulticastIPv6Address(toAddress(group))
	}
}

// unframe takes an Ethernet header off. It accepts what a network card without
// promiscuous mode would, and all groups.
func (l *link) unframe(b []byte) (punt, drop) {
	if len(b) < ethernetHeader {
		return punt{}, dropShort
	}
	eth := header.Ethernet(b)
	p := punt{
		family: eth.Type(),
		packet: b[ethernetHeader:],
		to:     tcpip.PacketHost,
	}
	// The sender of a frame is one station (IEEE 802.3 §3.2.3), and not us.
	if b[6]&1 != 0 || string(b[6:12]) == string(l.hardware) {
		return punt{}, dropSourceMAC
	}
	switch {
	case string(b[:6]) == string(l.hardware):
	case string(b[:6]) == string(header.EthernetBroadcastAddress):
		p.to = tcpip.PacketBroadcast
	case b[0]&1 != 0:
		p.to = tcpip.PacketMulticast
	default:
		return punt{}, dropOtherHost
	}
	switch p.family {
	case ipv4.ProtocolNumber, ipv6.ProtocolNumber:
		return p, accepted
	case arp.ProtocolNumber:
		if len(p.packet) < header.ARPSize {
			return punt{}, dropShort
		}
		return p, accepted
	default:
		return punt{}, dropEtherType
	}
}
