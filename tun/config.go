package tun

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"unicode"
)

// Values that stand for the zero value of a field of [Config].
const (
	DefaultName       = "mc0"
	DefaultMTU        = 1500
	DefaultTxQueueLen = 1000
)

// Ways to move packets, for [Config.IO] and as [Device] reports them.
const (
	// IOVectored waits once for a batch of packets and takes them with
	// non-blocking calls.
	IOVectored = "vectored"
	// IOUring does the same with one io_uring call for up to 128 packets.
	IOUring = "uring"
	// IOPlain moves one packet a call through package water.
	IOPlain = "plain"
)

// Limits of an IP MTU in octets: what IPv4 asks of every link (RFC 791 section
// 3.2), what IPv6 asks (RFC 8200 section 5), and the most a TUN carries.
const (
	minMTU     = 68
	minMTUIPv6 = 1280
	maxMTU     = 65535
)

// maxNameLen is the kernel's IFNAMSIZ without the terminating zero.
const maxNameLen = 15

// aliasPrefix begins the alias of a device that a router made; the router's
// name follows.
const aliasPrefix = "umroute: "

// maxOwnerLen is what the kernel's IFALIASZ leaves beside aliasPrefix and the
// terminating zero.
const maxOwnerLen = 255 - len(aliasPrefix)

// Config says which device a link is and how its namespace's side is set up.
// The zero value is a TUN named mc0 in the namespace of this process, without
// addresses.
type Config struct {
	// Name is the device's name in its namespace, at most 15 octets.
	Name string `json:"name"`
	// Kind is KindTUN, KindTAP or KindPacket. A packet link uses an Ethernet
	// device that is there already, a veth, macvlan or bridge port for example,
	// and leaves it as it is, including the MTU: only Name, Netns, IO, Offload and
	// Logger count. It needs CAP_NET_RAW in the namespace, and Offload to be
	// OffloadSegmentation.
	Kind Kind `json:"kind"`
	// Netns is the device's network namespace, in any form that
	// [umroute/tun/netns.Resolve] takes. With pid:N the link lives as long as
	// that process, with a name or another path as long as that leads to the
	// namespace, which is looked up every 2 s.
	Netns string `json:"netns,omitempty"`
	// IO is "", "auto", IOVectored, IOUring or IOPlain. "" and "auto" are
	// IOVectored: io_uring was not measured to be faster with a TUN.
	IO string `json:"io,omitempty"`
	// Offload is the most that the caller of Read and Write can do with; see
	// [Link.Offload] for what there is. With OffloadNone packets are as on a wire.
	Offload Offload `json:"offload,omitempty"`
	// MTU is the IP MTU in octets, 68 to 65535, and at least 1280 with an IPv6
	// peer address. 0 means 1500; for a descriptor, what its device has.
	MTU int `json:"mtu,omitempty"`
	// TxQueueLen is how many packets wait in the kernel for a read; more are
	// lost. 0 means 1000.
	TxQueueLen int `json:"txqueuelen,omitempty"`
	// Addresses are the router's own on this link. They are not put on the
	// kernel's device: they are the next hops of the peer's routes on a TAP.
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	// PeerAddresses are put on the kernel's device.
	PeerAddresses []netip.Prefix `json:"peer_addresses,omitempty"`
	// Owner is the name of the router that the device is for, at most 246 octets
	// without control characters. A device that Open makes for an owner outlives
	// a router that is killed, and with it the memberships of the hosts behind
	// it; its alias, "umroute: " and the name, says whose it is. The next Open
	// with the same owner takes it over, and Close removes it. With "" a device
	// that Open makes lives only as long as its descriptor.
	Owner string `json:"owner,omitempty"`
	// PeerRoutes gives the namespace, for each family that has a peer address,
	// a route for all multicast and a default route through the router. Routes
	// without a metric, and default routes that are there already, keep their
	// precedence. Of several devices with such routes the one that was made
	// first, which has the lowest index, is the default; sockets that name
	// another device send through that.
	PeerRoutes bool `json:"peer_routes,omitempty"`
	// Logger gets what is worth knowing and no error; nil discards it.
	Logger *slog.Logger `json:"-"`
}

// withDefaults fills in what zero values stand for and checks the rest.
func (c Config) withDefaults() (Config, error) {
	if c.Name == "" {
		c.Name = DefaultName
	}
	if c.MTU == 0 {
		c.MTU = DefaultMTU
	}
	if c.TxQueueLen == 0 {
		c.TxQueueLen = DefaultTxQueueLen
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, c.validate()
}

func (c Config) validate() error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	switch {
	case c.Kind == KindPacket && c.Offload != OffloadSegmentation:
		return fmt.Errorf("device %s: offload %v: a packet link brings super-packets",
			c.Name, c.Offload)
	case c.Kind != KindTUN && c.Kind != KindTAP && c.Kind != KindPacket:
		return fmt.Errorf("device %s: %v is neither TUN nor TAP nor packet", c.Name, c.Kind)
	}
	if _, err := ioMode(c.IO); err != nil {
		return fmt.Errorf("device %s: %w", c.Name, err)
	}
	if c.MTU < minMTU || c.MTU > maxMTU {
		return fmt.Errorf("device %s: mtu %d: want %d to %d", c.Name, c.MTU, minMTU, maxMTU)
	}
	if c.Offload > OffloadSegmentation {
		return fmt.Errorf("device %s: %s: want at most %d", c.Name, c.Offload, OffloadSegmentation)
	}
	if c.TxQueueLen < 0 {
		return fmt.Errorf("device %s: txqueuelen %d is negative", c.Name, c.TxQueueLen)
	}
	if len(c.Owner) > maxOwnerLen || strings.ContainsFunc(c.Owner, unicode.IsControl) {
		return fmt.Errorf("device %s: owner %q: want at most %d octets, no control characters",
			c.Name, c.Owner, maxOwnerLen)
	}
	return c.validatePeerAddresses()
}

func (c Config) validatePeerAddresses() error {
	for _, p := range c.PeerAddresses {
		if !p.IsValid() || p.Addr().IsMulticast() || p.Addr().IsUnspecified() {
			return fmt.Errorf("device %s: peer address %s: not a host's address", c.Name, p)
		}
		if p.Addr().Is6() && c.MTU < minMTUIPv6 {
			return fmt.Errorf("device %s: mtu %d: IPv6 address %s needs %d",
				c.Name, c.MTU, p, minMTUIPv6)
		}
	}
	return nil
}

// checkName keeps names that the kernel would cut, refuse or fill in.
func checkName(name string) error {
	switch {
	case len(name) > maxNameLen:
		return fmt.Errorf("device name %q: longer than %d octets", name, maxNameLen)
	case name == "." || name == "..", strings.ContainsAny(name, "/:% \t\n\v\f\r\x00"):
		return fmt.Errorf("device name %q: no slash, colon, percent sign or space, "+
			"and neither . nor ..", name)
	}
	return nil
}

// ioMode is the way to move packets that a setting asks for.
func ioMode(setting string) (string, error) {
	switch setting {
	case "", "auto", IOVectored:
		return IOVectored, nil
	case IOUring, IOPlain:
		return setting, nil
	}
	return "", fmt.Errorf("io %q: want auto, %s, %s or %s", setting, IOUring, IOVectored, IOPlain)
}
