package router_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umroute/stack/igmp"
	"umroute/tun/netns/netnstest"
)

// flow is traffic as it goes over a link.
type flow struct{ source, group netip.Addr }

// passage is what a wire has seen of a flow.
type passage struct {
	count int
	last  time.Time
}

// wire watches one device of a host: data, and IGMP.
type wire struct {
	mu       sync.Mutex
	flows    map[flow]passage
	messages []message
}

// message is an IGMP message on a link.
type message struct {
	at     time.Time
	source netip.Addr
	kind   igmp.Type
	octets []byte
}

// watch begins to look at what a device sends and receives.
func watch(t testing.TB, host *netnstest.Host, device string) *wire {
	t.Helper()
	return watchProtocol(t, host, device, unix.ETH_P_ALL)
}

// watchIncoming begins to look at the IPv4 packets that a device receives.
func watchIncoming(t testing.TB, host *netnstest.Host, device string) *wire {
	t.Helper()
	return watchProtocol(t, host, device, unix.ETH_P_IP) // packet(7): never sent ones
}

func watchProtocol(t testing.TB, host *netnstest.Host, device string, protocol uint16) *wire {
	t.Helper()
	index := host.Index(device)
	var fd int
	host.Do(func() (err error) {
		all := protocol<<8 | protocol>>8 // network byte order
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(all))
		if err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20); err != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<20)
		}
		wait := unix.Timeval{Usec: 50_000}
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
	})
	w := &wire{flows: make(map[flow]passage)}
	quit, ended := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() {
		close(quit)
		<-ended
		unix.Close(fd)
	})
	go func() {
		defer close(ended)
		w.read(fd, quit)
	}()
	return w
}

// read reads until quit is closed. The socket has a timeout.
func (w *wire) read(fd int, quit <-chan struct{}) {
	b := make([]byte, 1<<16)
	for {
		select {
		case <-quit:
			return
		default:
		}
		if n, _, err := unix.Recvfrom(fd, b, 0); err == nil {
			w.note(time.Now(), b[:n])
		}
	}
}

// note takes an IP packet.
func (w *wire) note(now time.Time, b []byte) {
	const udp = 17
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(b) >= 20 && b[0]>>4 == 4 && b[9] == udp:
		w.count(now, netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:])))
	case len(b) >= 40 && b[0]>>4 == 6 && b[6] == udp:
		w.count(now, netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:])))
	default:
		p, err := igmp.ParsePacket(b)
		if err != nil {
			return
		}
		w.messages = append(w.messages, message{at: now, source: p.Source,
			kind: igmp.Type(p.Message[0]), octets: append([]byte(nil), p.Message...)})
	}
}

func (w *wire) count(now time.Time, source, group netip.Addr) {
	f := flow{source, group}
	w.flows[f] = passage{w.flows[f].count + 1, now}
}

// seen is what has passed of a flow.
func (w *wire) seen(source, group netip.Addr) passage {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flows[flow{source, group}]
}

// last returns the last message of a kind from a source, or false.
func (w *wire) last(kind igmp.Type, source netip.Addr) (message, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.messages) - 1; i >= 0; i-- {
		if m := w.messages[i]; m.kind == kind && m.source == source {
			return m, true
		}
	}
	return message{}, false
}

// longest returns the longest time between two messages of a kind from a
// source, the end of the observation included.
func (w *wire) longest(kind igmp.Type, source netip.Addr, begin, end time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	longest, last := time.Duration(0), begin
	for _, m := range w.messages {
		if m.kind == kind && m.source == source && m.at.After(begin) && m.at.Before(end) {
			longest, last = max(longest, m.at.Sub(last)), m.at
		}
	}
	return max(longest, end.Sub(last))
}

// number counts the messages of a kind from a source.
func (w *wire) number(kind igmp.Type, source netip.Addr) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.messages {
		if m.kind == kind && m.source == source {
			n++
		}
	}
	return n
}

// leave returns the first report that gives a group up, as TO_IN without
// sources, since a time.
func (w *wire) leave(group netip.Addr, since time.Time) (message, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.messages {
		if m.at.Before(since) || m.kind != igmp.TypeV3Report {
			continue
		}
		var report igmp.Report
		if report.UnmarshalBinary(m.octets) != nil {
			continue
		}
		for _, r := range report.Records {
			if r.Type == igmp.ToInclude && r.Group == group && len(r.Sources) == 0 {
				return m, true
			}
		}
	}
	return message{}, false
}
