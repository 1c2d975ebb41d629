// Package mgm is a Multicast Group Manager: the part of a multicast router that lets
// several multicast routing protocols and IGMP or MLD share one forwarder.
//
// It follows the Multicast Group Manager (MGM) of Windows Routing and Remote Access, as
// its public pages describe it, and the alert rules of RFC 2715 that MGM is built on. The
// names of this package are Go's; each doc comment gives MGM's own.
//
// # The model
//
// A [Client] is a routing protocol ([RoleRouting]) or the router side of IGMP or MLD
// ([RoleMembership]). It registers, takes the interfaces it runs on, and then tells the
// manager where receivers are. Each interface has at most one owner, a routing protocol;
// IGMP or MLD may run there as well. The holder of an interface is its owner, or the
// membership client where there is no owner. What is said about an interface counts for
// its holder.
//
// A membership is an [Entry] on an [Iface]: "receivers for this exist there". An entry is
// (S,G), (*,G) or (*,*). For each entry the manager counts the clients that have it
// somewhere, and alerts those who have to act (RFC 2715, 3.1.1):
//
//	entry           clients   told to fetch (JoinAlert), or to stop (PruneAlert)
//	(*,G), (*,*)    0 <-> 1   every other client
//	                1 <-> 2   the client that is, or remains, alone
//	                further   nobody
//	(S,G)           0 <-> 1   the holder of the interface towards S; it is not counted itself
//
// An [MFE] is a forwarding entry for one [Flow], a source and a group. It comes into being
// when the forwarder meets the flow's first packet and calls [Manager.HandleMiss]:
//
//  1. the [RIB] names the interface towards the source, and its holder is asked by
//     [Callbacks.RPF] for the incoming interface and the upstream neighbour;
//  2. each client that would send the flow out is asked by [Callbacks.CreationAlert], and
//     may veto interfaces of its own;
//  3. the entry is installed by [Forwarder.Set]; without outgoing interfaces it is a
//     negative entry, which drops the flow quietly;
//  4. the holder of the incoming interface hears whether others want the flow.
//
// From then on memberships change its outgoing list at once, and the holder of the
// incoming interface is alerted whenever others make the list empty or not empty (RFC
// 2715, rules 4 and 5). An entry ends after a fixed lifetime, or when its route or its
// incoming interface goes. The next packet builds it again, and everybody is asked again:
// a protocol's own tables are its memory, not the manager's.
//
// # Concurrency
//
// Every method may be called from any goroutine, and from inside any callback. A change of
// state is complete when the call returns; the callbacks it causes are queued in order and
// delivered one at a time by a goroutine of the manager's, with no lock held. So a client
// may hold a mutex while it calls that its own callbacks take. A callback must not block:
// it delays everybody's. [Manager.Sync] waits for the queue to empty; [Manager.Close] ends
// the goroutine.
//
// # Limits
//
// One Manager serves one address family. The alert rules are those for domains that form a
// tree, without an inter-domain multicast protocol (RFC 2715, 3.1). Ranges of sources or
// groups are not supported, as in MGM. The manager sends and receives no packets: IGMP, MLD
// and the routing protocols do.
package mgm
