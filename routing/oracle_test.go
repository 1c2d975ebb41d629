package routing

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"umroute/mgm"
)

// oracle is the forwarder written down as the rules are, one packet at a time,
// with maps and copies. It knows no time, and only the limits that bind in none.
type oracle struct {
	links   map[uint32]*oracleLink
	entries map[mgm.Flow]*oracleEntry
	ranges  map[Range]*oracleEntry
	waiting map[mgm.Flow]*oracleQueue
	queued  int // flows that have waited so far

	punted, upcalls, tooBig []string
}

// oracleLink is an interface of the oracle and what happened there.
type oracleLink struct {
	config InterfaceConfig
	tap    bool
	sent   [][]byte
	told   int       // sources, that a packet is too big
	rx, tx [2]uint64 // packets and bytes, counted where links have offloads
	drops  map[string]uint64
}

type oracleEntry struct {
	mgm.MFE
	stats    mgm.ForwarderStats
	outs     map[mgm.Iface]*mgm.OIFStats
	reported bool
}

type oracleQueue struct {
	number        int
	packets       []oraclePacket
	met, overflow uint64
}

// oraclePacket is a data packet with what the decision needs.
type oraclePacket struct {
	flow mgm.Flow
	in   uint32
	ip   []byte
	ttl  uint8
}

func newOracle() *oracle {
	return &oracle{
		links:   make(map[uint32]*oracleLink),
		entries: make(map[mgm.Flow]*oracleEntry),
		ranges:  make(map[Range]*oracleEntry),
		waiting: make(map[mgm.Flow]*oracleQueue),
	}
}

func (o *oracle) drop(index uint32, reason string) { o.links[index].drops[reason]++ }

// deliver takes what was read from a link.
func (o *oracle) deliver(index uint32, frame []byte) {
	ip := frame
	if o.links[index].tap {
		if len(frame) < 14 {
			o.drop(index, "bad_header")
			return
		}
		etherType := fmt.Sprintf("%x", frame[12:14])
		group := frame[0]%2 == 1 && !bytes.HasPrefix(frame, []byte{255, 255, 255, 255})
		if !group || etherType != "0800" && etherType != "86dd" {
			o.punt(index, frame)
			return
		}
		ip = frame[14:]
	}
	ip = bytes.Clone(ip)
	p, what := oracleParse(ip)
	if what == "data" && o.links[index].tap && (frame[12] == 0x08) != p.flow.Group.Is4() {
		what = "bad_header"
	}
	switch {
	case what == "punt":
		o.punt(index, frame)
	case what != "data":
		o.drop(index, what)
	case o.bounded(index, p.flow.Group):
		o.drop(index, "boundary")
	default:
		p.in = index
		o.forward(p)
	}
}

func (o *oracle) punt(index uint32, frame []byte) {
	o.punted = append(o.punted, fmt.Sprintf("%d %x", index, frame))
}

func (o *oracle) bounded(index uint32, group netip.Addr) bool {
	return slices.ContainsFunc(o.links[index].config.Boundary, func(p netip.Prefix) bool {
		return p.Contains(group)
	})
}

// oracleParse says "data", "punt" or why a packet is dropped.
func oracleParse(b []byte) (p oraclePacket, what string) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		return oracleParse4(b)
	case len(b) >= 40 && b[0]>>4 == 6:
		return oracleParse6(b)
	}
	return p, "bad_header"
}

func oracleParse4(b []byte) (p oraclePacket, what string) {
	source, _ := netip.AddrFromSlice(b[12:16])
	group, _ := netip.AddrFromSlice(b[16:20])
	headerLen, total := int(b[0]%16)*4, int(b[2])*256+int(b[3])
	switch {
	case !group.IsMulticast(), group.IsLinkLocalMulticast(), b[9] == 2, b[9] == 103:
		return p, "punt"
	case headerLen < 20, headerLen > total, total > len(b):
		return p, "bad_header"
	case plainChecksum(b[:headerLen]) != 0:
		return p, "bad_checksum"
	case b[12] == 0, source.IsLoopback(), source.IsMulticast(), source.IsLinkLocalUnicast(),
		source.String() == "255.255.255.255":
		return p, "bad_source"
	}
	return oraclePacket{flow: mgm.Flow{Source: source, Group: group}, ip: b[:total], ttl: b[8]},
		"data"
}

func oracleParse6(b []byte) (p oraclePacket, what string) {
	source, _ := netip.AddrFromSlice(b[8:24])
	group, _ := netip.AddrFromSlice(b[24:40])
	total := 40 + int(b[4])*256 + int(b[5])
	scope := b[25] % 16
	next := b[6]
	switch {
	case !group.IsMulticast():
		return p, "punt"
	case scope < 2:
		return p, "group_scope"
	case scope == 2:
		return p, "punt"
	case total > len(b):
		return p, "bad_header"
	}
	b = b[:total]
	if next == 0 {
		rest := b[40:]
		if len(rest) < 8 || len(rest) < int(rest[1])*8+8 {
			return p, "bad_header"
		}
		next = rest[0]
		rest = rest[int(rest[1])*8+8:]
		if next == 58 && len(rest) > 0 && bytes.IndexByte([]byte{130, 131, 132, 143}, rest[0]) >= 0 {
			return p, "punt"
		}
	}
	switch {
	case next == 103:
		return p, "punt"
	case !source.IsGlobalUnicast(), source.Is4In6():
		return p, "bad_source"
	}
	return oraclePacket{flow: mgm.Flow{Source: source, Group: group}, ip: b, ttl: b[7]}, "data"
}

// forward looks the flow up and obeys.
func (o *oracle) forward(p oraclePacket) {
	e := o.entries[p.flow]
	if e == nil {
		e = o.inRange(p.flow)
	}
	switch {
	case e == nil && p.ttl <= 1:
		o.drop(p.in, "ttl")
	case e == nil:
		o.wait(p)
	case e.In.Index != p.in:
		e.stats.DifferentIf++
		o.drop(p.in, "wrong_if")
		if !e.reported {
			o.upcall("wrongif", p)
		}
		e.reported = true
	default:
		o.replicate(e, p, true)
	}
}

func (o *oracle) upcall(what string, p oraclePacket) {
	header := p.ip[:min(len(p.ip), 128)]
	o.upcalls = append(o.upcalls, fmt.Sprintf("%s %v %d %x", what, p.flow, p.in, header))
}

func (o *oracle) wait(p oraclePacket) {
	q := o.waiting[p.flow]
	if q == nil {
		o.queued++
		q = &oracleQueue{number: o.queued}
		o.waiting[p.flow] = q
		o.upcall("miss", p)
	}
	q.met++
	if len(q.packets) == 4 {
		q.overflow++
		o.drop(p.in, "queue_overflow")
		return
	}
	q.packets = append(q.packets, p)
}

// set installs an entry, keeps the counters of one that is there, and forwards
// what waits.
func (o *oracle) set(m mgm.MFE) {
	e := o.entries[m.Flow]
	if e != nil {
		e.MFE = m
		return
	}
	e = &oracleEntry{MFE: m, outs: make(map[mgm.Iface]*mgm.OIFStats)}
	o.entries[m.Flow] = e
	if o.waiting[m.Flow] != nil {
		o.release(m.Flow, e)
	}
}

// release forwards what waits for e.
func (o *oracle) release(f mgm.Flow, e *oracleEntry) {
	q := o.waiting[f]
	delete(o.waiting, f)
	e.stats.Uninit += q.met
	e.stats.QueueOverflow += q.overflow
	for _, p := range q.packets {
		switch {
		case p.in != e.In.Index:
			e.stats.DifferentIf++
			o.drop(p.in, "wrong_if")
		default:
			o.replicate(e, p, false)
		}
	}
}

// all gives the counters with those of the outputs.
func (e *oracleEntry) all() mgm.ForwarderStats {
	all := e.stats
	all.OIFs = make([]mgm.OIFStats, 0, len(e.OIFs))
	for _, oif := range e.OIFs {
		s := mgm.OIFStats{Iface: oif}
		if e.outs[oif] != nil {
			s = *e.outs[oif]
		}
		all.OIFs = append(all.OIFs, s)
	}
	for _, s := range e.outs {
		all.TotalOutPackets += s.OutPackets
	}
	return all
}

// replicate sends p to the outputs, and where tell is true tells the source if
// it is too long. Of packets that waited nobody is told.
func (o *oracle) replicate(e *oracleEntry, p oraclePacket, tell bool) {
	e.stats.InPackets++
	e.stats.InOctets += uint64(len(p.ip))
	if p.ttl <= 1 {
		e.stats.InHdrErrors++
		o.drop(p.in, "ttl")
		return
	}
	if len(slices.DeleteFunc(slices.Clone(e.OIFs), func(i mgm.Iface) bool {
		return i.Index == e.In.Index
	})) == 0 {
		e.stats.Negative++
		o.drop(p.in, "negative")
		return
	}
	ip := bytes.Clone(p.ip)
	if ip[0]>>4 == 4 {
		ip[8]--
		setChecksum(ip)
	} else {
		ip[7]--
	}
	smallest := 1 << 20
	for _, oif := range e.OIFs {
		if oif.Index != p.in {
			smallest = min(smallest, o.output(e, oif, p, ip))
		}
	}
	// In the tests' standing time, the limit lets ten of each link through.
	if in := o.links[p.in]; smallest < 1<<20 && ip[0]>>4 == 6 && tell && in.told < 10 {
		in.told++
		o.tooBig = append(o.tooBig, fmt.Sprintf("%d %d %x", p.in, smallest, ip))
	}
}

// output sends ip to one interface, and gives its MTU if ip is too long.
func (o *oracle) output(e *oracleEntry, oif mgm.Iface, p oraclePacket, ip []byte) int {
	const fits = 1 << 20
	if e.outs[oif] == nil {
		e.outs[oif] = &mgm.OIFStats{Iface: oif}
	}
	stats, out := e.outs[oif], o.links[oif.Index]
	switch {
	case out.config.Device == nil:
		stats.OutDiscards++
		o.drop(oif.Index, "no_interface")
		return fits
	case out.config.Domain != o.links[p.in].config.Domain:
		stats.OutDiscards++
		o.drop(oif.Index, "domain")
		return fits
	case o.bounded(oif.Index, p.flow.Group):
		stats.OutDiscards++
		o.drop(oif.Index, "boundary")
		return fits
	case p.ttl <= max(out.config.TTLThreshold, 1):
		stats.TTLTooLow++
		o.drop(oif.Index, "ttl_threshold")
		return fits
	}
	pieces := [][]byte{ip}
	if len(ip) > out.config.MTU {
		pieces = nil
		if ip[0]>>4 == 4 {
			pieces = oracleFragment(ip, out.config.MTU)
		}
		if pieces == nil {
			stats.FragNeeded++
			o.drop(oif.Index, "frag_needed")
			return out.config.MTU
		}
	}
	stats.OutPackets++
	for _, piece := range pieces {
		out.sent = append(out.sent, out.framed(piece))
	}
	return fits
}

// framed gives the packet as the link carries it.
func (l *oracleLink) framed(ip []byte) []byte {
	switch {
	case !l.tap:
		return ip
	case ip[0]>>4 == 4:
		group := []byte{1, 0, 0x5e, ip[17] & 127, ip[18], ip[19]}
		return slices.Concat(group, l.config.HardwareAddr, []byte{8, 0}, ip)
	}
	group := []byte{0x33, 0x33, ip[36], ip[37], ip[38], ip[39]}
	return slices.Concat(group, l.config.HardwareAddr, []byte{0x86, 0xdd}, ip)
}

func setChecksum(ip []byte) {
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], plainChecksum(ip[:int(ip[0]%16)*4]))
}

// oracleFragment splits an IPv4 packet, or gives nil where that cannot be.
func oracleFragment(ip []byte, mtu int) (pieces [][]byte) {
	header, payload := ip[:int(ip[0]%16)*4], ip[int(ip[0]%16)*4:]
	flags, offset := ip[6]>>5, int(binary.BigEndian.Uint16(ip[6:])%0x2000)
	if flags&2 != 0 || len(header)+8 > mtu || offset*8+len(payload)/8*8 > 0x1fff*8 {
		return nil
	}
	for len(payload) > 0 {
		piece := len(payload)
		last := len(header)+piece <= mtu
		if !last {
			piece = (mtu - len(header)) / 8 * 8
		}
		b := slices.Concat(header, payload[:piece])
		b[0] = 0x40 + byte(len(header)/4)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		more := 1
		if last {
			more = int(flags & 1)
		}
		binary.BigEndian.PutUint16(b[6:], uint16(int(flags&4)<<13|more<<13|offset))
		setChecksum(b)
		pieces = append(pieces, b)
		payload = payload[piece:]
		offset += piece / 8
		header = slices.Concat(ip[:20], oracleCopied(ip[20:int(ip[0]%16)*4]))
	}
	return pieces
}

// oracleCopied gives the options that go into all fragments, padded.
func oracleCopied(options []byte) (copied []byte) {
	for len(options) > 0 && options[0] != 0 {
		n := 1
		if options[0] != 1 {
			if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
				break
			}
			n = int(options[1])
		}
		if options[0] >= 128 {
			copied = append(copied, options[:n]...)
		}
		options = options[n:]
	}
	for len(copied)%4 != 0 {
		copied = append(copied, 0)
	}
	return copied
}
