package routing

import (
	"net/netip"
	"testing"

	"umroute/tun"
)

// TestPuntedGroups leaves a group to the host stack on one link, and forwards it
// from another.
func TestPuntedGroups(t *testing.T) {
	var punted []uint32
	r := newRouter(t, Config{Punt: func(index uint32, _ []byte) {
		punted = append(punted, index)
	}})
	r.add(InterfaceConfig{Index: 1, Punted: []netip.Prefix{netip.MustParsePrefix("239.1.1.1/32")}},
		tun.KindTUN)
	r.add(InterfaceConfig{Index: 2}, tun.KindTUN)
	r.add(InterfaceConfig{Index: 3}, tun.KindTUN)
	r.set(mfe(flow4, 2, 3))
	r.deliver(1, data(9, "a"))
	r.deliver(2, data(9, "b"))
	r.wantSent(3, "b")
	if len(punted) != 1 || punted[0] != 1 {
		t.Errorf("punted from %v", punted)
	}
	if s, _ := r.InterfaceStats(1); len(s.Drops) > 0 {
		t.Errorf("dropped %v", s.Drops)
	}
}
