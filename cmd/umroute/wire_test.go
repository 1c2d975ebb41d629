package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// wire is what the router sends to a host, whether or not the host wants it.
type wire struct {
	t  testing.TB
	mu sync.Mutex
	// packets are in the order of their arrival.
	packets []datagram
}

// datagram is a packet on the wire. Only UDP has a port and a payload; for
// other protocols the payload is all that follows the IP headers.
type datagram struct {
	source, destination netip.Addr
	ttl                 int
	protocol            int
	port                uint16 // destination
	payload             string
}

// String shows what a failed test has to say of a packet.
func (d datagram) String() string {
	return fmt.Sprintf("%s to %s, TTL %d, protocol %d, port %d: %.40q", d.source, d.destination,
		d.ttl, d.protocol, d.port, d.payload)
}

// watch follows a device of the station until the test ends.
func (s *station) watch(name string) *wire {
	s.t.Helper()
	w := &wire{t: s.t}
	file := packetSocket(s, name)
	raw, err := file.SyscallConn()
	if err != nil {
		s.t.Fatal(err)
	}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		w.follow(raw)
	}()
	s.t.Cleanup(func() {
		file.Close()
		<-finished
	})
	return w
}

// packetSocket opens a socket on a device below IP (packet(7)), without the
// header of the link.
func packetSocket(s *station, name string) *os.File {
	s.t.Helper()
	index := s.Index(name)
	var fd int
	s.Do(func() (err error) {
		const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network order
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|
			unix.SOCK_NONBLOCK, all)
		if err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
	})
	return os.NewFile(uintptr(fd), "packet socket")
}

// follow keeps what comes in until the socket is closed.
func (w *wire) follow(raw syscall.RawConn) {
	buf := make([]byte, 1<<16)
	for {
		var n int
		var from unix.Sockaddr
		var err error
		closed := raw.Read(func(fd uintptr) bool {
			n, from, err = unix.Recvfrom(int(fd), buf, 0)
			return err != unix.EAGAIN
		})
		if closed != nil || err != nil {
			return
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		if !ok || link.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if d, ok := parseDatagram(buf[:n]); ok {
			w.mu.Lock()
			w.packets = append(w.packets, d)
			w.mu.Unlock()
		}
	}
}

// seen are the packets so far that match.
func (w *wire) seen(match func(datagram) bool) []datagram {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(func(yield func(datagram) bool) {
		for _, d := range w.packets {
			if match(d) && !yield(d) {
				return
			}
		}
	})
}

// await waits for the first packet that matches.
func (w *wire) await(what string, match func(datagram) bool) datagram {
	w.t.Helper()
	var found []datagram
	eventually(w.t, what, func() bool {
		found = w.seen(match)
		return len(found) > 0
	})
	return found[0]
}

// carrying matches the datagrams with this payload.
func carrying(payload string) func(datagram) bool {
	return func(d datagram) bool { return d.protocol == unix.IPPROTO_UDP && d.payload == payload }
}

// toGroup matches the UDP datagrams to a group.
func toGroup(group netip.Addr) func(datagram) bool {
	return func(d datagram) bool {
		return d.protocol == unix.IPPROTO_UDP && d.destination == group
	}
}

// parseDatagram reads what a test of its own sent, so that it need not doubt
// lengths beyond not reading out of bounds.
func parseDatagram(b []byte) (d datagram, ok bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		header := int(b[0]&15) * 4
		d = datagram{ttl: int(b[8]), protocol: int(b[9]),
			source:      netip.AddrFrom4([4]byte(b[12:16])),
			destination: netip.AddrFrom4([4]byte(b[16:20]))}
		b = b[min(header, len(b)):]
	case len(b) >= 40 && b[0]>>4 == 6:
		d = datagram{ttl: int(b[7]), protocol: int(b[6]),
			source:      netip.AddrFrom16([16]byte(b[8:24])),
			destination: netip.AddrFrom16([16]byte(b[24:40]))}
		b = b[40:]
		if d.protocol == unix.IPPROTO_HOPOPTS && len(b) >= 8 {
			d.protocol = int(b[0])
			b = b[min(8+int(b[1])*8, len(b)):]
		}
	default:
		return datagram{}, false
	}
	if d.protocol == unix.IPPROTO_UDP && len(b) >= 8 {
		d.port = binary.BigEndian.Uint16(b[2:])
		b = b[8:]
	}
	d.payload = string(b)
	return d, true
}
