package host

import (
	"encoding/binary"
	"net/netip"
	"time"

	"umroute/tun"
)

const (
	// maxAssemblies is how many datagrams may be incomplete at a time, and
	// assemblyTime how long one may be. RFC 8200 section 4.5 allows 60 s; here the
	// fragments come from the next link.
	maxAssemblies = 64
	assemblyTime  = 2 * time.Second

	protocolFragment  = 44
	fragmentHeaderLen = 8
	moreFragments     = 0x2000 // of IPv4's flags
)

// fragment is a part of a UDP datagram to a group.
type fragment struct {
	key    fragmentKey
	header []byte // of IP, without IPv6's fragment header
	data   []byte
	offset int
	last   bool
}

// fragmentKey tells datagrams apart (RFC 791 section 3.2, RFC 8200 section 4.5).
type fragmentKey struct {
	source, group netip.Addr
	id            uint32
}

// parse reads a packet with a virtio-net header.
func (f *fragment) parse(frame []byte) bool {
	if len(frame) < tun.VirtioHeaderLen+ipv4HeaderLen {
		return false
	}
	ip := frame[tun.VirtioHeaderLen:]
	if ip[0]>>4 == 4 {
		return f.parseIPv4(ip)
	}
	return f.parseIPv6(ip)
}

func (f *fragment) parseIPv4(ip []byte) bool {
	header, total := int(ip[0]&0x0f)*4, int(binary.BigEndian.Uint16(ip[2:]))
	if header < ipv4HeaderLen || total <= header || total > len(ip) || ip[9] != protocolUDP {
		return false
	}
	field := binary.BigEndian.Uint16(ip[6:])
	*f = fragment{
		key: fragmentKey{netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20])),
			uint32(binary.BigEndian.Uint16(ip[4:]))},
		header: ip[:header], data: ip[header:total],
		offset: int(field&0x1fff) * 8, last: field&moreFragments == 0,
	}
	return f.fits()
}

// parseIPv6 wants the fragment header behind the IPv6 header, and UDP behind that.
func (f *fragment) parseIPv6(ip []byte) bool {
	const data = ipv6HeaderLen + fragmentHeaderLen
	if len(ip) <= data || ip[0]>>4 != 6 || ip[6] != protocolFragment {
		return false
	}
	total := ipv6HeaderLen + int(binary.BigEndian.Uint16(ip[4:]))
	if total <= data || total > len(ip) || ip[ipv6HeaderLen] != protocolUDP {
		return false
	}
	field := binary.BigEndian.Uint16(ip[ipv6HeaderLen+2:])
	*f = fragment{
		key: fragmentKey{netip.AddrFrom16([16]byte(ip[8:24])),
			netip.AddrFrom16([16]byte(ip[24:40])), binary.BigEndian.Uint32(ip[ipv6HeaderLen+4:])},
		header: ip[:ipv6HeaderLen], data: ip[data:total],
		offset: int(field &^ 7), last: field&1 == 0,
	}
	return f.fits()
}

// fits says whether a datagram can have such a part.
func (f *fragment) fits() bool {
	return (f.last || len(f.data)%8 == 0) && ipv6HeaderLen+f.offset+len(f.data) <= 0xffff
}

// assembly is a datagram of which parts are missing.
type assembly struct {
	began  time.Time
	header []byte // of the first fragment, nil before it has come
	data   []byte
	blocks []bool // of 8 octets, that have come
	had    int    // octets that have come
	total  int    // 0 while the last fragment has not come
}

// assemblies put datagrams together that came in fragments.
type assemblies struct {
	pending map[fragmentKey]*assembly
}

// add takes a fragment. It returns a packet, with a virtio-net header, once a
// datagram is complete. Whatever does not fit together is dropped whole, as RFC
// 5722 section 4 wants.
func (a *assemblies) add(now time.Time, f *fragment) (packet []byte) {
	p := a.pending[f.key]
	if p != nil && now.Sub(p.began) > assemblyTime {
		p = nil
	}
	if p == nil {
		p = a.begin(now, f.key)
	}
	if !p.put(f) {
		delete(a.pending, f.key)
		return nil
	}
	if p.header == nil || p.total == 0 || p.had < p.total {
		return nil
	}
	delete(a.pending, f.key)
	return p.whole()
}

// begin makes room where there is none: the oldest goes.
func (a *assemblies) begin(now time.Time, key fragmentKey) *assembly {
	if a.pending == nil {
		a.pending = make(map[fragmentKey]*assembly)
	}
	if len(a.pending) >= maxAssemblies {
		var oldest fragmentKey
		began := now.Add(time.Hour)
		for each, p := range a.pending {
			if p.began.Before(began) {
				oldest, began = each, p.began
			}
		}
		delete(a.pending, oldest)
	}
	p := &assembly{began: now}
	a.pending[key] = p
	return p
}

// put adds a part, unless it contradicts another one.
func (p *assembly) put(f *fragment) bool {
	end := f.offset + len(f.data)
	switch {
	case f.last && p.total != 0, p.total != 0 && end > p.total, f.last && len(p.data) > end:
		return false
	case f.last:
		p.total = end
	}
	if grow := end - len(p.data); grow > 0 {
		p.data = append(p.data, make([]byte, grow)...)
		p.blocks = append(p.blocks, make([]bool, (end+7)/8-len(p.blocks))...)
	}
	for block := f.offset / 8; block < (end+7)/8; block++ {
		if p.blocks[block] {
			return false
		}
		p.blocks[block] = true
	}
	copy(p.data[f.offset:], f.data)
	p.had += len(f.data)
	if f.offset == 0 {
		p.header = append([]byte(nil), f.header...)
	}
	return true
}

// whole is the packet that was fragmented.
func (p *assembly) whole() []byte {
	packet := make([]byte, tun.VirtioHeaderLen, tun.VirtioHeaderLen+len(p.header)+len(p.data))
	packet = append(append(packet, p.header...), p.data...)
	ip := packet[tun.VirtioHeaderLen:]
	if ip[0]>>4 == 4 {
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
		binary.BigEndian.PutUint16(ip[6:], 0)
	} else {
		binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)-ipv6HeaderLen))
		ip[6] = protocolUDP
	}
	return packet
}
