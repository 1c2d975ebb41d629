package routing

import (
	"encoding/binary"
	"math/bits"
)

// Limits of a super-packet: what kernels before 6.18 take, and what leaves room
// for all headers in 65,535 bytes.
const (
	maxJoined      = 64
	maxJoinedBytes = 65_000
)

// runSlots is how many flows of a batch can have a run at a time.
const runSlots = 64

// runs finds the last run of a flow in a batch. A flow that falls into the slot
// of another ends that one's run.
type runs struct {
	slots [runSlots]run
	used  uint64 // the slots that have one
}

// run is a number of datagrams that can be one super-packet.
type run struct {
	first, last   *packet
	count, length int // of the super-packet
}

// join links the datagrams of a batch that can be one super-packet: those of
// one flow that follow one another, whatever stands between them. The first of
// a run stands for all; the order within a flow is that of the batch.
func (w *worker) join() {
	r := &w.runs
	r.used = 0
	for i := range w.packets {
		p := &w.packets[i]
		if p.entry == nil || !p.joinable() {
			r.end(&p.key)
			continue
		}
		slot := p.slot()
		at, bit := &r.slots[slot], uint64(1)<<slot
		if r.used&bit == 0 || !at.add(p) {
			r.used |= bit
			*at = run{first: p, last: p, count: 1, length: int(p.size)}
		}
	}
}

// end ends the runs of a flow's (S,G): something of it comes that may not be
// overtaken and tells no ports.
func (r *runs) end(k *key) {
	for used := r.used; used != 0; used &= used - 1 {
		if slot := bits.TrailingZeros64(used); r.slots[slot].first.key == *k {
			r.used &^= 1 << slot
		}
	}
}

// slot spreads flows by addresses and ports.
func (p *packet) slot() int {
	const odd = 0x9e3779b97f4a7c15
	ports := uint64(binary.BigEndian.Uint32(p.buf[p.start+int(p.transport):]))
	h := p.key.source[0] + p.key.source[1]*odd
	h = bits.RotateLeft64(h, 31) ^ p.key.group[0] ^ p.key.group[1] ^ ports<<17
	return int(h * odd >> 58)
}

// joinable says whether p is a UDP datagram that can be part of a super-packet:
// no options or extension headers, no fragment, not empty, with a checksum. It
// sets where the UDP header is.
func (p *packet) joinable() bool {
	if p.segment != 0 {
		return false
	}
	b := p.ip()
	header := ipv4HeaderLen
	if p.v6 {
		header = ipv6HeaderLen
		if b[6] != protocolUDP {
			return false
		}
	} else {
		field := binary.BigEndian.Uint16(b[6:])
		if b[0] != 0x45 || b[9] != protocolUDP || field&^flagDontFragment != 0 {
			return false
		}
	}
	if len(b) <= header+udpHeaderLen {
		return false
	}
	udp := b[header:]
	if int(binary.BigEndian.Uint16(udp[4:])) != len(udp) {
		return false
	}
	if p.checksum == checksumUnfinished {
		return int(p.transport) == header && p.field == udpChecksum
	}
	p.transport, p.field = uint16(header), udpChecksum
	return binary.BigEndian.Uint16(udp[udpChecksum:]) != 0
}

// add puts d at the end of the run, if it may be there.
func (r *run) add(d *packet) bool {
	p, payload := r.first, int(d.size)-d.headers()
	switch {
	case p.key != d.key, p.entry != d.entry, p.ttl != d.ttl, !p.sameHeaders(d):
		return false
	case d.size > p.size, r.last.size < p.size: // only the last may be shorter
		return false
	case r.count == maxJoined, r.length+payload > maxJoinedBytes:
		return false
	case !p.verified(), !d.verified():
		return false
	}
	d.joined = true
	r.last.next, r.last = d, d
	r.length += payload
	r.count++
	return true
}

// sameHeaders compares what the addresses, the TTL and the lengths leave: ports,
// type of service and Don't Fragment, or traffic class and flow label.
func (p *packet) sameHeaders(d *packet) bool {
	a, b := p.ip(), d.ip()
	ports := p.transport
	if binary.BigEndian.Uint32(a[ports:]) != binary.BigEndian.Uint32(b[ports:]) {
		return false
	}
	if p.v6 {
		return binary.BigEndian.Uint32(a) == binary.BigEndian.Uint32(b)
	}
	return a[1] == b[1] && a[6] == b[6]
}

// unlink makes single packets of a run again.
func (p *packet) unlink() {
	for d := p; d != nil; {
		next := d.next
		d.next, d.joined = nil, false
		d = next
	}
}

// whole gives p, a run or a super-packet, as one packet, or nil where that
// cannot be. A run is copied together once, for all outputs.
func (w *worker) whole(p *packet) *packet {
	if p.segment != 0 {
		if p.passable() {
			return p
		}
		return nil
	}
	if p.made == nil {
		p.made = w.merge(p)
	}
	return p.made
}

// merge makes a super-packet of a run, with an unfinished checksum.
func (w *worker) merge(p *packet) *packet {
	segment := int(p.size) - p.headers()
	length, count := p.headers(), int32(0)
	for d := p; d != nil; d = d.next {
		length += int(d.size) - d.headers()
		count++
	}
	all := w.room.packet(p, length)
	b := all.ip()
	at := copy(b, p.ip())
	for d := p.next; d != nil; d = d.next {
		at += copy(b[at:], d.ip()[d.headers():])
	}
	all.segment, all.count = uint16(segment), count
	all.checksum = checksumUnfinished
	udp := b[all.transport:]
	binary.BigEndian.PutUint16(udp[udpChecksum:], all.pseudoSum(len(udp)))
	all.resize(length, 0)
	return all
}
