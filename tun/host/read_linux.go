package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"umroute/tun"
)

// receiver is a socket that has joined one group and is bound to one port.
type receiver struct {
	fd       int
	group    netip.AddrPort
	exclude  bool // its filter: all sources but these, or these
	sources  []netip.Addr
	overflow uint32 // datagrams lost, as the kernel last told
}

// batch is the Read under way: its arguments and what came of it.
type batch struct {
	ready    func(fd uintptr) bool
	bufs     [][]byte
	sizes    []int
	n        int
	events   [maxMessages]unix.EpollEvent
	messages *messages
	id       uint16 // the next IPv4 identification
}

var errNoRoom = errors.New("read without a buffer and a size for each packet")

// Read waits for datagrams and takes as many as are there; see [tun.Device].
func (d *Device) Read(bufs [][]byte, sizes []int) (int, error) {
	if len(bufs) == 0 || len(sizes) < len(bufs) || len(bufs[0]) <= headerLen(true) {
		return 0, errNoRoom
	}
	b := &d.batch
	b.bufs, b.sizes, b.n = bufs, sizes, 0
	err := d.raw.Read(b.ready)
	b.bufs, b.sizes = nil, nil
	switch {
	case b.n > 0:
		return b.n, nil // an error comes again with the next call
	case err == nil, d.closed.Load():
		return 0, os.ErrClosed
	}
	return 0, fmt.Errorf("read host device %s: %w", d.name, err)
}

// readReady takes what is there from all sockets, and reports false where that is
// nothing, so that the poller waits.
func (d *Device) readReady(fd uintptr) bool {
	b := &d.batch
	d.receiving.RLock()
	defer d.receiving.RUnlock()
	for b.n < len(b.bufs) {
		n, err := unix.EpollWait(int(fd), b.events[:], 0)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			return b.n > 0 || err != nil
		}
		for _, event := range b.events[:n] {
			if r := d.receivers[event.Fd]; r != nil && b.n < len(b.bufs) {
				d.receive(r)
			}
		}
	}
	return true
}

// receive takes what one socket has, as far as there is room.
func (d *Device) receive(r *receiver) {
	b := &d.batch
	v6 := r.group.Addr().Is6()
	head := headerLen(v6)
	room := min(len(b.bufs)-b.n, maxMessages)
	for i := range room {
		b.messages.set(i, b.bufs[b.n+i][head:], unix.SizeofSockaddrInet6, controlLen)
	}
	n, err := b.messages.receive(r.fd, room)
	if err == nil {
		for i, first := 0, b.n; i < n; i++ {
			d.take(r, i, b.bufs[first+i])
		}
	}
	b.messages.forget(room)
}

// take makes a packet of message i, which is in buf, unless it is not to be.
func (d *Device) take(r *receiver, i int, buf []byte) {
	b := &d.batch
	m := &b.messages.headers[i]
	v6 := r.group.Addr().Is6()
	head, payload := headerLen(v6), int(m.length)
	a := arrival{source: b.messages.source(i, v6), group: r.group}
	index := d.readControls(r, &a, b.messages.controls[i][:m.header.Controllen])
	switch {
	case m.header.Flags&unix.MSG_TRUNC != 0:
		d.dropped[DropTruncated].Add(1)
		return
	case index != d.Index():
		d.dropped[DropOtherDevice].Add(1)
		return
	case d.cameBack(&a, buf[head:head+payload]):
		d.dropped[DropOwn].Add(1)
		return
	}
	target := b.bufs[b.n]
	if &target[0] != &buf[0] { // one before it was dropped
		copy(target[head:], buf[head:head+payload])
	}
	a.putHeaders(target, payload, b.id)
	b.sizes[b.n] = head + payload
	b.n++
	b.id++
	if a.segment != 0 {
		b.id += uint16(payload / int(a.segment))
	}
}

// readControls reads what the kernel tells of a datagram, and returns the index
// of the device that it arrived on.
func (d *Device) readControls(r *receiver, a *arrival, controls []byte) (index int) {
	for len(controls) > 0 {
		level, kind, data, rest := nextControl(controls)
		controls = rest
		if len(data) == 0 {
			continue
		}
		switch {
		case level == unix.IPPROTO_IP && kind == unix.IP_TOS:
			a.tos = data[0]
		case len(data) < 4:
		case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO:
			index = int(binary.NativeEndian.Uint32(data))
		case level == unix.IPPROTO_IP && kind == unix.IP_TTL,
			level == unix.IPPROTO_IPV6 && kind == unix.IPV6_HOPLIMIT:
			a.ttl = uint8(binary.NativeEndian.Uint32(data))
		case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_TCLASS:
			a.tos = uint8(binary.NativeEndian.Uint32(data))
		case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= 20:
			index = int(binary.NativeEndian.Uint32(data[16:]))
		case level == unix.SOL_UDP && kind == unix.UDP_GRO:
			a.segment = uint16(binary.NativeEndian.Uint32(data))
		case level == unix.SOL_SOCKET && kind == unix.SO_RXQ_OVFL:
			lost := binary.NativeEndian.Uint32(data)
			d.dropped[DropSocketQueue].Add(uint64(lost - r.overflow))
			r.overflow = lost
		}
	}
	return index
}

// cameBack says whether a datagram is one of this router's own, which the host's
// loop has brought back.
func (d *Device) cameBack(a *arrival, payload []byte) bool {
	if !d.hasAddress(a.source.Addr()) {
		return false
	}
	digest := d.digest(a.source.Port(), a.group, payload)
	return d.sent.take(digest, ticks(time.Now()))
}

var _ tun.Device = (*Device)(nil)
