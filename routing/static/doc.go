// Package static is a routing protocol without a protocol: multicast routes
// that somebody wrote down. It is a client of the Multicast Group Manager.
//
// # Routes
//
// A Route names groups, sources, outgoing interfaces and, as a rule, the
// incoming interface. It works while its incoming interface exists, with those
// of its outgoing ones that exist; for the others it waits.
//
// Of the routes with an incoming interface one serves a flow. Those that come in
// where the source is expected go first; then the longest group prefix wins,
// then the longest source prefix, then the lowest index of the incoming
// interface. The flow leaves by the outputs of that route alone, and by whatever
// others (IGMP, MLD, other protocols) ask for.
//
// A route without incoming interface says that there are receivers, and nothing
// more: it is a membership on its outputs, and sources are accepted where the
// routes to them lead.
//
// # How it works
//
// The protocol owns the interfaces of its routes (MgmTakeInterfaceOwnership).
// What comes in on one of them begins with the RPF callback (RFC 2715, rule 1),
// which looks the flow up in the routes, answers with the route's incoming
// interface and adds a membership for the flow on each output. These memberships
// end with the forwarding entry. MGM knows no ranges (SOURCE_GROUP_ENTRY), so this
// is also how a route for a prefix comes to its entries.
//
// The callback comes for sources that the RIB expects on an interface of the
// protocol. Config.Paths therefore tells the RIB where the routes expect theirs.
package static
