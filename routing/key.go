package routing

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"umroute/mgm"
)

// address is an IPv6 address, high half first, or an IPv4 address in the low
// bits of the low half. Which of the two, the context says.
type address [2]uint64

// key names a flow inside the table of one family.
type key struct{ source, group address }

// addressOf turns an address into the form that the table works with.
func addressOf(a netip.Addr) address {
	if a.Is4() {
		b := a.As4()
		return address{1: uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return address{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// addr is the inverse of addressOf.
func (a address) addr(v6 bool) netip.Addr {
	if !v6 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(a[1]))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], a[0])
	binary.BigEndian.PutUint64(b[8:], a[1])
	return netip.AddrFrom16(b)
}

// keyOf gives the key of a flow, in the table of its family.
func keyOf(f mgm.Flow) key {
	return key{source: addressOf(f.Source), group: addressOf(f.Group)}
}

// flow is the inverse of keyOf.
func (k key) flow(v6 bool) mgm.Flow {
	return mgm.Flow{Source: k.source.addr(v6), Group: k.group.addr(v6)}
}

// hash spreads keys by folded multiplication. The seed is random and stays in
// the process, so that nobody can choose flows that fall onto one another.
func (k *key) hash(seed *[4]uint64) uint64 {
	if k.source[0]|k.group[0] == 0 { // IPv4
		h, l := bits.Mul64((k.source[1]<<32|k.group[1])^seed[0], seed[1])
		return h ^ l
	}
	h1, l1 := bits.Mul64(k.source[0]^seed[0], k.source[1]^seed[1])
	h2, l2 := bits.Mul64(k.group[0]^seed[2], k.group[1]^seed[3])
	h, l := bits.Mul64(h1^l1^seed[3], h2^l2^seed[1])
	return h ^ l
}

// groupRange is a range of groups that a scope boundary keeps in.
type groupRange struct{ prefix, mask address }

// rangeOf gives the groups that p covers. For IPv4 the high half of an address
// is 0 on both sides of every comparison.
func rangeOf(p netip.Prefix) groupRange {
	var r groupRange
	host := p.Addr().BitLen() - p.Bits()
	r.mask = address{^uint64(0), ^uint64(0)}
	if p.Addr().Is4() {
		r.mask[0] = 0
	}
	if host >= 64 {
		r.mask = address{r.mask[0] << (host - 64), 0}
	} else {
		r.mask[1] <<= host
	}
	a := addressOf(p.Addr())
	r.prefix = address{a[0] & r.mask[0], a[1] & r.mask[1]}
	return r
}

// inside says whether one of the ranges holds the group.
func inside(ranges []groupRange, group *address) bool {
	for i := range ranges {
		r := &ranges[i]
		if group[0]&r.mask[0] == r.prefix[0] && group[1]&r.mask[1] == r.prefix[1] {
			return true
		}
	}
	return false
}
