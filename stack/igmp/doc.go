// Package igmp is the wire format of IGMP, the protocol with which IPv4 hosts
// tell the routers of their link which multicast groups and sources they want.
// It knows every message of IGMPv1 (RFC 1112), IGMPv2 (RFC 2236) and IGMPv3
// (RFC 9776) in both directions, and the IPv4 packets that carry them.
//
// Encoders append to the caller's buffer; decoders reuse the slices of the
// value they fill. Neither allocates once the memory has grown to its size.
//
//	packet, err := igmp.ParsePacket(b) // header, checksums, Router Alert
//	switch igmp.Type(packet.Message[0]) {
//	case igmp.TypeV3Report:
//		err = report.UnmarshalBinary(packet.Message)
//	}
//
// The package holds no protocol state and judges no content: whether a group
// may be joined, or a source be heard, is the caller's affair.
package igmp
