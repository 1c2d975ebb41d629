// Package proxy is IGMP and MLD proxying (RFC 4605): a router without a
// routing protocol that asks upstream, as a host, for what its downstream
// links want, and forwards between them.
//
// It is a client of the Multicast Group Manager of the role RoleRouting, one
// per family. Its parts are
//
//   - a [Database]: what each downstream interface wants of each group, and the
//     union of that (RFC 3376 section 3.2, RFC 4605 section 4.1);
//   - [Rules]: which of several upstream interfaces a source and group belong
//     to;
//   - a [Host] on each upstream interface: the group member of RFC 9776 section
//     5 and RFC 9777 section 6, in the version that the querier there speaks;
//   - a [Proxy], which ties them together and answers the manager.
//
// The router side of IGMP and MLD on the downstream interfaces is that of
// stack/membership, of which the package hears through the manager. On the
// upstream interfaces there is none (RFC 4605 section 4.1).
//
// All of them are pure: they have no goroutine and no clock. Time comes in as
// an argument, and Deadline says when Advance has to be called next. Only the
// manager's callbacks come from another goroutine; they are kept until the
// next Advance.
//
// Deliberately missing: the election of one forwarder among several proxies on
// a link beyond what RFC 4605 section 4.2 says, which is to be the querier.
package proxy
