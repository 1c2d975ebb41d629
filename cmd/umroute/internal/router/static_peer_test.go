package router_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"umroute/stack/igmp"
)

// TestStaticBetweenSmcroutes has the kernel's smcroute on both sides of static
// routes, which come from a smcroute.conf themselves:
//
//	source ── smcroute ──lan═(TAP) umroute (TUN)── red: smcroute ── src0
//
// The umroute in the middle joins the group on the LAN as a host does.
func TestStaticBetweenSmcroutes(t *testing.T) {
	t.Parallel()
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	other := netip.MustParseAddrPort("239.1.1.2:5001")
	link := newLAN(t, proxyLink)
	red := newStation(t, 1)
	far := link.attach(20)
	seen := watch(t, far.Host, device)
	file := filepath.Join(t.TempDir(), "smcroute.conf")
	conf := fmt.Sprintf("mgroup from wan group %[1]v\nmroute from wan group %[1]v to red\n",
		group.Addr())
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startRouter(t, "interfaces:\n"+link.tap("wan", ours, "")+red.tun("red", "")+
		"protocols: {static: {smcroute: "+file+"}}\n")

	t.Log("# the group is reported on the LAN")
	us := netip.AddrFrom4([4]byte{10, 0, proxyLink, ours})
	eventually(t, "a report of the group", func() bool {
		_, reported := seen.last(igmp.TypeV3Report, us)
		return reported
	})

	above, below := link.attach(1), red
	source := behind(t, above)
	below.Run("ip", "link", "add", "src0", "type", "veth", "peer", "name", "src1")
	below.Run("ip", "link", "set", "src1", "up")
	below.Run("ip", "link", "set", "src0", "up", "multicast", "on")
	below.Run("ip", "addr", "add", "10.0.78.1/24", "dev", "src0")
	above.daemon(fmt.Sprintf(phyints+"mroute from src0 group %[1]v to mc0\n"+
		"mroute from src0 group %[2]v to mc0\nmgroup from src0 group %[1]v\n"+
		"mgroup from src0 group %[2]v\n", group.Addr(), other.Addr()),
		"smcrouted", "-n", "-N", "-f", "CONF", "-P", "DIR/pid", "-u", "DIR/sock", "-l", "info")
	below.daemon(fmt.Sprintf(phyints+"mroute from mc0 group %v to src0\n", group.Addr()),
		"smcrouted", "-n", "-N", "-f", "CONF", "-P", "DIR/pid", "-u", "DIR/sock", "-l", "info")
	arrived := watch(t, red.Host, device)
	source.stream(source.v4, group)
	source.stream(source.v4, other)
	eventually(t, "the stream in the tables of the second smcroute", func() bool {
		return strings.Count(below.Run("cat", "/proc/net/ip_mr_cache"), "\n") > 1
	})
	eventually(t, "the stream behind umroute", func() bool {
		return arrived.seen(source.v4, group.Addr()).count > 10
	})
	eventually(t, "the other stream on the LAN", func() bool {
		return seen.seen(source.v4, other.Addr()).count > 10
	})
	if outs := p.outputs(source.v4, group.Addr()); len(outs) != 1 || outs[0] != "red" {
		t.Errorf("the flow goes to %v, want red", outs)
	}
	if n := arrived.seen(source.v4, other.Addr()).count; n != 0 {
		t.Errorf("%d packets of a flow that no route is for", n)
	}
	before := seen.number(igmp.TypeV3Report, us)
	p.stop()
	eventually(t, "a report that the group is left", func() bool {
		return seen.number(igmp.TypeV3Report, us) > before
	})
}
