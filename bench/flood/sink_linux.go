package flood

import (
	"errors"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"umroute/bench/load"
)

// inspected is how many datagrams of each sink have their TTL and source
// checked too, which costs the kernel some time.
const inspected = 5000

// sink is one receiver's account.
type sink struct {
	fd         int
	number     int // among the outputs, from 0
	flows      []load.Sequence
	reached    uint64 // one more than the highest number that came
	received   uint64 // intact, duplicates included
	different  uint64 // of these, without duplicates
	stale      uint64 // of an earlier run
	corrupt    uint64
	foreign    uint64
	wrongTTL   uint64
	wrongFrom  uint64
	inspecting bool
}

// lost is how many of the datagrams that it should have got have not come.
func (s *sink) lost(expected uint64) uint64 { return expected - min(expected, s.different) }

// message is what one buffer of a receive call brought.
type message struct {
	data    []byte
	segment int // bytes of each datagram in data; 0: it is one
	ttl     int
	stamp   int64      // when the kernel took it, nanoseconds since 1970; 0: not asked for
	from    netip.Addr // the zero Addr where not asked for
}

// judge holds what all sinks of a run expect.
type judge struct {
	config    Config
	numbering numbering
	run       uint64
	sizes     []int   // of the datagrams, by turns
	times     *Times  // nil without a rate
	copies    *copies // nil without Times.Skew
}

// take accounts for a message.
func (j *judge) take(s *sink, m message, now time.Time) {
	if s.inspecting {
		j.inspect(s, m)
	}
	// The last datagram of a message may be shorter than the others.
	size := m.segment
	if size == 0 || size > len(m.data) {
		size = len(m.data)
	}
	for data := m.data; len(data) > 0; {
		n := min(size, len(data))
		j.datagram(s, data[:n], m.stamp, now)
		data = data[n:]
	}
}

func (j *judge) inspect(s *sink, m message) {
	if j.config.Rewritten {
		return
	}
	if m.ttl != TTL-1 {
		s.wrongTTL++
	}
	if m.from != j.config.Source {
		s.wrongFrom++
	}
}

// datagram accounts for one datagram, all of whose bytes are checked.
func (j *judge) datagram(s *sink, payload []byte, stamp int64, now time.Time) {
	d, err := load.ParseDatagram(payload)
	switch {
	case errors.Is(err, load.ErrForeign):
		s.foreign++
		return
	case err != nil:
		s.corrupt++
		return
	}
	// Streams of other runs are out of range, those below by wrapping around.
	flow := uint64(d.Stream) - uint64(streamOf(j.run, 0))
	if flow >= uint64(len(s.flows)) {
		s.stale++
		return
	}
	number := j.numbering.number(flow, d.Sequence)
	if d.Size != j.sizes[number%uint64(len(j.sizes))] {
		s.corrupt++
		return
	}
	s.received++
	known := s.flows[flow].Received
	s.flows[flow].Record(d.Sequence)
	isNew := s.flows[flow].Received - known
	s.different += isNew
	s.reached = max(s.reached, number+1)
	if j.times == nil || isNew == 0 {
		return
	}
	j.times.record(s.number, now.Sub(d.Sent))
	if j.copies == nil || stamp == 0 || flow >= uint64(len(j.config.Groups)) {
		return
	}
	if skew, complete := j.copies.arrive(number, stamp); complete {
		_ = j.times.Skew.RecordValue(min(skew, int64(maxLatency)))
	}
}

// inbox holds the buffers of one recvmmsg call. All sinks share it.
type inbox struct {
	headers  []unix.Mmsghdr
	vectors  []unix.Iovec
	names    []unix.RawSockaddrInet6
	controls [][controlSize]byte
	buffers  [][]byte
}

const controlSize = 128 // TTL, segment size and time

// newInbox makes buffers for single datagrams or, for UDP_GRO, for as many as
// one IP packet holds.
func newInbox(c Config) *inbox {
	count, size := 64, 2048
	if c.GRO {
		// Fewer, as all of them together should stay in a cache.
		count, size = 16, 1<<16
	}
	if c.SingleReceive {
		count = 1
	}
	b := &inbox{
		headers: make([]unix.Mmsghdr, count), vectors: make([]unix.Iovec, count),
		names: make([]unix.RawSockaddrInet6, count), controls: make([][controlSize]byte, count),
		buffers: make([][]byte, count),
	}
	slab := make([]byte, count*size)
	for i := range b.headers {
		b.buffers[i] = slab[i*size : (i+1)*size]
		b.vectors[i].Base = &b.buffers[i][0]
		b.vectors[i].SetLen(size)
		b.headers[i].Hdr.Iov = &b.vectors[i]
		b.headers[i].Hdr.SetIovlen(1)
	}
	return b
}

// receive takes what is at hand, with sources and control messages if asked.
func (b *inbox) receive(fd int, names, controls bool) (int, unix.Errno) {
	// The kernel writes back how much of each it used.
	for i := range b.headers {
		h := &b.headers[i].Hdr
		h.Name, h.Namelen, h.Control = nil, 0, nil
		h.SetControllen(0)
		if names {
			h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
			h.Namelen = unix.SizeofSockaddrInet6
		}
		if controls {
			h.Control = &b.controls[i][0]
			h.SetControllen(controlSize)
		}
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&b.headers[0])), uintptr(len(b.headers)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// message gives message i of the last receive.
func (b *inbox) message(i int) message {
	h := &b.headers[i]
	m := message{data: b.buffers[i][:h.Len]}
	if h.Hdr.Name != nil {
		m.from = nameAddr(&b.names[i])
	}
	if h.Hdr.Control != nil {
		m.readControls(b.controls[i][:h.Hdr.Controllen])
	}
	return m
}

func nameAddr(name *unix.RawSockaddrInet6) netip.Addr {
	if name.Family == unix.AF_INET6 {
		return netip.AddrFrom16(name.Addr)
	}
	return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr)
}

// readControls reads what stands beside the data. It must not allocate.
func (m *message) readControls(b []byte) {
	for len(b) >= unix.CmsgLen(4) {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		value := *(*int32)(unsafe.Pointer(&b[unix.CmsgLen(0)]))
		switch {
		case h.Level == unix.IPPROTO_UDP && h.Type == udpGRO:
			m.segment = int(value)
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TTL,
			h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_HOPLIMIT:
			m.ttl = int(value)
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS &&
			len(b) >= unix.CmsgLen(16):
			at := (*unix.Timespec)(unsafe.Pointer(&b[unix.CmsgLen(0)]))
			m.stamp = at.Nano()
		}
		// The kernel pads each message to the alignment of the next.
		space := unix.CmsgSpace(int(h.Len) - unix.CmsgLen(0))
		if space <= 0 || space > len(b) {
			return
		}
		b = b[space:]
	}
}
