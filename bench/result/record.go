package result

import "time"

// Schema is the version of the form of a Record. It grows when a field changes
// its meaning; new fields alone leave it.
const Schema = 1

// Record is one line of a file of results: an object of JSON with one of the
// pointers set. A file is the output of one or more runs, each of which begins
// with its machine; what follows was measured there.
type Record struct {
	Schema  int       `json:"schema"`
	Machine *Machine  `json:"machine,omitempty"`
	Sample  *Measured `json:"sample,omitempty"`
	Missing *Missing  `json:"missing,omitempty"`
	End     *End      `json:"end,omitempty"`
}

// Machine says what the figures depend on. What is not known is empty or 0.
type Machine struct {
	Date    time.Time `json:"date"` // of the start of the run
	Command []string  `json:"command,omitempty"`
	Version string    `json:"version"` // of umroute
	Commit  string    `json:"commit"`  // "+changes" behind it: of files that had been changed
	Go      string    `json:"go"`
	GOOS    string    `json:"goos"`
	GOARCH  string    `json:"goarch"`

	CPU            string `json:"cpu"`
	Cores          int    `json:"cores"`
	Virtualization string `json:"virtualization,omitempty"` // "hypervisor" on a virtual machine
	Memory         uint64 `json:"memory"`                   // bytes
	Kernel         string `json:"kernel"`

	// Mitigations is what the kernel does against each weakness of the CPU.
	Mitigations map[string]string `json:"mitigations,omitempty"`
	// Offloads says of each link which of its offloads were on: "tun": "vnet_hdr
	// csum uso".
	Offloads map[string]string `json:"offloads,omitempty"`
	// Queues are lengths and limits: "tun.txqueuelen", "net.core.rmem_max".
	Queues   map[string]int64  `json:"queues,omitempty"`
	Versions map[string]string `json:"versions,omitempty"` // of modules and of outside programs
	LoadAvg  string            `json:"loadavg,omitempty"`
	Governor string            `json:"governor,omitempty"` // of the CPU's frequency

	Repeats  int     `json:"repeats,omitempty"`  // samples of each row by each engine, planned
	Duration float64 `json:"duration,omitempty"` // seconds that a sample measures, planned
}

// Measured is one sample: one measurement of one thing by one engine. Fields
// that do not belong to its Test are left out.
type Measured struct {
	Test   string    `json:"test"`   // a name that "umroute bench list" has
	Round  int       `json:"round"`  // 1 is the first of the repeats
	At     time.Time `json:"at"`     // its beginning
	Engine string    `json:"engine"` // "kernel", "umroute", "netstack", "relay", ...
	IO     string    `json:"io"`     // "mfc", "vectored", "plain", "uring", ...
	Link   string    `json:"link"`   // "tun", "veth", "none"

	// What was to be forwarded.

	Family    int     `json:"family"`             // 4 or 6
	Oifs      int     `json:"oifs"`               // fan-out: receivers of each datagram
	Size      int     `json:"size"`               // UDP payload, bytes; 0 with a Mix
	Frame     int     `json:"frame"`              // the Ethernet frame it would be, with FCS
	Mix       string  `json:"mix,omitempty"`      // "imix": sizes by turns
	Flows     int     `json:"flows"`              // (S,G)s that traffic belongs to
	Groups    int     `json:"groups"`             // that the router forwards, or has members of
	Load      string  `json:"load"`               // sender: "plain", "segment", "single"
	Receiver  string  `json:"receiver"`           // "plain" (recvmmsg), "gro", "single"
	Pattern   string  `json:"pattern,omitempty"`  // of a given rate: "paced", "burst"
	Unicast   float64 `json:"unicast,omitempty"`  // part of the datagrams that is unicast, 0 to 1
	Protocol  string  `json:"protocol,omitempty"` // of joins: "igmpv2", "igmpv3", "mldv1", "mldv2"
	FastLeave bool    `json:"fast_leave,omitempty"`
	Burden    float64 `json:"burden,omitempty"` // datagrams/s beside what is measured
	Target    float64 `json:"target,omitempty"` // throughput wanted, as a multiple of the kernel's

	// How the rate was chosen: "closed" (a window of datagrams under way), "fixed",
	// "ndr", "pdr" (found by a search), "mrr" (without limit).

	Rate  string  `json:"rate"`
	Goal  float64 `json:"goal,omitempty"`  // loss that the search allowed, 0 to 1
	Width float64 `json:"width,omitempty"` // (upper - lower) / upper bound when it ended
	Found float64 `json:"found,omitempty"` // datagrams/s offered: the search's lower bound

	// What came of it, in the interval measured. Rates are datagrams per second.

	Elapsed   float64 `json:"elapsed"`             // seconds
	Wanted    float64 `json:"wanted,omitempty"`    // the rate asked for; absent without limit
	Offered   float64 `json:"offered,omitempty"`   // by the sender
	Delivered float64 `json:"delivered,omitempty"` // to all receivers together

	// Counts of the whole run of traffic. Sent times Oifs is what should arrive,
	// with Unicast less than that: see Expected.

	Sent       uint64  `json:"sent"`
	Expected   uint64  `json:"expected"`
	Received   uint64  `json:"received"`
	Lost       uint64  `json:"lost"`
	Loss       float64 `json:"loss"` // Lost / Expected
	Reordered  uint64  `json:"reordered"`
	Duplicates uint64  `json:"duplicates"`
	// Damaged counts what is wrong otherwise: bytes, TTL, source, or too late to
	// tell whether reordered or twice.
	Damaged uint64 `json:"damaged"`
	// Stalls is how often a closed loop waited in vain for what was lost or late.
	Stalls uint64 `json:"stalls,omitempty"`
	// LostAt says where, as far as somebody counted it.
	LostAt map[string]uint64 `json:"lost_at,omitempty"`

	// What it cost. A copy is a datagram delivered.

	CPUPerCopies float64 `json:"cpu_per_mcopies,omitempty"`        // s per million, whole system
	CPURouter    float64 `json:"router_cpu_per_mcopies,omitempty"` // the router's process
	CPUPerSent   float64 `json:"cpu_per_msent,omitempty"`          // s per million datagrams sent
	// Allocs is heap allocations of the router per million datagrams sent; nil
	// where the router cannot tell.
	Allocs *float64 `json:"allocs,omitempty"`

	// Times. Latency is that of each copy (RFC 3918 section 5.1), Skew that from
	// the first to the last copy of one datagram (section 5.2).

	Latency *Distribution `json:"latency,omitempty"`
	Skew    *Distribution `json:"skew,omitempty"`
	// ByOutput is the latency to each receiver, in their order.
	ByOutput []Distribution `json:"by_output,omitempty"`
	// Join and Leave are group join and leave delays (sections 6.1 and 6.2).
	Join  *Distribution `json:"join,omitempty"`
	Leave *Distribution `json:"leave,omitempty"`

	// Capacity is how many groups were forwarded without fault at the most
	// (section 7.1), and CapacityLimited what ended the search.
	Capacity        int    `json:"capacity,omitempty"`
	CapacityLimited string `json:"capacity_limited,omitempty"`

	// What else the machine did meanwhile, in processors' worth of time, and
	// whether that is so much that the figures are unsafe.

	Foreign float64 `json:"foreign"`
	Stolen  float64 `json:"stolen"`
	Noisy   bool    `json:"noisy,omitempty"`
}

// Missing is something that was not measured.
type Missing struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// End is the last line of a run that could write it.
type End struct {
	Elapsed     float64  `json:"elapsed"` // seconds
	Samples     int      `json:"samples"`
	Interrupted bool     `json:"interrupted,omitempty"`
	Error       string   `json:"error,omitempty"`
	Warnings    []string `json:"warnings,omitempty"`
}
