package control

import "umroute/tun"

// The documents of GET /v1/... . Keys may be added to them, never changed.

// Interface is one row of "show interfaces".
type Interface struct {
	Name      string   `json:"name"`
	Link      string   `json:"link"`
	Netns     string   `json:"netns"`
	Device    string   `json:"device"`
	Index     uint32   `json:"index"`
	MTU       int      `json:"mtu"`
	Up        bool     `json:"up"`
	Reason    string   `json:"reason,omitempty"` // why it is down
	Addresses []string `json:"addresses"`
	// PeerAddresses are those that the router gave the other side.
	PeerAddresses []string `json:"peer_addresses"`
	Owner         string   `json:"owner"`
	Domain        string   `json:"domain"`
	Threshold     uint8    `json:"ttl_threshold"`
	// The name of the input and output method: "uring", "vectored" or "plain".
	IO      string `json:"io"`
	Offload bool   `json:"offload"`
	Queues  int    `json:"queues"`
	// RPFilter is the device's rp_filter where it is known, else -1.
	RPFilter  int               `json:"rp_filter"`
	IGMP      Querying          `json:"igmp"`
	MLD       Querying          `json:"mld"`
	RxPackets uint64            `json:"rx_packets"`
	RxBytes   uint64            `json:"rx_bytes"`
	TxPackets uint64            `json:"tx_packets"`
	TxBytes   uint64            `json:"tx_bytes"`
	Drops     map[string]uint64 `json:"drops"`
}

// Querying is the state of IGMP or MLD on an interface. Times are seconds.
type Querying struct {
	Enabled                 bool              `json:"enabled"`
	Version                 int               `json:"version"`
	Querier                 string            `json:"querier"` // "" while there is none
	IsQuerier               bool              `json:"is_querier"`
	Groups                  int               `json:"groups"`
	FastLeave               bool              `json:"fast_leave"`
	Robustness              int               `json:"robustness"`
	QueryInterval           float64           `json:"query_interval_seconds"`
	QueryResponseInterval   float64           `json:"query_response_interval_seconds"`
	LastMemberQueryInterval float64           `json:"last_member_query_interval_seconds"`
	NextQuery               float64           `json:"next_query_seconds"`
	OtherQuerier            float64           `json:"other_querier_seconds"`
	Sent                    map[string]uint64 `json:"sent"`
	Received                map[string]uint64 `json:"received"`
	Ignored                 map[string]uint64 `json:"ignored"`
}

// Group is one row of "show groups": what listeners on a link asked for.
type Group struct {
	Interface    string   `json:"interface"`
	Group        string   `json:"group"`
	Mode         string   `json:"mode"` // "include" or "exclude"
	Version      int      `json:"version"`
	LastReporter string   `json:"last_reporter"`
	Reporters    []string `json:"reporters"`
	Uptime       float64  `json:"uptime_seconds"`
	Expires      float64  `json:"expires_seconds"`
	Static       bool     `json:"static"`
	Sources      []Source `json:"sources"`
	// Upstream says that the router asks for the group there, as a host does.
	Upstream bool `json:"upstream"`
}

// Source is one source of a Group.
type Source struct {
	Address    string  `json:"address"`
	Expires    float64 `json:"expires_seconds"`
	Forwarding bool    `json:"forwarding"`
}

// Membership is one row of the Multicast Group Manager's table; a wildcard
// is "*".
type Membership struct {
	Group     string `json:"group"`
	Source    string `json:"source"`
	Interface string `json:"interface"`
	Client    string `json:"client"`
}

// Route is one forwarding entry.
type Route struct {
	Source        string  `json:"source"`
	Group         string  `json:"group"`
	IIF           string  `json:"iif"`
	Upstream      string  `json:"upstream"`
	Owner         string  `json:"owner"`
	OIFs          []OIF   `json:"oifs"`
	Packets       uint64  `json:"packets"`
	Bytes         uint64  `json:"bytes"`
	WrongIf       uint64  `json:"wrong_if"`
	QueueOverflow uint64  `json:"queue_overflow"`
	Negative      bool    `json:"negative"`
	Uptime        float64 `json:"uptime_seconds"`
	Expires       float64 `json:"expires_seconds"`
}

// OIF is one outgoing interface of a Route.
type OIF struct {
	Interface  string `json:"interface"`
	Packets    uint64 `json:"packets"`
	TTLTooLow  uint64 `json:"ttl_too_low"`
	FragNeeded uint64 `json:"frag_needed"`
	Discards   uint64 `json:"discards"`
	Threshold  uint8  `json:"ttl_threshold"`
}

// Protocol is one client of the Multicast Group Manager, IGMP and MLD included.
type Protocol struct {
	Name        string   `json:"name"`
	Family      string   `json:"family,omitempty"` // "ipv4" or "ipv6"
	ProtocolID  uint32   `json:"protocol_id"`
	ComponentID uint32   `json:"component_id"`
	Interfaces  []string `json:"interfaces"` // that it owns
	// Joins and Prunes count the memberships that it added and deleted,
	// Memberships are those that exist.
	Joins       uint64 `json:"joins"`
	Prunes      uint64 `json:"prunes"`
	Memberships int    `json:"memberships"`
	// Alerts counts what the manager told it, by kind: rpf, creation, join, prune,
	// wrong_if, local_join, local_leave, disable, enable.
	Alerts map[string]uint64 `json:"alerts"`
	// Upstream and Downstream are the interfaces of a proxy.
	Upstream   []ProxyUpstream `json:"upstream,omitempty"`
	Downstream []string        `json:"downstream,omitempty"`
	// Routes are those of protocol static.
	Routes []StaticRoute `json:"routes,omitempty"`
	// Groups are those that it joins as a host.
	Groups []HostGroup `json:"groups,omitempty"`
	// Relay is that of protocol relay.
	Relay *Relay `json:"relay,omitempty"`
}

// ProxyUpstream is an interface on which a proxy is a host.
type ProxyUpstream struct {
	Interface    string            `json:"interface"`
	Up           bool              `json:"up"`
	Version      int               `json:"version"` // spoken now
	Querier      string            `json:"querier"` // heard last, "" if none was
	QuerierHeard float64           `json:"querier_heard_seconds"`
	Groups       int               `json:"groups"` // asked for
	Sent         map[string]uint64 `json:"sent"`
	Received     map[string]uint64 `json:"received"`
}

// Neighbor is a neighbouring router that a protocol has found.
type Neighbor struct {
	Protocol  string  `json:"protocol"`
	Interface string  `json:"interface"`
	Address   string  `json:"address"`
	Uptime    float64 `json:"uptime_seconds"`
	Expires   float64 `json:"expires_seconds"`
	DR        bool    `json:"dr"`
}

// Stats is the router as a whole.
type Stats struct {
	Name                 string            `json:"name"`
	PID                  int               `json:"pid"`
	Version              string            `json:"version"`
	Uptime               float64           `json:"uptime_seconds"`
	Flows                int               `json:"flows"`
	Misses               uint64            `json:"misses"`
	Negative             int               `json:"negative"`
	Punted               uint64            `json:"punted"`
	Dropped              map[string]uint64 `json:"dropped"`
	ControlEventsDropped uint64            `json:"control_events_dropped"`
	JoinDelay            Delays            `json:"join_delay"`
}

// Delays is how long after joins the first packet left, as far as measured.
type Delays struct {
	Count   uint64        `json:"count"`
	Sum     float64       `json:"sum"` // seconds
	Buckets []DelayBucket `json:"buckets"`
}

// DelayBucket counts the delays up to one and above that of the bucket before.
type DelayBucket struct {
	UpTo  float64 `json:"up_to"` // seconds
	Count uint64  `json:"count"`
}

// Event is one of the last records of the router's log, from level info on.
type Event struct {
	Number     uint64            `json:"number"` // counted from 1
	Time       string            `json:"time"`   // RFC 3339
	Level      string            `json:"level"`  // INFO, WARN or ERROR
	Message    string            `json:"message"`
	Attributes map[string]string `json:"attributes"`
}

// MembershipChange is the body of POST /v1/join and /v1/leave.
type MembershipChange struct {
	Interface string `json:"interface"`
	Group     string `json:"group"`
	Source    string `json:"source,omitempty"` // "" for any source
}

// failure is the body of every answer that is not a success.
type failure struct {
	Error string `json:"error"`
	// Device is the one that the router may not open (see Forbidden).
	Device *tun.Config `json:"device,omitempty"`
}
