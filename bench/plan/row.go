package plan

import "fmt"

// Row is one thing to forward.
type Row struct {
	Oifs     int     `json:"oifs"`     // fan-out, 1 to MaxOifs
	Size     int     `json:"size"`     // UDP payload, bytes
	Flows    int     `json:"flows"`    // (S,G)s in turn, 1 to MaxFlows
	Sender   string  `json:"sender"`   // Plain or Segment
	Receiver string  `json:"receiver"` // Plain or GRO
	Rate     float64 `json:"rate"`     // datagrams per second; 0 is a closed loop
	IPv6     bool    `json:"ipv6"`

	// Target is the throughput that umroute is to reach, as a multiple of the
	// kernel's on the same machine; 0 where there is none.
	Target float64 `json:"target"`
}

// Limits of a Row. The sizes are what a datagram of package load can have and
// what goes through an MTU of 1500 over IPv6.
const (
	MaxOifs  = 64
	MaxFlows = 64
	MinSize  = 32
	MaxSize  = 1452
)

// The kinds of sender and receiver.
const (
	Plain   = "plain"   // sendmmsg, recvmmsg
	Segment = "segment" // UDP_SEGMENT: up to 32 datagrams a message
	GRO     = "gro"     // UDP_GRO: datagrams of a flow may come as one
)

// KernelOifs is how many outputs the kernel's forwarding has at the most:
// MAXVIFS, less the one that packets come in by.
const KernelOifs = 31

// Validate checks a row that a user has put together.
func (r Row) Validate() error {
	switch {
	case r.Oifs < 1 || r.Oifs > MaxOifs:
		return fmt.Errorf("oifs %d is not from 1 to %d", r.Oifs, MaxOifs)
	case r.Flows < 1 || r.Flows > MaxFlows:
		return fmt.Errorf("flows %d is not from 1 to %d", r.Flows, MaxFlows)
	case r.Size < MinSize || r.Size > MaxSize:
		return fmt.Errorf("size %d is not from %d to %d", r.Size, MinSize, MaxSize)
	case r.Sender != Plain && r.Sender != Segment:
		return fmt.Errorf("sender %q is neither %s nor %s", r.Sender, Plain, Segment)
	case r.Receiver != Plain && r.Receiver != GRO:
		return fmt.Errorf("receiver %q is neither %s nor %s", r.Receiver, Plain, GRO)
	case !(r.Rate >= 0 && r.Rate <= 1e8):
		return fmt.Errorf("rate %v is not a number of datagrams per second", r.Rate)
	}
	return nil
}

// Fits says why e cannot do r, if it cannot.
func (r Row) Fits(e Engine) error {
	switch {
	case e.Name == Kernel && r.Oifs > KernelOifs:
		return fmt.Errorf("the kernel forwards to %d interfaces at the most", KernelOifs)
	case e.Name == Memory && (r.Rate > 0 || r.Sender != Plain || r.Receiver != Plain):
		return fmt.Errorf("engine %s has neither senders nor receivers", e.Name)
	}
	return nil
}
