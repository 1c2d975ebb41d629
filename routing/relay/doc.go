// Package relay carries datagrams of groups that no router forwards, such as
// those of mDNS (RFC 6762), LLMNR (RFC 4795) and SSDP, from one link to others.
// Which groups and ports, and between which links, is named one by one.
//
// A relayed datagram keeps its TTL, which many receivers want to be 255 or 1, its
// ports, and its source where the source means something on another link. A
// link-local source does not (RFC 4007 section 5, RFC 3927 section 2.7), and
// becomes the router's own address there.
//
// As the TTL does not end a loop, two other rules do, also with several relays
// between the same links:
//
//   - A datagram with a source that can be routed is taken from the link that
//     the source is reached by, and from no other (RFC 1812 section 5.3.8).
//   - Of datagrams from link-local sources that say the same to the same group,
//     only those from whoever said it first are taken, until that one has been
//     silent for 5 s. Relays send from addresses of their own, so what goes
//     round comes back from somebody else.
//
// A [Relay] is a state machine: it has no clock and no goroutine.
//
// Deliberately missing: unicast answers to a source that had to be replaced, and
// fragments.
package relay
