package demo

import (
	"encoding/binary"
	"net/netip"

	"umroute/stack/igmp"
	"umroute/stack/mld"
)

const (
	ipv4Header = 20
	ipv6Header = 40
	udpHeader  = 8
	udp        = 17
)

// datagram builds the IP packet of a UDP datagram to a group.
func datagram(source netip.Addr, to netip.AddrPort, payload []byte) []byte {
	length := udpHeader + len(payload)
	var packet []byte
	if source.Is4() {
		packet = binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(ipv4Header+length))
		packet = append(packet, 0, 0, 0, 0, streamTTL, udp, 0, 0)
		packet = append(append(packet, source.AsSlice()...), to.Addr().AsSlice()...)
		binary.BigEndian.PutUint16(packet[10:], ^sum(0, packet))
	} else {
		packet = binary.BigEndian.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(length))
		packet = append(packet, udp, streamTTL)
		packet = append(append(packet, source.AsSlice()...), to.Addr().AsSlice()...)
	}
	start := len(packet)
	packet = binary.BigEndian.AppendUint16(packet, to.Port())
	packet = binary.BigEndian.AppendUint16(packet, to.Port())
	packet = binary.BigEndian.AppendUint16(packet, uint16(length))
	packet = append(append(packet, 0, 0), payload...)
	// RFC 768, RFC 8200 section 8.1: the sum covers a pseudo-header, and is
	// never written as zero.
	pseudo := sum(udp+uint32(length), source.AsSlice(), to.Addr().AsSlice())
	checksum := ^sum(uint32(pseudo), packet[start:])
	if checksum == 0 {
		checksum = 0xffff
	}
	binary.BigEndian.PutUint16(packet[start+6:], checksum)
	return packet
}

// sum is the ones' complement sum of RFC 1071 over parts of even length, but
// for the last.
func sum(initial uint32, parts ...[]byte) uint16 {
	total := initial
	for _, part := range parts {
		for ; len(part) >= 2; part = part[2:] {
			total += uint32(part[0])<<8 | uint32(part[1])
		}
		if len(part) == 1 {
			total += uint32(part[0]) << 8
		}
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}

// openDatagram takes source and payload out of a packet that streamOf knows.
func openDatagram(packet []byte) (source netip.Addr, payload []byte) {
	header := ipv6Header
	if packet[0]>>4 == 4 {
		header = int(packet[0]&0xf) * 4
		source = netip.AddrFrom4([4]byte(packet[12:16]))
	} else {
		source = netip.AddrFrom16([16]byte(packet[8:24]))
	}
	if len(packet) < header+udpHeader {
		return source, nil
	}
	return source, packet[header+udpHeader:]
}

// memoryLinkLocal is the link-local address of every simulated host: each is
// alone on its link.
var memoryLinkLocal = netip.MustParseAddr("fe80::2")

// stateChange is the report with which a host tells a join or a leave: TO_EX
// and TO_IN without sources for any source, ALLOW and BLOCK for one (RFC 9776
// section 5.1, RFC 9777 section 6.1).
func stateChange(h *memoryHost, l *memoryListener, join bool) ([]byte, error) {
	group := l.stream.Group.Addr()
	var sources []netip.Addr
	if l.source.IsValid() {
		sources = []netip.Addr{l.source}
	}
	if group.Is4() {
		record := igmp.Record{Type: igmp.ToExclude, Group: group, Sources: sources}
		switch {
		case join && sources != nil:
			record.Type = igmp.Allow
		case sources != nil:
			record.Type = igmp.Block
		case !join:
			record.Type = igmp.ToInclude
		}
		return igmp.AppendPacket(nil, h.address(true), igmp.AllV3Routers,
			&igmp.Report{Records: []igmp.Record{record}})
	}
	record := mld.Record{Type: mld.ToExclude, Group: group, Sources: sources}
	switch {
	case join && sources != nil:
		record.Type = mld.Allow
	case sources != nil:
		record.Type = mld.Block
	case !join:
		record.Type = mld.ToInclude
	}
	return mld.AppendPacket(nil, memoryLinkLocal, mld.AllV2Routers,
		&mld.Report{Records: []mld.Record{record}})
}
