package membership

import "time"

// Reason says why a message, a record or a source of one was ignored.
type Reason uint8

// The reasons.
const (
	accepted           Reason = iota
	Malformed                 // no such message, or it ends too early
	BadChecksum               // of the IPv4 header or the message
	Fragment                  // an IP fragment
	UnknownType               // a message of another protocol, PIMv1 say
	UnknownRecord             // a record type that RFC 9776 section 4.2 lacks
	RateLimited               // more than InterfaceConfig.PacketRate
	NoRouterAlert             // the IP option is missing
	BadHopLimit               // MLD with another hop limit than 1
	OffLink                   // from outside the subnets of the interface
	OwnQuery                  // a query from our own address
	UnspecifiedQuerier        // a query from 0.0.0.0 or ::
	LostElection              // a query from a higher address than the querier's
	NotMulticast              // the group is not one
	LinkLocalGroup            // the group never leaves its link
	NotAllowed                // the group is not in InterfaceConfig.Allow
	TooManyGroups             // more than InterfaceConfig.MaxGroups
	TooManySources            // more than InterfaceConfig.MaxSources
	BadSource                 // the source is no unicast address
	SSMOlderVersion           // no sources named for an SSM group
	SSMExclude                // EXCLUDE mode for an SSM group
	OlderHostPresent          // older hosts are in the group: section 7.3.2
	reasons
)

var reasonNames = [reasons]string{
	Malformed: "malformed", BadChecksum: "checksum", Fragment: "fragment",
	UnknownType: "unknown_type", UnknownRecord: "unknown_record",
	RateLimited: "rate_limited", NoRouterAlert: "no_router_alert",
	BadHopLimit: "hop_limit", OffLink: "off_link", OwnQuery: "own_query",
	UnspecifiedQuerier: "unspecified_querier", LostElection: "lost_election",
	NotMulticast: "not_multicast", LinkLocalGroup: "link_local_group",
	NotAllowed: "not_allowed", TooManyGroups: "too_many_groups",
	TooManySources: "too_many_sources", BadSource: "bad_source",
	SSMOlderVersion: "ssm_older_version", SSMExclude: "ssm_exclude",
	OlderHostPresent: "older_host_present",
}

// String returns the reason in lower case, as a metric's label.
func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "unknown"
}

// MarshalText returns what String does.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Received counts the messages heard, by the version of their own protocol:
// MLDv2 reports are in ReportsV2. Ignored ones are among them once they were
// decoded.
type Received struct {
	QueriesV1, QueriesV2, QueriesV3 uint64
	ReportsV1, ReportsV2, ReportsV3 uint64
	Leaves                          uint64 // MLD: done messages
}

// Sent counts the queries sent, and those that the link refused.
type Sent struct {
	GeneralQueries uint64
	GroupQueries   uint64 // group-specific
	SourceQueries  uint64 // group-and-source-specific
	Errors         uint64
}

type counters struct {
	received       Received
	sent           Sent
	ignored        [reasons]uint64
	querierChanges uint64
	refusals       uint64
}

func (c *Received) countQuery(version uint8) {
	switch version {
	case 1:
		c.QueriesV1++
	case 2:
		c.QueriesV2++
	default:
		c.QueriesV3++
	}
}

func (c *Received) countReport(version uint8) {
	switch version {
	case 1:
		c.ReportsV1++
	case 2:
		c.ReportsV2++
	default:
		c.ReportsV3++
	}
}

func (l *link) ignore(r Reason) { l.counters.ignored[r]++ }

// warning is a kind of log record that packets can cause, so that it has to be
// rate-limited.
type warning uint8

const (
	warnVersion warning = iota
	warnSend
	warnMembers
	warnQuerier
	warnings
)

// warnInterval is how often a warning of a kind is logged for an interface.
const warnInterval = time.Minute

// mayWarn reports whether a warning is not too soon after the last of its kind.
func (r *Router) mayWarn(now instant, l *link, w warning) bool {
	if l.warned[w] > now {
		return false
	}
	l.warned[w] = now.after(warnInterval)
	return true
}

// external returns a version in the count of the Router's own family.
func (r *Router) external(version uint8) int {
	if r.config.Family == MLD {
		return int(version) - 1
	}
	return int(version)
}
