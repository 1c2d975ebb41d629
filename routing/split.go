package routing

import "encoding/binary"

// room is memory for what a worker makes during one batch. All of it is free
// again with the next.
type room struct {
	bytes   []byte
	packets []packet
}

// reset frees everything.
func (r *room) reset() { r.bytes, r.packets = r.bytes[:0], r.packets[:0] }

// minRoom is where room begins, in bytes.
const minRoom = 1 << 16

// take gives n bytes behind the headroom of a packet.
func (r *room) take(n int) []byte {
	n += headroom
	if cap(r.bytes)-len(r.bytes) < n {
		// What was given out stays where it is.
		r.bytes = make([]byte, 0, max(2*cap(r.bytes), n, minRoom))
	}
	at := len(r.bytes)
	r.bytes = r.bytes[:at+n]
	return r.bytes[at : at+n : at+n]
}

// packet gives a packet like p, but alone and in n bytes of its own.
func (r *room) packet(p *packet, n int) *packet {
	if len(r.packets) == cap(r.packets) {
		r.packets = make([]packet, 0, max(2*cap(r.packets), 64))
	}
	at := len(r.packets)
	r.packets = r.packets[:at+1]
	made := &r.packets[at]
	*made = *p
	made.next, made.made, made.mtu = nil, nil, 0
	made.buf = r.take(n)
	made.start, made.end = headroom, len(made.buf)
	return made
}

// singles gives the first of the datagrams that p consists of, linked by next.
func (w *worker) singles(p *packet) *packet {
	if p.segment == 0 {
		return p
	}
	if p.made == nil {
		p.made = w.split(p)
	}
	return p.made
}

// split makes single datagrams of a super-packet, with unfinished checksums, as
// the kernel would: IPv4 IDs count up.
func (w *worker) split(p *packet) (first *packet) {
	headers, segment := p.headers(), int(p.segment)
	var last *packet
	for k := range int(p.count) {
		from := p.start + headers + k*segment
		payload := p.buf[from:min(from+segment, p.end)]
		d := w.room.packet(p, headers+len(payload))
		copy(d.ip(), p.buf[p.start:p.start+headers])
		copy(d.ip()[headers:], payload)
		d.segment = 0
		d.measure()
		d.resize(p.end-p.start, uint16(k))
		if last == nil {
			first = d
		} else {
			last.next = d
		}
		last = d
	}
	return first
}

// resize writes the length of p, a UDP packet with an unfinished checksum, into
// its headers, which are those of a packet of before bytes. ID is added to that
// of an IPv4 packet.
func (p *packet) resize(before int, id uint16) {
	b := p.ip()
	udp := b[p.transport:]
	old := before - int(p.transport)
	// The sum contains the length (RFC 1624 section 3).
	s := uint32(binary.BigEndian.Uint16(udp[udpChecksum:])) + uint32(^uint16(old)) +
		uint32(len(udp))
	s = s>>16 + s&0xffff
	binary.BigEndian.PutUint16(udp[udpChecksum:], uint16(s>>16+s))
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	p.setLength(id)
}

// setLength writes the length of p into its IP header, and adds id to the ID of
// an IPv4 packet.
func (p *packet) setLength(id uint16) {
	b := p.ip()
	if p.v6 {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-ipv6HeaderLen))
		return
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], binary.BigEndian.Uint16(b[4:])+id)
	header := b[:int(b[0]&0x0f)*4]
	binary.BigEndian.PutUint16(header[10:], 0)
	binary.BigEndian.PutUint16(header[10:], ^sum(header))
}
