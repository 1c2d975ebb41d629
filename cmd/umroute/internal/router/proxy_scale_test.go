package router_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"umroute/stack/igmp"
)

// reported is the set of groups that reports upstream have asked for.
func (w *wire) reported(source netip.Addr) map[netip.Addr]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	groups := make(map[netip.Addr]bool)
	for _, m := range w.messages {
		if m.source != source {
			continue
		}
		var older igmp.GroupReport
		if older.UnmarshalBinary(m.octets) == nil {
			groups[older.Group] = true
			continue
		}
		var report igmp.Report
		if report.UnmarshalBinary(m.octets) != nil {
			continue
		}
		for _, r := range report.Records {
			switch {
			case r.Type == igmp.ToExclude || r.Type == igmp.IsExclude:
				groups[r.Group] = true
			case r.Type == igmp.ToInclude:
				delete(groups, r.Group)
			}
		}
	}
	return groups
}

// TestProxyManyGroups has a host join 10,000 groups, all of which are asked for
// upstream soon after.
func TestProxyManyGroups(t *testing.T) {
	for _, version := range []int{3, 2} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) { proxyManyGroups(t, version) })
	}
}

func proxyManyGroups(t *testing.T, version int) {
	l := newProxyLab(t, fmt.Sprintf(", igmp: {version: %d}", version))
	l.red.sysctl("ipv4/igmp_max_memberships", "4000")
	us := netip.MustParseAddr("10.0.9.2")
	begin := time.Now()
	for host := range manyHosts {
		l.red.joinMany(host)
	}
	asked := time.Since(begin)
	eventually(t, "all memberships", func() bool { return len(l.groups("red")) == manyJoins })
	known := time.Since(begin)
	eventually(t, "all reports upstream", func() bool {
		return len(l.wire.reported(us)) == manyJoins
	})
	took := time.Since(begin)
	t.Logf("%d groups: joined in %v, known after %v, asked for upstream after %v",
		manyJoins, asked, known, took)
	// In version 2 each group is a packet, and a busy machine may need longer.
	if version == 3 && took > slowdown*2*time.Second+reaction {
		t.Errorf("%d groups took %v until upstream knew, want less than 2 s", manyJoins, took)
	}
	if n := l.proxy("ipv4").Upstream[0].Groups; n != manyJoins {
		t.Errorf("%d groups upstream, want %d", n, manyJoins)
	}
}
