package demo

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"umroute/bench/load"
	"umroute/tun"
	"umroute/tun/netns"
)

// linuxNetwork is hosts that are network namespaces of this process's user
// namespace. Sockets stay in the namespace that they were opened in.
type linuxNetwork struct {
	namespaces map[string]*netns.Namespace
}

// openLinux makes a namespace for each host and a TUN device in it. The links
// are the router's ends, in the order of hosts.
func openLinux() (*linuxNetwork, []*tun.Link, error) {
	n := &linuxNetwork{namespaces: make(map[string]*netns.Namespace)}
	var links []*tun.Link
	for _, h := range hosts() {
		ns, err := netns.New()
		if err != nil {
			return nil, nil, fmt.Errorf("make a namespace for %s: %w", h.Name, err)
		}
		n.namespaces[h.Name] = ns
		link, err := tun.Open(tun.Config{Netns: ns.Path(), Addresses: h.Router,
			PeerAddresses: h.Peer, PeerRoutes: true})
		if err != nil {
			return nil, nil, fmt.Errorf("give %s a link: %w", h.Name, err)
		}
		links = append(links, link)
	}
	return n, links, nil
}

func (n *linuxNetwork) send(ctx context.Context, of stream) (sent func() uint64, err error) {
	var s *load.Sender
	err = n.namespaces[sender].Do(func() (err error) {
		s, err = load.NewSender(load.SenderConfig{Group: of.Group, Interface: tun.DefaultName,
			Rate: streamRate, Size: streamSize, TTL: streamTTL})
		return err
	})
	if err != nil {
		return nil, err
	}
	go func() {
		defer s.Close()
		// What was not sent is seen in the count.
		_, _ = s.Run(ctx)
	}()
	return s.Sent, nil
}

func (n *linuxNetwork) listen(host string, of stream, source netip.Addr) (listener, error) {
	config := load.ReceiverConfig{Group: of.Group, Interface: tun.DefaultName}
	if source.IsValid() {
		config.Sources = []netip.Addr{source}
	}
	var r *load.Receiver
	err := n.namespaces[host].Do(func() (err error) {
		r, err = load.NewReceiver(config)
		return err
	})
	if err != nil {
		return nil, err
	}
	l := &linuxListener{receiver: r, ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		// Close ends it; what was received is in the snapshot.
		_, _ = r.Run(context.Background())
	}()
	return l, nil
}

type linuxListener struct {
	receiver *load.Receiver
	ended    chan struct{}
}

func (l *linuxListener) leave() error {
	err := l.receiver.Close()
	<-l.ended
	return err
}

func (l *linuxListener) snapshot(s *session) {
	report := l.receiver.Snapshot()
	s.Received, s.Lost = report.Received, report.Lost
	s.Duplicates, s.Corrupt = report.Duplicates, report.Corrupt
	if len(report.Streams) > 0 {
		s.First, s.Last = report.Streams[0].First, report.Streams[0].Last
	}
}

// watch looks at every packet that reaches a host's device, member or not.
func (n *linuxNetwork) watch(host string, judge func(stream int) bool) (func() []uint64, error) {
	var socket *os.File
	err := n.namespaces[host].Do(func() (err error) {
		socket, err = openWitness()
		return err
	})
	if err != nil {
		return nil, err
	}
	counts := make([]atomic.Uint64, len(streams()))
	go func() {
		defer socket.Close()
		packet := make([]byte, 2048)
		for {
			length, err := socket.Read(packet)
			if err != nil {
				return
			}
			stream := streamOf(packet[:length])
			if stream >= 0 && !judge(stream) {
				counts[stream].Add(1)
			}
		}
	}()
	return func() []uint64 {
		snapshot := make([]uint64, len(counts))
		for i := range counts {
			snapshot[i] = counts[i].Load()
		}
		return snapshot
	}, nil
}

// openWitness opens a packet socket on the host's device, in the namespace of
// the calling thread.
func openWitness() (*os.File, error) {
	device, err := net.InterfaceByName(tun.DefaultName)
	if err != nil {
		return nil, err
	}
	protocol := uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET,
		unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(protocol))
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	address := &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: device.Index}
	if err := unix.Bind(fd, address); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind a packet socket to %s: %w", device.Name, err)
	}
	return os.NewFile(uintptr(fd), "witness"), nil
}

// streamOf tells which stream an IP packet belongs to, or -1.
func streamOf(packet []byte) int {
	var to netip.Addr
	switch {
	case len(packet) >= 20 && packet[0]>>4 == 4 && packet[9] == syscall.IPPROTO_UDP:
		to = netip.AddrFrom4([4]byte(packet[16:20]))
	case len(packet) >= 40 && packet[0]>>4 == 6 && packet[6] == syscall.IPPROTO_UDP:
		to = netip.AddrFrom16([16]byte(packet[24:40]))
	}
	for i, of := range streams() {
		if of.Group.Addr() == to {
			return i
		}
	}
	return -1
}
