// Package mld is the wire format of MLD, the protocol with which IPv6 hosts
// tell the routers of their link which multicast groups and sources they want.
// It knows every message of MLDv1 (RFC 2710) and MLDv2 (RFC 9777) in both
// directions, and the IPv6 packets that carry them: MLD is a part of ICMPv6,
// and always comes behind a Hop-by-Hop header with a Router Alert.
//
// Encoders append to the caller's buffer; decoders reuse the slices of the
// value they fill. Neither allocates once the memory has grown to its size.
//
// The ICMPv6 checksum covers addresses of the IPv6 header, so AppendPacket
// writes it and ParsePacket verifies it; a message alone has none.
package mld
