package stack_test

import (
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/faketime"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	gvisor "gvisor.dev/gvisor/pkg/tcpip/stack"

	"umroute/mgm"
	"umroute/stack/membership"
)

// sandbox is a host whose stack is gVisor's, on a link in memory with the
// router side of IGMP or MLD. Both go by one clock, which stands still but for
// advance.
type sandbox struct {
	t        testing.TB
	family   membership.Family
	protocol tcpip.NetworkProtocolNumber
	clock    *faketime.ManualClock
	host     *gvisor.Stack
	link     *channel.Endpoint
	router   *membership.Router
	now      time.Time
	queries  [][]byte
	members  map[mgm.Entry]bool
}

// newSandbox starts a host of a version, and a router that has just begun.
func newSandbox(t testing.TB, family membership.Family, version int) *sandbox {
	t.Helper()
	s := &sandbox{t: t, family: family, clock: faketime.NewManualClock(),
		link: channel.New(64, 1500, ""), members: make(map[mgm.Entry]bool),
		now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s.host = gvisor.New(gvisor.Options{
		Clock: s.clock,
		NetworkProtocols: []gvisor.NetworkProtocolFactory{
			ipv4.NewProtocolWithOptions(ipv4.Options{IGMP: ipv4.IGMPOptions{Enabled: true}}),
			ipv6.NewProtocolWithOptions(ipv6.Options{MLD: ipv6.MLDOptions{Enabled: true}}),
		},
	})
	t.Cleanup(s.host.Close)
	s.must(s.host.CreateNIC(1, s.link))
	address, querier := netip.MustParsePrefix("10.0.1.9/24"), netip.MustParseAddr("10.0.1.1")
	s.protocol = ipv4.ProtocolNumber
	if family == membership.MLD {
		address, querier = netip.MustParsePrefix("fe80::9/64"), netip.MustParseAddr("fe80::1")
		s.protocol = ipv6.ProtocolNumber
	}
	s.must(s.host.AddProtocolAddress(1, tcpip.ProtocolAddress{Protocol: s.protocol,
		AddressWithPrefix: tcpip.AddressWithPrefix{
			Address:   tcpip.AddrFromSlice(address.Addr().AsSlice()),
			PrefixLen: address.Bits(),
		}}, gvisor.AddressProperties{}))
	s.setVersion(version)
	s.router = membership.New(membership.Config{Family: family, Sender: s, Members: s})
	err := s.router.AddInterface(s.now, membership.InterfaceConfig{Index: 1, Name: "memory",
		Address: querier, RequireRouterAlert: true})
	if err != nil {
		t.Fatal(err)
	}
	s.settle()
	return s
}

func (s *sandbox) must(err tcpip.Error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *sandbox) setVersion(version int) {
	s.t.Helper()
	endpoint, err := s.host.GetNetworkEndpoint(1, s.protocol)
	s.must(err)
	if s.family == membership.MLD {
		endpoint.(ipv6.MLDEndpoint).SetMLDVersion(ipv6.MLDVersion(version))
		return
	}
	endpoint.(ipv4.IGMPEndpoint).SetIGMPVersion(ipv4.IGMPVersion(version))
}

// Send keeps a query until the router has done its work.
func (s *sandbox) Send(_ uint32, packet []byte) error {
	s.queries = append(s.queries, append([]byte(nil), packet...))
	return nil
}

func (s *sandbox) AddMembership(e mgm.Entry, _ mgm.Iface, _ mgm.StateFlags) error {
	s.members[e] = true
	return nil
}

func (s *sandbox) DeleteMembership(e mgm.Entry, _ mgm.Iface, _ mgm.StateFlags) error {
	delete(s.members, e)
	return nil
}

// settle carries packets in both directions until there are no more.
func (s *sandbox) settle() {
	for {
		if packet := s.link.Read(); packet != nil {
			s.router.Handle(s.now, 1, packet.ToView().AsSlice())
			packet.DecRef()
			continue
		}
		if len(s.queries) == 0 {
			return
		}
		packet := gvisor.NewPacketBuffer(gvisor.PacketBufferOptions{
			Payload: buffer.MakeWithData(s.queries[0])})
		s.queries = s.queries[1:]
		s.link.InjectInbound(s.protocol, packet)
		packet.DecRef()
	}
}

// advance lets time pass for both.
func (s *sandbox) advance(d time.Duration) {
	const step = 100 * time.Millisecond
	for range d / step {
		s.clock.Advance(step)
		s.now = s.now.Add(step)
		s.settle()
		s.router.Advance(s.now)
		s.settle()
	}
}

// TestGVisorHost has gVisor's hosts, in each version, join a group, answer
// queries for longer than any timer lasts, and leave.
func TestGVisorHost(t *testing.T) {
	for _, test := range []struct {
		name    string
		family  membership.Family
		version int
		group   string
		stays   time.Duration // after the leave
	}{
		// Last Member Query Time, RFC 9776 section 8.10; without a leave, the
		// Group Membership Interval since the last report, at most.
		{"IGMPv1", membership.IGMP, 1, "239.1.1.1", 260 * time.Second},
		{"IGMPv2", membership.IGMP, 2, "239.1.1.1", 2 * time.Second},
		{"IGMPv3", membership.IGMP, 3, "239.1.1.1", 2 * time.Second},
		{"MLDv1", membership.MLD, 1, "ff1e::1", 2 * time.Second},
		{"MLDv2", membership.MLD, 2, "ff1e::1", 2 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSandbox(t, test.family, test.version)
			group := netip.MustParseAddr(test.group)
			entry := mgm.Entry{Group: group}
			address := tcpip.AddrFromSlice(group.AsSlice())
			s.must(s.host.JoinGroup(s.protocol, 1, address))
			s.settle()
			if !s.members[entry] || len(s.members) != 1 {
				t.Errorf("after the join: %v", s.members)
			}
			for range 4 {
				s.advance(260 * time.Second)
				if !s.members[entry] {
					t.Fatalf("forgotten by %s", s.now)
				}
			}
			groups := s.router.Groups(s.now)
			if len(groups) != 1 || groups[0].Version != test.version ||
				groups[0].Mode != membership.Exclude || len(groups[0].Reporters) != 1 {
				t.Errorf("groups %+v", groups)
			}
			s.must(s.host.LeaveGroup(s.protocol, 1, address))
			s.settle()
			if !s.members[entry] {
				t.Error("given up before anybody was asked")
			}
			s.advance(test.stays + 200*time.Millisecond)
			if len(s.members) != 0 || len(s.router.Groups(s.now)) != 0 {
				t.Errorf("%v after the leave: %v", test.stays, s.members)
			}
		})
	}
}
