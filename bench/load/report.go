package load

import (
	"net/netip"
	"time"
)

// SendReport says what a Sender did.
type SendReport struct {
	Group   netip.AddrPort    `json:"group"`
	Stream  StreamID          `json:"stream"`
	Sent    uint64            `json:"sent"`  // datagrams that the kernel took
	Bytes   uint64            `json:"bytes"` // of UDP payload
	Errors  map[string]uint64 `json:"errors"`
	Seconds float64           `json:"seconds"`
	Rate    float64           `json:"rate_pps"` // reached, per second
	// Skipped counts the datagrams that were not sent, since catching up after
	// a stall would have made a burst: of more than 64, and more than 10 ms of
	// traffic. They have no number and are no loss.
	Skipped uint64 `json:"skipped"`
}

// ReceiveReport says what a Receiver got. The counts are sums over Streams,
// except for those that belong to no stream.
type ReceiveReport struct {
	Group      netip.AddrPort `json:"group"`
	Interface  string         `json:"interface"`
	Joined     bool           `json:"joined"`
	Seconds    float64        `json:"seconds"`
	Received   uint64         `json:"received"` // different datagrams
	Bytes      uint64         `json:"bytes"`    // of UDP payload, duplicates included
	Lost       uint64         `json:"lost"`
	Reordered  uint64         `json:"reordered"`
	Duplicates uint64         `json:"duplicates"`
	Late       uint64         `json:"late"`    // more than 4096 behind: reordered or duplicate
	Corrupt    uint64         `json:"corrupt"` // also of unknown streams
	Foreign    uint64         `json:"foreign"` // no test traffic
	// Overflows counts what the kernel dropped since this socket's buffer was
	// full: such loss is the receiver's, not the network's.
	Overflows uint64 `json:"overflows"`
	// Untracked counts datagrams of streams beyond the 1024th.
	Untracked uint64         `json:"untracked"`
	Streams   []StreamReport `json:"streams"` // in the order of their first datagram
}

// StreamReport is the account of one stream from one source.
type StreamReport struct {
	Source     netip.Addr `json:"source"`
	Stream     StreamID   `json:"stream"`
	Interface  int        `json:"interface_index"` // the last one it came from
	Received   uint64     `json:"received"`
	Bytes      uint64     `json:"bytes"`
	First      uint64     `json:"first_sequence"`
	Last       uint64     `json:"last_sequence"` // the highest
	Lost       uint64     `json:"lost"`
	Reordered  uint64     `json:"reordered"`
	Duplicates uint64     `json:"duplicates"`
	Late       uint64     `json:"late"`
	Corrupt    uint64     `json:"corrupt"`
	TTLMin     int        `json:"ttl_min"` // or hop limit
	TTLMax     int        `json:"ttl_max"`
	Latency    Latency    `json:"latency"`
}

// Latency sums up the times from sending to receiving, duplicates included.
type Latency struct {
	Min  time.Duration `json:"min_ns"`
	Mean time.Duration `json:"mean_ns"`
	P50  time.Duration `json:"p50_ns"`
	P99  time.Duration `json:"p99_ns"`
	Max  time.Duration `json:"max_ns"`
	// Negative counts datagrams that came before they were sent: the clocks
	// differ. They enter the others as zero.
	Negative uint64 `json:"negative"`
}
