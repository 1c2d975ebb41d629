package mgm

import (
	"net/netip"
	"time"
)

// DefaultMFETimeout is how long a forwarding entry lives unless told otherwise
// (PMGM_PRUNE_ALERT_CALLBACK).
const DefaultMFETimeout = 900 * time.Second

// Route is a route towards a source, in the multicast view of the routing table.
type Route struct {
	Prefix   netip.Prefix
	Protocol ProtocolID // who made the route (dwRouteProtocol)
	Iface    Iface      // where packets from the source should come in
	NextHop  netip.Addr // the neighbour towards the source; zero if it is on the link
}

// RIB is the multicast view of the routing table. A change is told to the manager by
// RouteChanged.
type RIB interface {
	// Lookup returns the route that matches source longest. The manager calls it with no
	// lock held: on its own goroutine, or inside AddMembership for an (S,G).
	Lookup(source netip.Addr) (Route, bool)
}

// Forwarder is the data plane. Its misses come back through Manager.HandleMiss and
// Manager.HandleWrongIf. Set and Delete are called on the manager's goroutine, one at a
// time, with no lock held.
type Forwarder interface {
	// Set installs or replaces an entry, and lets packets that wait for it go. An MFE without
	// OIFs is a negative entry: the flow's packets are dropped without a report. If Set fails
	// the flow is deleted, and offered again with its next miss.
	Set(MFE) error
	// Delete removes an entry.
	Delete(Flow)
	// Stats returns an entry's counters, false if there is none. It is also called by the
	// goroutines that ask the manager for statistics.
	Stats(Flow) (ForwarderStats, bool)
}

// Claimed is what a Forwarder may be as well, to have one manager at a time: New claims it,
// and fails where that fails, which MGM calls being started while it runs. Close releases it.
// The methods must not block and not call the manager.
type Claimed interface {
	Claim() bool
	Release()
}

// MFE is a forwarding entry (MGM: MIB_IPMCAST_MFE; RFC 5132, ipMcastRouteEntry).
type MFE struct {
	Flow
	// Upstream is the neighbour the flow comes from, zero if unknown (dwUpStrmNgbr).
	Upstream netip.Addr
	// In is the incoming interface, zero if there is no route to the source.
	In Iface
	// InProtocol is the holder of In, zero if there is none.
	InProtocol ClientID
	// Route is the route that led to In.
	Route Route
	// Up and Expiry are the time since creation and the time left. Their sum is Timeout.
	Up, Expiry time.Duration
	// Timeout is the lifetime in total. Traffic does not extend it (ulTimeOut).
	Timeout time.Duration
	// OIFs are the outgoing interfaces, ascending by index, then next hop. None make a
	// negative entry. The list is shared by all who ask until it changes: read it, and
	// clone it to change it.
	OIFs []Iface
}

// ForwarderStats are an entry's counters, in packets but for InOctets (MGM:
// MIB_IPMCAST_MFE_STATS_EX). The manager passes on what the forwarder counts.
type ForwarderStats struct {
	InPackets       uint64 // matched the entry and passed the incoming-interface check
	InOctets        uint64 // octets of those
	DifferentIf     uint64 // came in on another interface
	QueueOverflow   uint64 // found the flow's queue full while it waited for its entry
	Uninit          uint64 // matched an entry not yet initialised
	Negative        uint64 // met a negative entry
	InDiscards      uint64 // discarded for other reasons
	InHdrErrors     uint64 // had a bad header
	TotalOutPackets uint64 // sent, summed over the outgoing interfaces
	OIFs            []OIFStats
}

// OIFStats are the counters of one outgoing interface of an entry, in packets (MGM:
// MIB_IPMCAST_OIF_STATS).
type OIFStats struct {
	Iface       Iface
	TTLTooLow   uint64 // below the interface's threshold
	FragNeeded  uint64 // too large for the interface
	OutPackets  uint64 // sent
	OutDiscards uint64 // discarded for other reasons
}

// MFEStats is an entry with its counters.
type MFEStats struct {
	MFE   MFE
	Stats ForwarderStats
}
