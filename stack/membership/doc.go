// Package membership is the router side of IGMP and MLD: it learns from the
// reports of hosts which groups and sources are wanted on each interface, asks
// them from time to time, and tells the Multicast Group Manager what changed.
//
// One machine serves both families, since RFC 9776 section 6 and RFC 9777
// section 7 describe the same one in two vocabularies. It speaks IGMPv1 to v3
// and MLDv1 to v2, and keeps
//
//   - per group a filter mode, a group timer and source timers (RFC 9776
//     section 6.2), changed by the tables of section 6.4;
//   - per group the versions its hosts speak (section 7.3.2);
//   - per group which host asked for what (explicit tracking),
//     so that with FastLeave the last leave acts at once;
//   - per interface the querier (section 6.6.2), with its intervals.
//
// A [Router] is pure: it has no goroutine, no lock and no clock. Its owner
// calls Handle for each packet and Advance when Deadline has come:
//
//	router.Handle(now, index, packet)
//	if at, ok := router.Deadline(); ok && !at.After(now) {
//		router.Advance(now)
//	}
//
// Everything a host can make the router keep is bounded: groups and sources by
// the limits of [InterfaceConfig], tracked hosts by constants of this package.
//
// Deliberately missing: the host side, snooping, and multicast router discovery
// (RFC 4286).
package membership
