package router_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"umroute/tun/netns/netnstest"
)

// daemon starts a multicast router of the kernel's in a host. Its configuration
// is written to a file that stands in the arguments as CONF; DIR is a directory.
func (s *station) daemon(conf string, command ...string) {
	s.t.Helper()
	netnstest.Require(s.t)
	path, err := exec.LookPath(command[0])
	if err != nil {
		path = filepath.Join("/usr/sbin", command[0])
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("UMROUTE_REQUIRE_NETNS") == "1" {
			s.t.Fatalf("UMROUTE_REQUIRE_NETNS=1: %v; install the package", err)
		}
		s.t.Skip(err)
	}
	dir := s.t.TempDir()
	file := filepath.Join(dir, "conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		s.t.Fatal(err)
	}
	for _, each := range []string{"all", "default", device} {
		s.sysctl("ipv4/conf/"+each+"/rp_filter", "0")
	}
	place := strings.NewReplacer("CONF", file, "DIR", dir)
	for i := range command {
		command[i] = place.Replace(command[i])
	}
	command[0] = path
	// These daemons write to fixed places under /run.
	script := "mount -t tmpfs tmpfs /run && exec " + strings.Join(command, " ")
	cmd := exec.Command("unshare", "-m", "sh", "-c", script)
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.Start(cmd)
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("%s said:\n%s", filepath.Base(path), output.String())
		}
	})
	eventually(s.t, filepath.Base(path)+" to route", func() bool {
		return strings.Count(s.Run("cat", "/proc/net/ip_mr_vif"), "\n") >= 3
	})
}

// TestProxyBelowIgmpproxy has igmpproxy upstream, which speaks IGMPv2, with a
// source behind it.
func TestProxyBelowIgmpproxy(t *testing.T) {
	t.Parallel()
	l := newProxyLab(t, "")
	peer := l.lan.attach(1)
	source := behind(t, peer)
	peer.daemon("quickleave\nphyint src0 upstream ratelimit 0 threshold 1\n"+
		" altnet 10.0.0.0/8\nphyint mc0 downstream ratelimit 0 threshold 1\n",
		"igmpproxy", "-n", "-v", "CONF")
	eventually(t, "a query of igmpproxy", func() bool {
		return l.proxy("ipv4").Upstream[0].Version == 2
	})
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	source.stream(source.v4, group)
	red := l.red.join(group)
	receives(t, red, source.v4)
}

// TestProxyAboveIgmpproxy has igmpproxy downstream, with a listener behind it.
func TestProxyAboveIgmpproxy(t *testing.T) {
	t.Parallel()
	l := newProxyLab(t, "")
	listener := behind(t, l.red)
	l.red.daemon("phyint mc0 upstream ratelimit 0 threshold 1\n altnet 10.0.0.0/8\n"+
		"phyint src0 downstream ratelimit 0 threshold 1\n", "igmpproxy", "-n", "-v", "CONF")
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	l.far.stream(l.far.v4, group)
	conn := listener.join(group)
	l.awaitAsked(group.Addr(), "exclude")
	receives(t, conn, l.far.v4)
}

const phyints = "phyint mc0 enable\nphyint src0 enable\n" // of smcroute

// TestProxyBelowSmcroute has smcroute upstream, which never queries.
func TestProxyBelowSmcroute(t *testing.T) {
	t.Parallel()
	l := newProxyLab(t, "")
	peer := l.lan.attach(1)
	source := behind(t, peer)
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	peer.daemon(fmt.Sprintf(phyints+"mgroup from src0 group %[1]v\n"+
		"mroute from src0 group %[1]v source %[2]v to mc0\n", group.Addr(), source.v4),
		"smcrouted", "-n", "-N", "-f", "CONF", "-P", "DIR/pid", "-u", "DIR/sock", "-l", "info")
	source.stream(source.v4, group)
	eventually(t, "the stream on the LAN", func() bool {
		return l.wire.seen(source.v4, group.Addr()).count > 10
	})
	if out := l.outputs(source.v4, group.Addr()); len(out) != 0 {
		t.Errorf("forwarded to %v before somebody joined", out)
	}
	red := l.red.join(group)
	receives(t, red, source.v4)
}

// TestProxyAboveSmcroute has smcroute downstream, with a listener behind it.
func TestProxyAboveSmcroute(t *testing.T) {
	t.Parallel()
	l := newProxyLab(t, "")
	listener := behind(t, l.red)
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	l.red.daemon(fmt.Sprintf(phyints+"mgroup from mc0 group %[1]v source %[2]v\n"+
		"mroute from mc0 group %[1]v source %[2]v to src0\n", group.Addr(), l.far.v4),
		"smcrouted", "-n", "-N", "-f", "CONF", "-P", "DIR/pid", "-u", "DIR/sock", "-l", "info")
	l.awaitAsked(group.Addr(), "include "+l.far.v4.String())
	l.far.stream(l.far.v4, group)
	receives(t, listener.join(group), l.far.v4)
}
