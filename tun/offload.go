package tun

import "fmt"

// Offload says how much of the work on packets a device and its reader leave
// to one another. Each value contains those before it.
type Offload uint8

const (
	// OffloadNone: packets are as they would be on a wire.
	OffloadNone Offload = iota
	// OffloadHeader: a header of VirtioHeaderLen octets stands before each packet
	// that is read or written (struct virtio_net_hdr, virtio 1.2 section 5.1.6.1,
	// in the order of octets of this machine), before any Ethernet header. What is
	// written may leave its checksum to the kernel; what is read is complete.
	OffloadHeader
	// OffloadChecksum: what is read may lack its transport checksum too, and
	// then holds the sum of its pseudo-header there.
	OffloadChecksum
	// OffloadSegmentation: one packet may hold many UDP datagrams, up to 65,535
	// octets, in both directions. Linux has it since 6.2.
	OffloadSegmentation
)

// VirtioHeaderLen is the length of the header before each packet, in octets.
const VirtioHeaderLen = 10

// String is the offload in a word, for logs.
func (o Offload) String() string {
	switch o {
	case OffloadNone:
		return "none"
	case OffloadHeader:
		return "header"
	case OffloadChecksum:
		return "checksum"
	case OffloadSegmentation:
		return "segmentation"
	}
	return fmt.Sprintf("offload %d", uint8(o))
}

// Offloader is a [Device] that may have more than OffloadNone. What it has
// stays as it is while the device is open.
type Offloader interface {
	Offload() Offload
}

// OffloadOf is what a device has: OffloadNone where it does not say.
func OffloadOf(d Device) Offload {
	if o, ok := d.(Offloader); ok {
		return o.Offload()
	}
	return OffloadNone
}
