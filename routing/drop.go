package routing

// Drop is a reason why multicast data was not forwarded, or not to one output.
type Drop uint8

const (
	// DropBadHeader: shorter than its header says, or a header that cannot be.
	DropBadHeader Drop = iota
	// DropBadChecksum: the IPv4 header checksum is wrong.
	DropBadChecksum
	// DropBadSource: the source is no unicast address, or valid on its link only.
	DropBadSource
	// DropGroupScope: an IPv6 group of the reserved or the interface-local scope.
	DropGroupScope
	// DropTTL: TTL or hop limit of 0 or 1.
	DropTTL
	// DropBoundary: the group does not cross the boundary of the interface.
	DropBoundary
	// DropWrongIf: another interface than the entry's incoming one.
	DropWrongIf
	// DropNegative: the entry has no outgoing interface.
	DropNegative
	// DropQueueOverflow: as many packets of the flow as may wait are waiting.
	DropQueueOverflow
	// DropPendingBudget: as many packets of all flows as may wait are waiting.
	DropPendingBudget
	// DropPendingTimeout: nobody decided on the flow while the packet waited.
	DropPendingTimeout
	// DropFlowLimit: a new flow beyond the limit of the interface or the router.
	DropFlowLimit
	// DropMissRate: a new flow beyond the rate at which they may be reported.
	DropMissRate
	// DropThreshold: TTL or hop limit not above the output's threshold.
	DropThreshold
	// DropDomain: the output is in another domain, and no rule lets the group cross.
	DropDomain
	// DropFragNeeded: longer than the output's MTU, and not to be fragmented.
	DropFragNeeded
	// DropDevice: the output's device did not take the packet.
	DropDevice
	// DropNoInterface: the output is not there.
	DropNoInterface
	// DropSourceValidation: no route says that the source is on this interface.
	DropSourceValidation

	drops // how many reasons there are
)

// String gives the name of the reason as statistics show it. Names stay.
func (d Drop) String() string {
	return [drops]string{
		DropBadHeader:      "bad_header",
		DropBadChecksum:    "bad_checksum",
		DropBadSource:      "bad_source",
		DropGroupScope:     "group_scope",
		DropTTL:            "ttl",
		DropBoundary:       "boundary",
		DropWrongIf:        "wrong_if",
		DropNegative:       "negative",
		DropQueueOverflow:  "queue_overflow",
		DropPendingBudget:  "pending_budget",
		DropPendingTimeout: "pending_timeout",
		DropFlowLimit:      "flow_limit",
		DropMissRate:       "miss_rate",
		DropThreshold:      "ttl_threshold",
		DropDomain:         "domain",
		DropFragNeeded:     "frag_needed",
		DropDevice:         "device",
		DropNoInterface:    "no_interface",

		DropSourceValidation: "source_validation",
	}[d]
}
