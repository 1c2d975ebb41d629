package engine

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"umroute/mgm"
)

// Socket options of the kernel's multicast forwarding (linux/mroute.h and
// linux/mroute6.h; both families number them alike).
const (
	mrtInit   = 200
	mrtAddVIF = 202
	mrtAddMFC = 204

	vifUseIndex = 0x8 // VIFF_USE_IFINDEX
	maxVIFs     = 32  // MAXVIFS
)

// mrtFamily is the interface to the forwarding of one address family.
type mrtFamily struct {
	name             string
	domain, protocol int
	level            int
	interfaceRequest func(number, index int) []byte
	entryRequest     func(f mgm.Flow, oifs int) []byte
}

var families = [2]mrtFamily{
	{"IPv4", unix.AF_INET, unix.IPPROTO_IGMP, unix.IPPROTO_IP, vifRequest, mfcRequest},
	{"IPv6", unix.AF_INET6, unix.IPPROTO_ICMPV6, unix.IPPROTO_IPV6, mifRequest, mf6cRequest},
}

// vifRequest returns a struct vifctl: number, flags, threshold, rate limit,
// index, remote address.
func vifRequest(number, index int) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(number))
	b = append(b, vifUseIndex, 1)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = binary.NativeEndian.AppendUint32(b, uint32(index))
	return append(b, 0, 0, 0, 0)
}

// mfcRequest returns a struct mfcctl: origin, group, parent, a TTL threshold
// for each interface where 0 is none, padding, and counters that only reading
// fills in. Interface 0 leads to the sender.
func mfcRequest(f mgm.Flow, oifs int) []byte {
	source, group := f.Source.As4(), f.Group.As4()
	b := append(source[:], group[:]...)
	b = binary.NativeEndian.AppendUint16(b, 0)
	var thresholds [maxVIFs]byte
	for i := range oifs {
		thresholds[i+1] = 1
	}
	b = append(b, thresholds[:]...)
	return append(b, make([]byte, 2+4*4)...)
}

// mifRequest returns a struct mif6ctl: number, flags, threshold, index,
// padding, rate limit.
func mifRequest(number, index int) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(number))
	b = append(b, 0, 1)
	b = binary.NativeEndian.AppendUint16(b, uint16(index))
	return append(b, make([]byte, 2+4)...)
}

// mf6cRequest returns a struct mf6cctl: origin and group as socket addresses,
// parent, padding, and the set of the 256 interfaces that there may be.
func mf6cRequest(f mgm.Flow, oifs int) []byte {
	var b []byte
	for _, addr := range [][16]byte{f.Source.As16(), f.Group.As16()} {
		b = binary.NativeEndian.AppendUint16(b, unix.AF_INET6)
		b = append(b, make([]byte, 2+4)...) // port, flow label
		b = append(b, addr[:]...)
		b = append(b, make([]byte, 4)...) // scope
	}
	b = binary.NativeEndian.AppendUint16(b, 0)
	b = append(b, 0, 0)
	var set [8]uint32
	for i := range oifs {
		set[(i+1)/32] |= 1 << ((i + 1) % 32)
	}
	for _, word := range set {
		b = binary.NativeEndian.AppendUint32(b, word)
	}
	return b
}
