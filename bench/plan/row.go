package plan

import (
	"errors"
	"fmt"
	"math"
)

// Row is one thing to measure.
type Row struct {
	Test     string  `json:"test"`     // the name of a Test; "" is Forward
	Oifs     int     `json:"oifs"`     // fan-out, 1 to MaxOifs
	Size     int     `json:"size"`     // UDP payload, bytes; 0: IMIX
	Flows    int     `json:"flows"`    // (S,G)s in turn, 1 to MaxFlows
	Sender   string  `json:"sender"`   // Plain, Segment or Single
	Receiver string  `json:"receiver"` // Plain, GRO or Single
	Rate     float64 `json:"rate"`     // datagrams per second; 0 is a closed loop
	IPv6     bool    `json:"ipv6"`
	Find     string  `json:"find"`  // a rate to be found: "", Search or Unlimited
	Burst    bool    `json:"burst"` // send at Rate in bursts of 32

	// Unicast is the part of the datagrams that goes to one receiver each, in
	// tenths.
	Unicast int `json:"unicast"`
	// Protocol and FastLeave say how hosts join and leave.
	Protocol  string `json:"protocol"`
	FastLeave bool   `json:"fast_leave"`
	// Burden is a rate of unicast datagrams beside what is measured.
	Burden float64 `json:"burden"`

	// Target is the throughput that umroute is to reach, as a multiple of the
	// kernel's on the same machine; 0 where there is none.
	Target float64 `json:"target"`
}

// Limits of a Row. The sizes are what a datagram of package load can have and
// what an Ethernet frame carries over IPv4; IPv6 needs 20 bytes more.
const (
	MaxOifs = 64
	// MaxInterfaces is how many a router may have, most of them idle.
	MaxInterfaces = 4096
	MaxFlows      = 10_000
	MinSize       = 32
	MaxSize       = 1472
)

// The kinds of sender and receiver.
const (
	Plain   = "plain"   // sendmmsg, recvmmsg
	Segment = "segment" // UDP_SEGMENT: up to 32 datagrams a message
	GRO     = "gro"     // UDP_GRO: datagrams of a flow may come as one
	Single  = "single"  // one datagram a call
	Iperf   = "iperf"   // iperf 2, for both: a witness from outside
)

// What Find may ask for.
const (
	Search    = "search"    // NDR, PDR and MRR
	Unlimited = "unlimited" // MRR alone: what comes through of all that can be sent
)

// The protocols that hosts join by.
const (
	IGMPv2 = "igmpv2"
	IGMPv3 = "igmpv3"
	MLDv1  = "mldv1"
	MLDv2  = "mldv2"
)

// KernelOifs is how many outputs the kernel's forwarding has at the most:
// MAXVIFS, less the one that packets come in by.
const KernelOifs = 31

// IMIX returns the sizes of the simple Internet mix as RFC 6985 would name it,
// 7:4:1 of small, medium and full frames, in a fixed order.
func IMIX(v6 bool) []int {
	const medium = 594
	s, m, l := PayloadOf(SmallestFrame, v6), PayloadOf(medium, v6), PayloadOf(LargestFrame, v6)
	s = max(s, MinSize)
	return []int{s, m, s, s, m, s, l, s, m, s, m, s}
}

// The frames of RFC 2544 section 9.1 with IP and UDP headers in them. The
// smallest there, 64, has no room for a number and a time.
const (
	SmallestFrame = 78
	LargestFrame  = 1518
)

// Frames returns the frame sizes to measure with.
func Frames() []int { return []int{SmallestFrame, 128, 256, 512, 1024, 1280, LargestFrame} }

// overhead of a frame is an Ethernet header with the check sequence, and the
// headers of IP and UDP.
func overhead(v6 bool) int {
	if v6 {
		return 18 + 40 + 8
	}
	return 18 + 20 + 8
}

// PayloadOf is the UDP payload of an Ethernet frame.
func PayloadOf(frame int, v6 bool) int { return frame - overhead(v6) }

// Frame is the Ethernet frame that a row's datagrams would be in; 0 with IMIX.
func (r Row) Frame() int {
	if r.Size == 0 {
		return 0
	}
	return r.Size + overhead(r.IPv6)
}

// Sizes are those of the row's datagrams, by turns.
func (r Row) Sizes() []int {
	if r.Size == 0 {
		return IMIX(r.IPv6)
	}
	return []int{r.Size}
}

// Joins says whether the row is about joins and leaves.
func (r Row) Joins() bool { return r.Protocol != "" }

// Validate checks a row that a user has put together.
func (r Row) Validate() error {
	largest := MaxSize
	if r.IPv6 {
		largest -= overhead(true) - overhead(false)
	}
	switch {
	case r.Oifs < 1 || r.Oifs > MaxOifs:
		return fmt.Errorf("oifs %d is not from 1 to %d", r.Oifs, MaxOifs)
	case r.Flows < 1 || r.Flows > MaxFlows:
		return fmt.Errorf("flows %d is not from 1 to %d", r.Flows, MaxFlows)
	case r.Size != 0 && (r.Size < MinSize || r.Size > largest):
		return fmt.Errorf("size %d is not from %d to %d", r.Size, MinSize, largest)
	case r.Sender == Iperf && r.Receiver == Iperf:
		return r.validateWitness()
	case r.Sender != Plain && r.Sender != Segment && r.Sender != Single:
		return fmt.Errorf("sender %q is none of %s, %s, %s", r.Sender, Plain, Segment, Single)
	case r.Receiver != Plain && r.Receiver != GRO && r.Receiver != Single:
		return fmt.Errorf("receiver %q is none of %s, %s, %s", r.Receiver, Plain, GRO, Single)
	case !(r.Rate >= 0 && r.Rate <= 1e8) || math.IsInf(r.Rate, 0):
		return fmt.Errorf("rate %v is not a number of datagrams per second", r.Rate)
	}
	return r.validateMore()
}

// validateWitness checks a row that iperf measures.
func (r Row) validateWitness() error {
	if !(r.Rate > 0 && r.Rate <= 1e8) || r.Flows != 1 || r.Size == 0 || r.Find != "" ||
		r.Unicast != 0 || r.Burden != 0 || r.Burst {
		return errors.New("iperf sends one flow of one size at a rate, and nothing else")
	}
	return nil
}

func (r Row) validateMore() error {
	switch {
	case r.Size == 0 && r.Sender == Segment:
		return errors.New("size imix: UDP_SEGMENT needs one size")
	case r.Find != "" && r.Find != Search && r.Find != Unlimited:
		return fmt.Errorf("find %q is neither %s nor %s", r.Find, Search, Unlimited)
	case r.Find != "" && r.Rate > 0:
		return fmt.Errorf("rate %v and find %s: only one is possible", r.Rate, r.Find)
	case r.Unicast < 0 || r.Unicast > 9:
		return fmt.Errorf("unicast %d is not from 0 to 9 tenths", r.Unicast)
	case !(r.Burden >= 0 && r.Burden <= 1e8):
		return fmt.Errorf("burden %v is not a number of datagrams per second", r.Burden)
	}
	if v6, known := protocols[r.Protocol]; r.Joins() && (!known || v6 != r.IPv6) {
		return fmt.Errorf("protocol %q is none of this family", r.Protocol)
	}
	return nil
}

// protocols says which are of IPv6.
var protocols = map[string]bool{IGMPv2: false, IGMPv3: false, MLDv1: true, MLDv2: true}

// Fits says why e cannot do r, if it cannot. An external engine says itself.
func (r Row) Fits(e Engine) error {
	switch {
	case e.Name == Kernel && r.Oifs > KernelOifs:
		return fmt.Errorf("the kernel forwards to %d interfaces at the most", KernelOifs)
	case e.Name == Memory && (r.Test != Forward && r.Test != "" || r.Rate > 0 || r.Find != "" ||
		r.Sender != Plain || r.Receiver != Plain || r.Size == 0):
		return fmt.Errorf("engine %s has neither senders nor receivers", e.Name)
	case e.External():
		return nil
	case r.Joins() && e.Name != Router:
		return fmt.Errorf("engine %s knows no membership", e.Name)
	case r.Test == Capacity && e.Name == Router:
		return fmt.Errorf("the groups of engine %s are limited by its configuration", e.Name)
	case (r.Unicast > 0 || r.Burden > 0) && e.Name != Kernel && e.Name != Router &&
		e.Name != Netstack:
		return fmt.Errorf("engine %s forwards no unicast", e.Name)
	}
	return nil
}
