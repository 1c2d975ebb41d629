package router_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"umroute/stack/igmp"
	"umroute/tun/netns/netnstest"
)

// pimd is FRR's, and zebra is the part of FRR that tells it of interfaces.
const pimd, zebra = "/usr/lib/frr/pimd", "/usr/lib/frr/zebra"

// frr is a router of FRR's on a LAN. It speaks IGMPv3 on mc0.
type frr struct {
	*station
	dir     string
	daemons []*exec.Cmd
}

// requireFRR skips a test where FRR is missing, unless namespaces are demanded,
// or where it cannot run as the user that it wants.
func requireFRR(t testing.TB) (uid, gid int) {
	t.Helper()
	netnstest.Require(t)
	if _, err := os.Stat(pimd); err != nil {
		if os.Getenv("UMROUTE_REQUIRE_NETNS") == "1" {
			t.Fatalf("UMROUTE_REQUIRE_NETNS=1: %v; install the package frr", err)
		}
		t.Skipf("%v; install the package frr", err)
	}
	account, err := user.Lookup("frr")
	if err != nil {
		t.Skip(err)
	}
	uid, _ = strconv.Atoi(account.Uid)
	gid, _ = strconv.Atoi(account.Gid)
	// Where root alone is in the user namespace, there is no such user.
	if err := os.Chown(t.TempDir(), uid, gid); err != nil {
		t.Skipf("FRR cannot run as its own user: %v", err)
	}
	return uid, gid
}

// startFRR attaches an FRR router to a LAN. The interval and response of its
// queries are given in seconds.
func startFRR(t testing.TB, l *lan, host, interval, response int) *frr {
	t.Helper()
	requireFRR(t)
	return runFRR(t, l.attach(host), frrQuerier(3, interval, response))
}

// frrQuerier is FRR's configuration of an IGMP querier on mc0. The order
// matters: a response above the interval is refused.
func frrQuerier(version, interval, response int) string {
	return fmt.Sprintf("interface mc0\n ip pim\n ip igmp\n ip igmp version %d\n"+
		" ip igmp query-max-response-time %d\n ip igmp query-interval %d\n",
		version, 10*response, interval)
}

// runFRR makes a host an FRR router with this configuration of pimd.
func runFRR(t testing.TB, s *station, conf string) *frr {
	t.Helper()
	uid, gid := requireFRR(t)
	dir, err := os.MkdirTemp("", "frr-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &frr{station: s, dir: dir}
	f.write("pimd.conf", conf)
	f.write("zebra.conf", "hostname peer\n")
	for _, path := range []string{dir, f.path("pimd.conf"), f.path("zebra.conf")} {
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range []string{zebra, pimd} {
		f.start(program)
	}
	return f
}

func (f *frr) path(name string) string { return filepath.Join(f.dir, name) }

func (f *frr) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path(name), []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// start starts one of FRR's daemons and waits for the socket by which it is
// asked.
func (f *frr) start(program string) {
	f.t.Helper()
	name := filepath.Base(program)
	cmd := exec.Command(program, "-f", f.path(name+".conf"), "--vty_socket", f.dir,
		"-z", f.path("zserv.api"), "-i", f.path(name+".pid"), "-P", "0",
		"--log", "file:"+f.path(name+".log"))
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	f.Start(cmd)
	f.daemons = append(f.daemons, cmd)
	f.t.Cleanup(func() {
		if f.t.Failed() {
			log, _ := os.ReadFile(f.path(name + ".log"))
			f.t.Logf("%s said:\n%s%s", name, output.String(), log)
		}
	})
	eventually(f.t, name+" listens", func() bool {
		_, err := os.Stat(f.path(name + ".vty"))
		return err == nil
	})
}

// stop ends FRR without a word on the link.
func (f *frr) stop() {
	f.t.Helper()
	for _, cmd := range f.daemons {
		if err := cmd.Process.Kill(); err != nil {
			f.t.Fatal(err)
		}
	}
}

// lanOfTwo is a LAN for two routers, and the configuration of ours.
func lanOfTwo(t testing.TB, ours int) (l *lan, yaml string) {
	t.Helper()
	requireFRR(t)
	l = newLAN(t, 2)
	return l, "interfaces:\n" + l.tap("lan", ours,
		", igmp: {query-interval: 7s, query-response-interval: 1s, robustness: 3}")
}

// TestElectionLost has FRR with a lower address query on the link. The router
// is silent, adopts FRR's robustness and interval, and takes over when FRR has
// been missing for the Other Querier Present Interval (RFC 9776 section 8.5).
func TestElectionLost(t *testing.T) {
	t.Parallel()
	l, yaml := lanOfTwo(t, 9)
	ours := netip.MustParseAddr("10.0.2.9")
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	member := l.attach(20)
	w := watch(t, member.Host, device)
	p := startRouter(t, yaml)
	eventually(t, "a query of ours", func() bool { return w.number(igmp.TypeQuery, ours) > 0 })
	member.join(group)
	p.awaitGroup("lan", group.Addr())

	peer := startFRR(t, l, 1, 2, 1)
	eventually(t, "FRR to be elected", func() bool {
		return p.igmp("lan").Querier == peer.v4.String()
	})
	told := peer.lastQuery(w)
	q := p.igmp("lan")
	if q.IsQuerier || q.Robustness != int(told.Robustness) || q.QueryInterval != 2 ||
		q.OtherQuerier <= 0 {
		t.Errorf("%+v, want what FRR tells: %+v", q, told)
	}
	// It keeps silent, and keeps what the member answers to FRR.
	asked, heard := w.number(igmp.TypeQuery, ours), w.number(igmp.TypeQuery, peer.v4)
	eventually(t, "further queries of FRR", func() bool {
		return w.number(igmp.TypeQuery, peer.v4) >= heard+3
	})
	if n := w.number(igmp.TypeQuery, ours); n != asked {
		t.Errorf("%d queries of ours while FRR is the querier", n-asked)
	}
	if _, ok := p.group("lan", group.Addr()); !ok {
		t.Error("the group is forgotten while FRR is the querier")
	}
	peer.stop()
	last, _ := w.last(igmp.TypeQuery, peer.v4)
	eventually(t, "a query of ours again", func() bool {
		return w.number(igmp.TypeQuery, ours) > asked
	})
	again, _ := w.last(igmp.TypeQuery, ours)
	took := again.at.Sub(last.at)
	t.Logf("took over %v after FRR's last query", took)
	// Its robustness times its interval, and half of our response interval.
	told = peer.lastQuery(w)
	present := time.Duration(told.Robustness)*told.Interval + 500*time.Millisecond
	if took < present-20*time.Millisecond || took > present+reaction {
		t.Errorf("took over after %v, want %v", took, present)
	}
	if q := p.igmp("lan"); !q.IsQuerier || q.Robustness != 3 || q.QueryInterval != 7 {
		t.Errorf("%+v, want our own robustness 3 and interval 7 s", q)
	}
}

// TestElectionWon has FRR with a higher address start to query on the link. It
// falls silent at our next query, and the router asks on.
func TestElectionWon(t *testing.T) {
	t.Parallel()
	l, yaml := lanOfTwo(t, 1)
	ours := netip.MustParseAddr("10.0.2.1")
	member := l.attach(20)
	w := watch(t, member.Host, device)
	peer := startFRR(t, l, 200, 2, 1)
	eventually(t, "queries of FRR", func() bool { return w.number(igmp.TypeQuery, peer.v4) > 0 })
	p := startRouter(t, yaml)
	eventually(t, "a query of ours", func() bool { return w.number(igmp.TypeQuery, ours) > 0 })
	// Both start-up queries of FRR, or what is on its way, are behind.
	eventually(t, "FRR to yield", func() bool {
		return strings.Contains(peer.ask("show ip igmp interface"), "other")
	})
	asked, heard := w.number(igmp.TypeQuery, ours), w.number(igmp.TypeQuery, peer.v4)
	eventually(t, "further queries of ours", func() bool {
		return w.number(igmp.TypeQuery, ours) >= asked+2
	})
	if n := w.number(igmp.TypeQuery, peer.v4); n != heard {
		t.Errorf("%d queries of FRR's after it lost", n-heard)
	}
	q := p.igmp("lan")
	if !q.IsQuerier || q.Querier != ours.String() || q.Robustness != 3 || q.QueryInterval != 7 {
		t.Errorf("%+v, want ourselves as the querier", q)
	}
}

// lastQuery is what FRR told last. Its robustness is 2, or ours once it has
// heard a query of ours.
func (f *frr) lastQuery(w *wire) igmp.Query {
	f.t.Helper()
	// The router may hear a query before the witness does.
	var m message
	eventually(f.t, "a query of FRR on the wire", func() (seen bool) {
		m, seen = w.last(igmp.TypeQuery, f.v4)
		return seen
	})
	var q igmp.Query
	if err := q.UnmarshalBinary(m.octets); err != nil {
		f.t.Fatal(err)
	}
	return q
}

// ask runs a command of FRR's own.
func (f *frr) ask(command string) string {
	f.t.Helper()
	return f.Run("vtysh", "--vty_socket", f.dir, "-c", command)
}
