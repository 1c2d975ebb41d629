package stack

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	netstack "gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// Config says how a Stack behaves. Its zero value is a stack that answers for
// its own addresses and forwards nothing.
type Config struct {
	// Name is the router's. It goes into the generated link-local addresses, so
	// that two routers whose interfaces have the same name differ on one link.
	Name string
	// Logger gets changes of state; nil discards them.
	Logger *slog.Logger
	// Forward turns on unicast forwarding between the links, IPv4 and IPv6.
	Forward bool
	// IGMP gets each IGMP packet that arrives, MLD each ICMPv6 packet of MLD
	// that carries a Hop-by-Hop Options header (RFC 2710 §3), PIM each PIM
	// packet of both families: to any group, joined or not, or to the router, and
	// from whatever source that is not the router's own.
	IGMP, MLD, PIM Tap
}

// Tap takes a complete IP packet that arrived on the link with this index. The
// packet is the callee's to keep. The IP header is checked, the message is not.
//
// It runs on the goroutine that delivers, so it must not block and must not
// call the Stack: hand the packet to the goroutine that owns the protocol.
type Tap func(index uint32, packet []byte)

// Stack is the IP stack of one router, and of one routing domain. Its methods
// are safe for concurrent use, except that none may be called from a Tap or
// from a device's Write.
type Stack struct {
	net     *netstack.Stack
	log     *slog.Logger
	name    string
	forward bool

	unknown atomic.Uint64 // frames punted for an interface that is not there

	// mu is read-locked while a packet is inside gVisor, and locked by every
	// change and by gVisor's timers, so that neither meets a packet half way:
	// several of gVisor's forwarding errors, a vanished route for one, end in a
	// panic, and its neighbor cache reads a MAC address that is being written.
	mu         sync.RWMutex
	interfaces map[uint32]*iface
	static     []Route
	installed  map[Route]struct{} // what gVisor's route table holds, for its own packets
	table      *bart.Table[nextHop]
	local      localAddresses
	closed     bool
}

// New returns a Stack without interfaces. It starts no goroutine.
func New(config Config) (*Stack, error) {
	log := config.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Stack{
		log:        log,
		name:       config.Name,
		forward:    config.Forward,
		interfaces: make(map[uint32]*iface),
		installed:  make(map[Route]struct{}),
		table:      new(bart.Table[nextHop]),
	}
	s.net = newNetstack(clock{tcpip.NewStdClock(), &s.mu})
	if err := s.registerTaps(config); err != nil {
		s.net.Destroy()
		return nil, err
	}
	for _, family := range []tcpip.NetworkProtocolNumber{ipv4.ProtocolNumber, ipv6.ProtocolNumber} {
		if err := s.net.SetForwardingDefaultAndAllNICs(family, config.Forward); err != nil {
			s.net.Destroy()
			return nil, failure("set unicast forwarding", err)
		}
	}
	return s, nil
}

func newNetstack(c clock) *netstack.Stack {
	return netstack.New(netstack.Options{
		Clock: c,
		NetworkProtocols: []netstack.NetworkProtocolFactory{
			ipv4.NewProtocol, // the host side of IGMP is off unless asked for
			ipv6.NewProtocolWithOptions(ipv6.Options{
				// Autoconfiguration is for hosts (RFC 4862 §1), so no advertisement
				// changes a router.
				NDPConfigs: ipv6.NDPConfigurations{HandleRAs: ipv6.HandlingRAsDisabled},
			}),
			arp.NewProtocol,
		},
		TransportProtocols: []netstack.TransportProtocolFactory{
			icmp.NewProtocol4, icmp.NewProtocol6, udp.NewProtocol,
			controlProtocol(protocolIGMP), controlProtocol(protocolPIM),
			controlProtocol(protocolHopByHop),
		},
		// Packets from our own addresses are dropped before gVisor sees them, on
		// all interfaces; its own check knows the arrival interface alone, and
		// would loop replies to a neighbor that shares a link-local address.
		HandleLocal: false,
	})
}

// clock has gVisor's timers hold a lock while they run. They are few and short: a
// question for a neighbor, an answer to those that waited for one, the end of a
// fragment's time.
type clock struct {
	tcpip.Clock
	mu *sync.RWMutex
}

// AfterFunc implements tcpip.Clock.
func (c clock) AfterFunc(d time.Duration, f func()) tcpip.Timer {
	return c.Clock.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		f()
	})
}

// Close removes all interfaces and ends the stack. The devices stay open: they
// are their owner's. Calls after Close fail or do nothing.
func (s *Stack) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for index := range s.interfaces {
		s.detach(index)
	}
	s.net.Destroy()
	s.refresh()
}
