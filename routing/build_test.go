package routing

import (
	"encoding/binary"
	"net/netip"

	"umroute/mgm"
)

// ipv4 is an IPv4 packet to be. Zero fields get what makes a sound packet.
type ipv4 struct {
	source, group string
	ttl           byte
	protocol      byte // 0 is UDP
	id            uint16
	field         uint16 // flags and fragment offset
	options       []byte // a multiple of 4
	payload       []byte
}

func (p ipv4) bytes() []byte {
	headerLen := 20 + len(p.options)
	b := make([]byte, headerLen, headerLen+len(p.payload))
	b[0] = 0x40 | byte(headerLen/4)
	b = append(b, p.payload...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], p.id)
	binary.BigEndian.PutUint16(b[6:], p.field)
	b[8], b[9] = p.ttl, p.protocol
	if p.protocol == 0 {
		b[9] = 17
	}
	copy(b[12:], netip.MustParseAddr(p.source).AsSlice())
	copy(b[16:], netip.MustParseAddr(p.group).AsSlice())
	copy(b[20:], p.options)
	binary.BigEndian.PutUint16(b[10:], plainChecksum(b[:headerLen]))
	return b
}

// plainChecksum is RFC 1071 as it is written: 16 bits at a time.
func plainChecksum(b []byte) uint16 {
	var s uint32
	for i := 0; i < len(b); i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
		if s > 0xffff {
			s -= 0xffff
		}
	}
	return ^uint16(s)
}

// ipv6 is an IPv6 packet to be.
type ipv6 struct {
	source, group string
	hops          byte
	next          byte // 0 is UDP unless hopByHop is there
	hopByHop      []byte
	payload       []byte
}

func (p ipv6) bytes() []byte {
	b := make([]byte, 40)
	b[0] = 0x60
	b[6], b[7] = p.next, p.hops
	if p.next == 0 && p.hopByHop == nil {
		b[6] = 17
	}
	copy(b[8:], netip.MustParseAddr(p.source).AsSlice())
	copy(b[24:], netip.MustParseAddr(p.group).AsSlice())
	b = append(append(b, p.hopByHop...), p.payload...)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
	return b
}

// frame puts an Ethernet header in front of a packet.
func frame(destination string, etherType uint16, packet []byte) []byte {
	b := []byte(destination + "\x02\x00\x00\x00\x00\xee\x00\x00")
	binary.BigEndian.PutUint16(b[12:], etherType)
	return append(b, packet...)
}

// flowOf parses the addresses of a flow.
func flowOf(source, group string) mgm.Flow {
	return mgm.Flow{Source: netip.MustParseAddr(source), Group: netip.MustParseAddr(group)}
}

// mfe makes an entry.
func mfe(f mgm.Flow, in uint32, outs ...uint32) mgm.MFE {
	m := mgm.MFE{Flow: f, In: mgm.Iface{Index: in}}
	for _, index := range outs {
		m.OIFs = append(m.OIFs, mgm.Iface{Index: index})
	}
	return m
}
