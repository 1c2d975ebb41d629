package host

import "sync/atomic"

// Drop is a reason why a datagram was not taken in or not sent.
type Drop uint8

const (
	// DropOwn: sent by this router, and come back from the host's own loop.
	DropOwn Drop = iota
	// DropOtherDevice: received by another device of the host.
	DropOtherDevice
	// DropTruncated: longer than the buffer it was read into.
	DropTruncated
	// DropSocketQueue: the socket's queue was full; the router read too slowly.
	DropSocketQueue
	// DropNotUDP: a packet that is no UDP datagram to a group cannot be sent.
	DropNotUDP
	// DropFragment: a fragment that is no part of a UDP datagram.
	DropFragment
	// DropBadHeader: a header that cannot be.
	DropBadHeader
	// DropBadChecksum: the UDP checksum is wrong.
	DropBadChecksum
	// DropSend: the kernel did not take it.
	DropSend

	drops // how many reasons there are
)

// String gives the name of the reason as statistics show it. Names stay.
func (d Drop) String() string {
	return [drops]string{
		DropOwn:         "own_loop",
		DropOtherDevice: "other_device",
		DropTruncated:   "truncated",
		DropSocketQueue: "socket_queue",
		DropNotUDP:      "not_udp",
		DropFragment:    "fragment",
		DropBadHeader:   "bad_header",
		DropBadChecksum: "bad_checksum",
		DropSend:        "send",
	}[d]
}

// dropCounters counts by reason. Packets that are dropped are few.
type dropCounters [drops]atomic.Uint64

// Drops are the datagrams that were lost here, by reason.
func (d *Device) Drops() map[string]uint64 {
	counts := make(map[string]uint64)
	for reason := range drops {
		if n := d.dropped[reason].Load(); n > 0 {
			counts[reason.String()] = n
		}
	}
	return counts
}
