package smcroute

import (
	"fmt"
	"net/netip"
)

// ParseSource reads a host or a prefix. 0.0.0.0 and :: are any source, the zero
// Prefix.
func ParseSource(text string) (netip.Prefix, error) {
	p, err := parsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, err
	case p.Addr().IsMulticast():
		return netip.Prefix{}, fmt.Errorf("source %s is multicast", text)
	case p.Addr().IsUnspecified():
		return netip.Prefix{}, nil
	}
	return p, nil
}

// ParseGroup reads a group or a prefix of groups.
func ParseGroup(text string) (netip.Prefix, error) {
	p, err := parsePrefix(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	// 224.0.0.0/4 and ff00::/8 are the largest (RFC 5771, RFC 4291 section 2.7).
	whole := 8
	if p.Addr().Is4() {
		whole = 4
	}
	if !p.Addr().IsMulticast() || p.Bits() < whole {
		return netip.Prefix{}, fmt.Errorf("%s is no multicast group", text)
	}
	return p, nil
}

// parsePrefix reads an address, which may have a length. Host bits are masked,
// as SMCRoute does.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" && !a.Is4In6() {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is no address, and no prefix", text)
	}
	return p.Masked(), nil
}
