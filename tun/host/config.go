package host

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
)

// Config says which device of the host a [Device] stands for, and what it
// receives there.
type Config struct {
	// Device is the name of a network device in the namespace of this process.
	Device string
	// Ports are received of every group that is joined and has none in Pairs.
	Ports []uint16
	// Pairs are groups with ports of their own. A group is not joined by it.
	Pairs []netip.AddrPort
	// Logger gets what is worth knowing and no error; nil discards it.
	Logger *slog.Logger
}

// withDefaults fills in what zero values stand for and checks the rest.
func (c Config) withDefaults() (Config, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Device == "" {
		return c, fmt.Errorf("no device")
	}
	if slices.Contains(c.Ports, 0) {
		return c, fmt.Errorf("port 0")
	}
	for _, pair := range c.Pairs {
		if !pair.Addr().IsMulticast() || pair.Addr().Is4In6() || pair.Port() == 0 {
			return c, fmt.Errorf("%s is no group with a port", pair)
		}
	}
	return c, nil
}

// ports are those to receive of a group.
func (c *Config) ports(group netip.Addr) []uint16 {
	var own []uint16
	for _, pair := range c.Pairs {
		if pair.Addr() == group {
			own = append(own, pair.Port())
		}
	}
	if own == nil {
		return c.Ports
	}
	return own
}
