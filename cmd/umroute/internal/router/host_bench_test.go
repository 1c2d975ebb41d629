package router_test

import (
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkHostLink compares the way of a datagram from and to the host's LAN with
// that from one TUN to another. The sender has at most a window under way, so that
// nothing is lost and the rate is that of the slowest part.
//
//	red ──tun── router ──tun── blue
//	lan ──veth─ host   ──tun── blue
//	red ──tun── router ─host── lan
func BenchmarkHostLink(b *testing.B) {
	lan, red, blue := newNeighbor(b), newStation(b, 1), newStation(b, 2)
	// Datagrams are joined, as they are by default.
	tun := func(s *station, name string) string {
		return "  " + name + ": {netns: " + s.Netns() + ", addresses: [10.0." +
			string(rune('0'+s.number)) + ".1/24], peer-addresses: [" + s.v4.String() + "/24]}\n"
	}
	p := startRouter(b, "interfaces:\n"+tun(red, "red")+tun(blue, "blue")+`
  lan: {link: host, device: lan0, ports: [5004], join: [{group: 239.1.1.2}]}
protocols: {static: {routes: [{group: 239.1.1.3, in: red, out: [lan]}]}}
`)
	for _, path := range []struct {
		name     string
		from, to *station
		group    string
	}{
		{"tun-tun", red, blue, "239.1.1.1:5004"},
		{"host-tun", lan, blue, "239.1.1.2:5004"},
		{"tun-host", red, lan, "239.1.1.3:5004"},
	} {
		group := netip.MustParseAddrPort(path.group)
		conn := path.to.join(group)
		if path.to == blue {
			p.awaitGroup("blue", group.Addr())
		}
		for sender, segments := range map[string]int{"single": 1, "gso": 32} {
			b.Run("path="+path.name+"/sender="+sender+"/size=512", func(b *testing.B) {
				flood(b, path.from, conn, group, segments)
			})
		}
		conn.Close()
	}
}

// flood sends b.N datagrams of 512 octets, some of them by one call.
func flood(b *testing.B, from *station, to *net.UDPConn, group netip.AddrPort, segments int) {
	const size, window = 512, 512
	out := from.ListenUDP("udp4", from.v4.String()+":0")
	defer out.Close()
	setOption(b, out, func(fd int) error {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, 8); err != nil {
			return err
		}
		if segments == 1 {
			return nil
		}
		return unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, size)
	})
	var received atomic.Int64
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		buf := make([]byte, 2048)
		for {
			if _, _, err := to.ReadFromUDPAddrPort(buf); err != nil {
				return
			}
			received.Add(1)
		}
	}()
	payload := make([]byte, size*segments)
	lost, sent, progress := int64(0), int64(0), time.Now()
	b.ResetTimer()
	for received.Load()+lost < int64(b.N) {
		if sent-received.Load()-lost >= window {
			runtime.Gosched()
			if time.Since(progress) > 100*time.Millisecond { // since the last send
				lost = sent - received.Load()
			}
			continue
		}
		if _, err := out.WriteToUDPAddrPort(payload, group); err != nil {
			b.Fatal(err)
		}
		sent, progress = sent+int64(segments), time.Now()
	}
	b.StopTimer()
	b.ReportMetric(float64(received.Load())/b.Elapsed().Seconds(), "pps")
	b.ReportMetric(float64(lost), "lost")
	_ = to.SetReadDeadline(time.Unix(1, 0))
	<-stop
	_ = to.SetReadDeadline(time.Time{})
}
