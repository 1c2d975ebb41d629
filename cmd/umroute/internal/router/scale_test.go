package router_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What TestManyJoins does: each host joins groups of its own.
const (
	manyHosts     = 4
	joinsOfHost   = 2500
	joinsOfSocket = 500 // optmem_max does not let a socket join many more
	manyJoins     = manyHosts * joinsOfHost
)

// TestManyJoins has 4 hosts join 10,000 groups, to all of which somebody sends
// already. All forwarding entries lead to their member soon after.
func TestManyJoins(t *testing.T) {
	const limits = ", igmp: {max-groups: 0}, mld: {enabled: false}"
	red := newStation(t, 1)
	yaml := "interfaces:\n" + red.tun("red", "")
	var hosts []*station
	for i := range manyHosts {
		s := newStation(t, 2+i)
		s.sysctl("ipv4/igmp_max_memberships", "4000")
		hosts = append(hosts, s)
		yaml += s.tun(fmt.Sprint("host", i), limits)
	}
	p := startRouter(t, yaml)
	red.sendToAll(p)
	begin := time.Now()
	for i, s := range hosts {
		s.joinMany(i)
	}
	asked := time.Since(begin)
	eventually(t, "all memberships", func() bool { return len(p.router.Memberships()) == manyJoins })
	known := time.Since(begin)
	eventually(t, "all forwarding entries", func() bool { return p.forwarding() == manyJoins })
	took := time.Since(begin)
	t.Logf("%d joins: asked for in %v, known after %v, forwarded after %v",
		manyJoins, asked, known, took)
	// It takes half a second where the machine has nothing else to do.
	if took > slowdown*2*time.Second+reaction {
		t.Errorf("%d joins took %v until all were forwarded, want less than 2 s", manyJoins, took)
	}
	p.checkMany()
}

// manyGroup is the group of one of the joins of a host.
func manyGroup(host, i int) netip.Addr {
	return netip.AddrFrom4([4]byte{239, 10 + byte(host), byte(i >> 8), byte(i)})
}

// sendToAll sends to all groups until the router has an entry for each. What
// comes faster than the router decides is lost, and sent again.
func (s *station) sendToAll(p *running) {
	s.t.Helper()
	conn := s.ListenUDP("udp4", ":0")
	setOption(s.t, conn, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, 8)
	})
	have := make(map[string]bool)
	eventually(s.t, "an entry for each group", func() bool {
		for _, r := range p.router.Routes() {
			have[r.Group] = true
		}
		sent := 0
		for host := range manyHosts {
			for i := range joinsOfHost {
				to := manyGroup(host, i)
				// A burst that the queue of the device holds.
				if have[to.String()] || sent == 500 {
					continue
				}
				if _, err := conn.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(to, 5000)); err != nil {
					s.t.Error(err)
				}
				sent++
			}
		}
		return sent == 0
	})
}

// joinMany joins all groups of a host, the number of which is given.
func (s *station) joinMany(host int) {
	s.t.Helper()
	index := s.Index(device)
	var conn *net.UDPConn
	for i := range joinsOfHost {
		if i%joinsOfSocket == 0 {
			conn = s.ListenUDP("udp4", "0.0.0.0:5000")
		}
		setOption(s.t, conn, func(fd int) error {
			return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
				&unix.IPMreqn{Multiaddr: manyGroup(host, i).As4(), Ifindex: int32(index)})
		})
	}
}

// forwarding counts the entries that have an output.
func (p *running) forwarding() (n int) {
	for _, r := range p.router.Routes() {
		if len(r.OIFs) > 0 {
			n++
		}
	}
	return n
}

// checkMany looks whether each host has its own groups, and each entry leads
// to the host that joined.
func (p *running) checkMany() {
	p.t.Helper()
	owner := make(map[string]string)
	for host := range manyHosts {
		name := fmt.Sprint("host", host)
		if n := len(p.groups(name)); n != joinsOfHost {
			p.t.Errorf("%d groups on %s, want %d", n, name, joinsOfHost)
		}
		for i := range joinsOfHost {
			owner[manyGroup(host, i).String()] = name
		}
	}
	wrong := 0
	for _, r := range p.router.Routes() {
		if len(r.OIFs) != 1 || r.OIFs[0].Interface != owner[r.Group] {
			wrong++
		}
	}
	if wrong != 0 {
		p.t.Errorf("%d entries lead to the wrong host", wrong)
	}
}
