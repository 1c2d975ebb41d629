package main

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// sendRaw has a packet that need not be one leave the station's device.
func (s *station) sendRaw(packets ...[]byte) {
	s.t.Helper()
	if s.raw == nil {
		s.raw = packetSocket(s, device)
		s.t.Cleanup(func() { s.raw.Close() })
	}
	index := s.Index(device)
	raw, err := s.raw.SyscallConn()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, packet := range packets {
		protocol := uint16(unix.ETH_P_IP)
		if len(packet) > 0 && packet[0]>>4 == 6 {
			protocol = unix.ETH_P_IPV6
		}
		to := &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: index}
		var sendErr error
		err := raw.Write(func(fd uintptr) bool {
			sendErr = unix.Sendto(int(fd), packet, 0, to)
			// The queue of the device is full until the router has read.
			return sendErr != unix.EAGAIN
		})
		if err != nil || sendErr != nil && sendErr != unix.ENOBUFS {
			s.t.Fatalf("send a raw packet of %d bytes: %v %v", len(packet), err, sendErr)
		}
	}
}

// udpPacket is a complete UDP datagram in IPv4 or IPv6.
func udpPacket(from, to netip.AddrPort, ttl int, payload string) []byte {
	datagram := make([]byte, 8+len(payload))
	binary.BigEndian.PutUint16(datagram, from.Port())
	binary.BigEndian.PutUint16(datagram[2:], to.Port())
	binary.BigEndian.PutUint16(datagram[4:], uint16(len(datagram)))
	copy(datagram[8:], payload)
	sum := transportChecksum(from.Addr(), to.Addr(), unix.IPPROTO_UDP, datagram)
	binary.BigEndian.PutUint16(datagram[6:], sum)
	return ipPacket(from.Addr(), to.Addr(), unix.IPPROTO_UDP, ttl, nil, datagram)
}

// ipPacket puts an IP header in front of a payload. Options are those of IPv4,
// in whole words, or the hop-by-hop options of IPv6 with their header.
func ipPacket(from, to netip.Addr, protocol byte, ttl int, options, payload []byte) []byte {
	if from.Is4() {
		packet := make([]byte, 20, 20+len(options)+len(payload))
		packet[0] = 0x45 + byte(len(options)/4)
		binary.BigEndian.PutUint16(packet[2:], uint16(20+len(options)+len(payload)))
		packet[8], packet[9] = byte(ttl), protocol
		copy(packet[12:], from.AsSlice())
		copy(packet[16:], to.AsSlice())
		packet = append(packet, options...)
		binary.BigEndian.PutUint16(packet[10:], ^sum(0, packet))
		return append(packet, payload...)
	}
	packet := make([]byte, 40, 40+len(options)+len(payload))
	packet[0] = 0x60
	binary.BigEndian.PutUint16(packet[4:], uint16(len(options)+len(payload)))
	packet[6], packet[7] = protocol, byte(ttl)
	if len(options) > 0 {
		packet[6] = unix.IPPROTO_HOPOPTS
	}
	copy(packet[8:], from.AsSlice())
	copy(packet[24:], to.AsSlice())
	return append(append(packet, options...), payload...)
}

// transportChecksum is that of UDP and ICMPv6, with the pseudo-header
// (RFC 768, RFC 8200 section 8.1).
func transportChecksum(from, to netip.Addr, protocol byte, payload []byte) uint16 {
	total := uint16(0)
	total = sum(total, from.AsSlice())
	total = sum(total, to.AsSlice())
	total = sum(total, []byte{0, protocol})
	total = sum(total, binary.BigEndian.AppendUint16(nil, uint16(len(payload))))
	if result := ^sum(total, payload); result != 0 {
		return result
	}
	return 0xffff
}

// sum is the ones' complement sum of RFC 1071, which continues a former one.
func sum(former uint16, b []byte) uint16 {
	total := uint32(former)
	for i := 0; i+1 < len(b); i += 2 {
		total += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		total += uint32(b[len(b)-1]) << 8
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}
