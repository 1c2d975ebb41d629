package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxSenders = 256              // sockets that keep a source port
	idleSender = 60 * time.Second // an unused one is closed then

	// New source ports: how many in a row get a socket, and how many a second
	// after that. Others are sent from a port that the kernel chooses.
	senderBurst = 128
	senderRate  = 32
)

// flow names a sender: the source's port, and the group with its port.
type flow struct {
	port  uint16
	group netip.AddrPort
}

// sender is a socket to send a flow with.
type sender struct {
	fd   int
	port uint16 // that it sends from
	used int64  // in seconds since 1970

	asked uint32 // the subscriptions' generation when heard was found out
	heard bool   // this router receives the group and port of the flow
}

// closeSenders closes all sockets to send with. The caller has locked sending.
func (d *Device) closeSenders() {
	for f := range d.senders {
		d.closeSender(f)
	}
	for i, s := range d.anyPort {
		if s != nil {
			unix.Close(s.fd)
			d.anyPort[i] = nil
		}
	}
}

// senderOf finds or opens the socket of a flow. The caller has locked sending.
func (d *Device) senderOf(f flow, now time.Time) (*sender, error) {
	if s := d.senders[f]; s != nil {
		s.used = now.Unix()
		return s, nil
	}
	if d.mayOpen(now) {
		s, err := openSender(f, d.Index())
		if err == nil {
			s.used = now.Unix()
			d.senders[f] = s
			return s, nil
		}
		if !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EACCES) {
			return nil, err
		}
		s, err = d.anyPortSender(f.group)
		if err == nil {
			d.senders[f] = s // or each datagram would try again
		}
		return s, err
	}
	return d.anyPortSender(f.group)
}

// closeSender forgets the socket of a flow, and closes it unless others have it too.
func (d *Device) closeSender(f flow) {
	if s := d.senders[f]; s != d.anyPort[family(f.group.Addr().Is6())] {
		unix.Close(s.fd)
	}
	delete(d.senders, f)
}

// mayOpen limits how many sockets there are, and how fast they come. The least
// recently used ones make room.
func (d *Device) mayOpen(now time.Time) bool {
	if elapsed := now.Sub(d.refilled).Seconds(); elapsed > 0 {
		d.tokens = min(senderBurst, d.tokens+elapsed*senderRate)
		d.refilled = now
	}
	if d.tokens < 1 {
		return false
	}
	d.tokens--
	if len(d.senders) < maxSenders {
		return true
	}
	var oldest flow
	least := now.Unix() + 1
	for f, s := range d.senders {
		if now.Unix()-s.used > int64(idleSender/time.Second) {
			d.closeSender(f)
		} else if s.used < least {
			oldest, least = f, s.used
		}
	}
	if len(d.senders) == maxSenders {
		d.closeSender(oldest)
	}
	return true
}

// openSender opens a socket that sends from the flow's port. It is connected, so
// that it takes nothing that is sent to that port of the host.
func openSender(f flow, index int) (*sender, error) {
	v6 := f.group.Addr().Is6()
	fd, err := newSocket(v6, sharing)
	if err != nil {
		return nil, err
	}
	local := netip.AddrPortFrom(netip.IPv4Unspecified(), f.port)
	if v6 {
		local = netip.AddrPortFrom(netip.IPv6Unspecified(), f.port)
	}
	if err = sendBy(fd, index, v6); err == nil {
		err = unix.Bind(fd, sockaddr(local, 0))
	}
	if err == nil {
		err = unix.Connect(fd, sockaddr(f.group, index))
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open a socket to send from port %d to %s: %w", f.port, f.group,
			err)
	}
	return &sender{fd: fd, port: f.port}, nil
}

// anyPortSender finds or opens the socket that sends from whatever port.
func (d *Device) anyPortSender(group netip.AddrPort) (*sender, error) {
	v6 := group.Addr().Is6()
	if s := d.anyPort[family(v6)]; s != nil {
		return s, nil
	}
	fd, err := newSocket(v6)
	if err != nil {
		return nil, err
	}
	any := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if v6 {
		any = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	if err = sendBy(fd, d.Index(), v6); err == nil {
		err = unix.Bind(fd, sockaddr(any, 0))
	}
	var port uint16
	if err == nil {
		port, err = localPort(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open a socket to send to %s: %w", group, err)
	}
	s := &sender{fd: fd, port: port}
	d.anyPort[family(v6)] = s
	return s, nil
}

func localPort(fd int) (uint16, error) {
	name, err := unix.Getsockname(fd)
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return uint16(name.Port), nil
	case *unix.SockaddrInet6:
		return uint16(name.Port), nil
	}
	return 0, err
}

// sendBy has a socket send to groups by a device, and the host hear it.
func sendBy(fd, index int, v6 bool) error {
	if v6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index)
	}
	return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF,
		&unix.IPMreqn{Ifindex: int32(index)})
}

// hears says whether this router receives a sender's group and port, so that what
// it sends comes back. The caller has locked sending.
func (d *Device) hears(s *sender, group netip.AddrPort) bool {
	// The socket that sends from any port has many groups.
	if now := d.generation.Load(); s.asked != now || s == d.anyPort[family(group.Addr().Is6())] {
		d.receiving.RLock()
		s.asked, s.heard = now, d.received[group] > 0
		d.receiving.RUnlock()
	}
	return s.heard
}

// outgoing are the datagrams of a Write that one socket sends in one call.
type outgoing struct {
	messages
	sender *sender
	flow   flow
	now    time.Time
	n      int
	taken  int
	err    error // the first
}

// Write sends each packet as one datagram, or as the several that it holds; see
// [tun.Device]. What is no UDP datagram to a group is dropped and counted.
func (d *Device) Write(bufs [][]byte) (int, error) {
	// One worker mostly writes here, and a lock that nobody else holds costs less
	// than a system call by a factor of a hundred.
	d.sending.Lock()
	defer d.sending.Unlock()
	if d.closed.Load() {
		return 0, os.ErrClosed
	}
	o := d.out
	o.sender, o.n, o.taken, o.err = nil, 0, 0, nil
	o.now = time.Now()
	for _, buf := range bufs {
		d.queue(o, buf)
	}
	d.flush(o)
	return o.taken, o.err
}

// errNotSendable says that ordinary sockets cannot send a packet.
var errNotSendable = errors.New("no whole UDP datagram to a group")

// queue adds a packet to what is sent together.
func (d *Device) queue(o *outgoing, frame []byte) {
	var g datagram
	why, ok := g.parse(frame)
	if why == DropFragment {
		var part fragment
		if part.parse(frame) {
			frame = d.fragments.add(o.now, &part)
			if frame == nil {
				o.taken++ // and kept until the others come
				return
			}
			why, ok = g.parse(frame)
		}
	}
	if !ok {
		d.refuse(o, why, errNotSendable)
		return
	}
	f := flow{g.port, g.group}
	if o.n == maxMessages || o.sender != nil && f != o.flow {
		d.flush(o)
	}
	if o.sender == nil || f != o.flow {
		s, err := d.senderOf(f, o.now)
		if err != nil {
			o.sender = nil
			d.refuse(o, DropSend, err)
			return
		}
		o.sender, o.flow = s, f
	}
	if d.hears(o.sender, g.group) {
		d.sent.add(d.digest(o.sender.port, g.group, g.payload), ticks(o.now))
	}
	o.add(&g, d.Index())
}

// add adds a datagram as the next message.
func (o *outgoing) add(g *datagram, index int) {
	control, n := o.controls[o.n][:], 0
	if g.group.Addr().Is6() {
		n = putControl(control, n, unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, int(g.ttl), 4)
		n = putControl(control, n, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(g.tos), 4)
	} else {
		n = putControl(control, n, unix.IPPROTO_IP, unix.IP_TTL, int(g.ttl), 4)
		n = putControl(control, n, unix.IPPROTO_IP, unix.IP_TOS, int(g.tos), 4)
	}
	if g.segment != 0 {
		n = putControl(control, n, unix.SOL_UDP, unix.UDP_SEGMENT, int(g.segment), 2)
	}
	name := o.setTarget(o.n, g.group, index)
	o.set(o.n, g.payload, name, n)
	o.n++
}

// flush sends what is queued. What the kernel does not take is lost, as on a
// wire, and what is behind it is tried.
func (d *Device) flush(o *outgoing) {
	for at := 0; at < o.n; {
		n, err := o.send(o.sender.fd, at, o.n)
		at += n
		o.taken += n
		if err != nil {
			d.refuse(o, DropSend, err)
			at++
		}
	}
	o.forget(o.n)
	o.n = 0
}

func (d *Device) refuse(o *outgoing, why Drop, err error) {
	d.dropped[why].Add(1)
	if o.err == nil {
		o.err = err
	}
}

// digest tells datagrams apart that the router has sent.
func (d *Device) digest(port uint16, group netip.AddrPort, payload []byte) uint64 {
	const odd = 0x9e3779b97f4a7c15
	b := group.Addr().As16()
	h := maphash.Bytes(d.seed, payload)
	h ^= (binary.NativeEndian.Uint64(b[:]) ^ binary.NativeEndian.Uint64(b[8:])) * odd
	h ^= (uint64(port)<<16 | uint64(group.Port())) * (odd >> 1)
	return h * odd
}
