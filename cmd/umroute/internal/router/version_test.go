package router_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// TestHostVersions has hosts that speak one version alone join, receive and
// leave. Only IGMPv1 has no leave: there the Group Membership Interval ends it.
func TestHostVersions(t *testing.T) {
	for _, test := range []struct {
		group   string
		version int
		leaves  bool
	}{
		{"239.1.1.1:5001", 1, false},
		{"239.1.1.2:5002", 2, true},
		{"239.1.1.3:5003", 3, true},
		{"[ff15::1:1]:5004", 1, true},
		{"[ff15::1:2]:5005", 2, true},
	} {
		group := netip.MustParseAddrPort(test.group)
		protocol := "IGMPv"
		if group.Addr().Is6() {
			protocol = "MLDv"
		}
		t.Run(fmt.Sprint(protocol, test.version), func(t *testing.T) {
			t.Parallel()
			red, blue := newStation(t, 1), newStation(t, 2)
			blue.Run("ip", "tuntap", "add", "dev", device, "mode", "tun")
			blue.forceVersion(group.Addr(), test.version)
			p := startRouter(t, "interfaces:\n"+red.tun("red", "")+blue.tun("blue", shortTimers))
			w := watch(t, blue.Host, device)
			blue.awaitLinkLocal()
			conn := blue.join(group)
			g := p.awaitGroup("blue", group.Addr())
			if g.Version != test.version || g.Mode != "exclude" || len(g.Reporters) != 1 {
				t.Errorf("group %+v, want version %d", g, test.version)
			}
			source := red.address(group.Addr())
			red.stream(source, group)
			awaitFlow(t, w, source, group.Addr())
			g, _ = p.group("blue", group.Addr())
			begin := time.Now()
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			took := awaitEnd(t, w, source, group.Addr()).Sub(begin)
			t.Logf("%v from the leave to the last datagram", took)
			// A TUN has one host, so its leave acts at once; if it were asked for,
			// that would take 2 s.
			if test.leaves && took > time.Second {
				t.Errorf("the traffic went on for %v after the leave from %+v", took, g)
			}
			if !test.leaves && (took < time.Second || took > shortMembership+reaction) {
				t.Errorf("the traffic went on for %v, want at most %v", took, shortMembership)
			}
		})
	}
}

// TestSources has a host choose between three sources.
func TestSources(t *testing.T) {
	for _, text := range []string{"232.1.1.1:5001", "[ff35::8000:1]:5002"} {
		group := netip.MustParseAddrPort(text)
		t.Run(fmt.Sprint("include ", group.Addr()), func(t *testing.T) {
			t.Parallel()
			s := newSources(t, group)
			conn := s.blue.join(group, s.list[0], s.list[1])
			s.await("blue", "blue", "")
			s.blue.Leave(conn, device, group.Addr(), s.list[0])
			s.await("", "blue", "")
			s.blue.Join(conn, device, group.Addr(), s.list[2])
			s.await("", "blue", "blue")
			if g := s.p.groups("blue")[group.Addr()]; g.Mode != "include" || len(g.Sources) != 2 {
				t.Errorf("group %+v", g)
			}
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			s.await("", "", "")
		})
	}
	for _, text := range []string{"239.1.1.1:5003", "[ff15::1:1]:5004"} {
		group := netip.MustParseAddrPort(text)
		t.Run(fmt.Sprint("exclude ", group.Addr()), func(t *testing.T) {
			t.Parallel()
			s := newSources(t, group)
			conn := s.blue.join(group)
			s.await("blue", "blue", "blue")
			s.blue.block(conn, group.Addr(), s.list[1])
			s.await("blue", "", "blue")
			g := s.p.groups("blue")[group.Addr()]
			if g.Mode != "exclude" || len(g.Sources) != 1 || g.Sources[0].Forwarding {
				t.Errorf("group %+v", g)
			}
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			s.await("", "", "")
		})
	}
}

// sources are three streams to a group that blue may want.
type sources struct {
	t     testing.TB
	p     *running
	blue  *station
	w     *wire
	group netip.Addr
	list  []netip.Addr
}

func newSources(t testing.TB, group netip.AddrPort) *sources {
	t.Helper()
	red := newStation(t, 1)
	s := &sources{t: t, blue: newStation(t, 2), group: group.Addr()}
	s.p = startRouter(t, "interfaces:\n"+red.tun("red", "")+s.blue.tun("blue", ""))
	s.w = watch(t, s.blue.Host, device)
	source := red.address(group.Addr())
	for range 3 {
		s.list = append(s.list, source)
		if source.Is4() && len(s.list) > 1 {
			red.Run("ip", "addr", "add", source.String()+"/24", "dev", device)
		}
		if source.Is6() && len(s.list) > 1 {
			red.Run("ip", "addr", "add", source.String()+"/64", "dev", device, "nodad")
		}
		red.stream(source, group)
		source = source.Next()
	}
	return s
}

// await waits until each source goes to the interface given, or to none, and
// looks whether the wire agrees.
func (s *sources) await(wanted ...string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("sources to %q", wanted), func() bool {
		for i, name := range wanted {
			outputs := s.p.outputs(s.list[i], s.group)
			if outputs == nil || fmt.Sprint(outputs) != fmt.Sprintf("[%s]", name) {
				return false
			}
		}
		return true
	})
	for i, name := range wanted {
		if name == "" {
			awaitEnd(s.t, s.w, s.list[i], s.group)
			continue
		}
		awaitFlow(s.t, s.w, s.list[i], s.group)
	}
}
