package router

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/netip"

	"umroute/cmd/umroute/internal/config"
)

// What attached interfaces without addresses get: the lowest N for which both
// 10.209.0.0/16's N-th /30 and fd6d:6372:7400:N::/64 are free. The router has
// the first address of each, the other side the second.
var (
	poolIPv4 = netip.MustParsePrefix("10.209.0.0/16")
	poolIPv6 = netip.MustParsePrefix("fd6d:6372:7400::/48")
)

const (
	linkBits = 30                           // of an IPv4 link with two addresses
	maxLinks = 1<<(linkBits-16) - 1         // in poolIPv4, N from 1
	hostBits = 64                           // of an IPv6 link (RFC 4291 section 2.5.4)
	linkSize = uint32(1 << (32 - linkBits)) // addresses of an IPv4 link
)

var errPoolUsed = errors.New("all addresses for attached interfaces are in use; " +
	"give it some by --address and --peer-address")

// addAddresses adds addresses to the keys of an interface that has none.
func addAddresses(keys map[string]json.RawMessage, others []config.Interface) error {
	if keys["addresses"] != nil || keys["peer-addresses"] != nil {
		return nil
	}
	for n := uint32(1); n <= maxLinks; n++ {
		v4, v6 := poolLink(n)
		if overlaps(v4, others) || overlaps(v6, others) {
			continue
		}
		router, err := json.Marshal([]netip.Prefix{hostOf(v4, 1), hostOf(v6, 1)})
		if err != nil {
			return err
		}
		peer, err := json.Marshal([]netip.Prefix{hostOf(v4, 2), hostOf(v6, 2)})
		if err != nil {
			return err
		}
		keys["addresses"], keys["peer-addresses"] = router, peer
		return nil
	}
	return errPoolUsed
}

// poolLink is the N-th link of the pool.
func poolLink(n uint32) (v4, v6 netip.Prefix) {
	a, b := poolIPv4.Addr().As4(), poolIPv6.Addr().As16()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+n*linkSize)
	binary.BigEndian.PutUint16(b[6:], uint16(n))
	return netip.PrefixFrom(netip.AddrFrom4(a), linkBits),
		netip.PrefixFrom(netip.AddrFrom16(b), hostBits)
}

// hostOf is the n-th address of a link.
func hostOf(link netip.Prefix, n int) netip.Prefix {
	address := link.Addr()
	for range n {
		address = address.Next()
	}
	return netip.PrefixFrom(address, link.Bits())
}

func overlaps(link netip.Prefix, others []config.Interface) bool {
	for k := range others {
		for _, list := range [][]netip.Prefix{others[k].Addresses, others[k].PeerAddresses} {
			for _, p := range list {
				if p.Overlaps(link) {
					return true
				}
			}
		}
	}
	return false
}
