package routing

import "encoding/binary"

// What the host stack needs to know of TCP super-packets, which packet links
// bring: kinds of struct virtio_net_hdr, and the TCP header (RFC 9293 section
// 3.1).
const (
	virtioTCP4 = 1
	virtioTCP6 = 4

	protocolTCP  = 6
	tcpHeaderLen = 20
	tcpChecksum  = 16

	tcpOnlyLast  = 0x01 | 0x08 // FIN, PSH
	tcpOnlyFirst = 0x80        // CWR (RFC 3168 section 6.1.2)
)

// puntTCP leaves the segments of a TCP super-packet that a host sent to the
// host stack, if p is one.
func (w *worker) puntTCP(p *packet) bool {
	if w.in.header == 0 || p.end <= p.start || p.checksum != checksumUnfinished {
		return false
	}
	header := p.buf[headroom:]
	kind, size := header[1]&^virtioECN, int(binary.NativeEndian.Uint16(header[4:]))
	headers := p.tcpHeaders()
	if kind != virtioTCP4 && kind != virtioTCP6 || size == 0 || headers == 0 {
		return false
	}
	ethernet := p.buf[p.start-w.in.ethernet : p.start]
	n := uint64(0)
	for from := headers; p.start+from < p.end; from += size {
		w.puntOne(w.segment(p, headers, from, size), ethernet)
		n++
	}
	w.counts.punted.add(n)
	w.counts.packets.add(n - 1) // it was taken for one
	w.counts.octets.add((n - 1) * uint64(len(ethernet)+headers))
	return true
}

// tcpHeaders is the length of the IP and TCP headers of p; 0 where p is no
// unicast TCP packet with an unfinished checksum and something to carry.
func (p *packet) tcpHeaders() int {
	b := p.ip()
	at := int(p.transport)
	if len(b) < at+tcpHeaderLen || at < ipv4HeaderLen || p.field != tcpChecksum {
		return 0
	}
	switch p.v6 = b[0]>>4 == 6; {
	case p.v6:
		if at < ipv6HeaderLen || b[24] == 0xff ||
			int(binary.BigEndian.Uint16(b[4:])) != len(b)-ipv6HeaderLen {
			return 0
		}
	case b[0]>>4 != 4, int(b[0]&0x0f)*4 != at, b[9] != protocolTCP, b[16]>>4 == 0xe,
		int(binary.BigEndian.Uint16(b[2:])) != len(b):
		return 0
	}
	headers := at + int(b[at+12]>>4)*4
	if headers < at+tcpHeaderLen || headers >= len(b) {
		return 0
	}
	return headers
}

// segment makes a packet of its own of up to size bytes of p, as the kernel
// would (RFC 9293 section 3.1, RFC 791 section 3.1).
func (w *worker) segment(p *packet, headers, from, size int) *packet {
	whole := p.ip()
	to := min(from+size, len(whole))
	d := w.room.packet(p, headers+to-from)
	b := d.ip()
	copy(b, whole[:headers])
	copy(b[headers:], whole[from:to])
	tcp := b[p.transport:]
	binary.BigEndian.PutUint32(tcp[4:], binary.BigEndian.Uint32(tcp[4:])+uint32(from-headers))
	if to < len(whole) {
		tcp[13] &^= tcpOnlyLast
	}
	if from > headers {
		tcp[13] &^= tcpOnlyFirst
	}
	// The sum contains the length (RFC 1624 section 3).
	s := uint32(binary.BigEndian.Uint16(tcp[tcpChecksum:])) +
		uint32(^uint16(len(whole)-int(p.transport))) + uint32(len(tcp))
	s = s>>16 + s&0xffff
	binary.BigEndian.PutUint16(tcp[tcpChecksum:], uint16(s>>16+s))
	d.setLength(uint16((from - headers) / size))
	return d
}
