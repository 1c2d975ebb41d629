// Package routing holds what a multicast router knows about paths and what it
// does with packets: the RIB with its multicast view, the multicast
// forwarding table, and the forwarder that replicates packets between links.
//
// The forwarder reads packets from every link, copies multicast data to the
// links that its table names, and hands everything else to a host stack. What
// the table does not know it reports, and keeps a few packets waiting for the
// answer. The multicast group manager (package mgm) decides; nothing here does.
package routing
