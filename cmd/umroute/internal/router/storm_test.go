package router_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umroute/stack/igmp"
)

// TestStorm has a host send 100,000 reports and more of 1,000 records each, about
// groups and sources without end, as fast as it can. The router keeps to its
// limits, its queries come in time, and a host on another link is served.
func TestStorm(t *testing.T) {
	red, blue := newStation(t, 1), newStation(t, 2)
	p := startRouter(t, "interfaces:\n"+
		red.tun("red", ", igmp: {query-interval: 1s, query-response-interval: 500ms}")+
		blue.tun("blue", ", mtu: 16000, igmp: {query-interval: 1s, "+
			"query-response-interval: 500ms, max-groups: 1000, max-sources: 100}"))
	quiet, stormed := watchIncoming(t, red.Host, device), watchIncoming(t, blue.Host, device)
	routers := map[*wire]netip.Addr{quiet: netip.MustParseAddr("10.0.1.1"),
		stormed: netip.MustParseAddr("10.0.2.1")}
	for w, router := range routers {
		eventually(t, "the startup queries", func() bool {
			return w.number(igmp.TypeQuery, router) >= 2
		})
	}
	begin := time.Now()
	ended := make(chan int)
	go func() { ended <- blue.storm(100_000, 3*time.Second) }()
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	joined := time.Now()
	red.join(group)
	p.awaitGroup("red", group.Addr())
	t.Logf("a join on the other link took %v", time.Since(joined))
	sent := <-ended
	end := time.Now()
	for w, router := range routers {
		late := w.longest(igmp.TypeQuery, router, begin, end) - time.Second
		t.Logf("%d reports in %v; queries of %s at most %v late", sent, end.Sub(begin), router, late)
		// 100 ms, where the machine does nothing else.
		if late > reaction {
			t.Errorf("a query of %s came %v late", router, late)
		}
	}
	i := p.igmp("blue")
	t.Logf("heard %d, ignored %v", i.Received["report_v3"], i.Ignored)
	groups := p.groups("blue")
	if len(groups) > 1000 || i.Received["report_v3"] == 0 || i.Ignored["too_many_groups"] == 0 {
		t.Errorf("%d groups; %+v", len(groups), i)
	}
	for _, g := range groups {
		if len(g.Sources) > 100 {
			t.Errorf("%s has %d sources", g.Group, len(g.Sources))
		}
	}
}

// storm sends random reports from random hosts of the link until there are so
// many and the time is over, and says how many there were.
func (s *station) storm(least int, lasts time.Duration) (sent int) {
	random := rand.New(rand.NewPCG(1, 2))
	var packets [][]byte
	for range 50 {
		packets = append(packets, stormReport(random, s.number))
	}
	err := s.inside(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		to := unix.SockaddrInet4{Addr: igmp.AllV3Routers.As4()}
		for end := time.Now().Add(lasts); sent < least || time.Now().Before(end); sent++ {
			// ENOBUFS says that the device's queue is full, as it is meant to be.
			err := unix.Sendto(fd, packets[sent%len(packets)], 0, &to)
			if err != nil && err != unix.ENOBUFS {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Error("storm: ", err)
	}
	return sent
}

// stormReport makes a report of 1,000 records with up to 2 sources each.
func stormReport(random *rand.Rand, link int) []byte {
	address := func(net byte) netip.Addr {
		value := uint32(net)<<24 | random.Uint32N(1<<24)
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, value)))
	}
	var report igmp.Report
	for range 1000 {
		record := igmp.Record{Type: igmp.RecordType(1 + random.IntN(6)),
			Group: address(byte(224 + random.IntN(16)))}
		for range random.IntN(3) {
			record.Sources = append(record.Sources, address(byte(1+random.IntN(223))))
		}
		report.Records = append(report.Records, record)
	}
	host := netip.AddrFrom4([4]byte{10, 0, byte(link), byte(2 + random.IntN(250))})
	packet, _ := igmp.AppendPacket(nil, host, igmp.AllV3Routers, &report)
	return packet
}
