package flood

import (
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"umroute/bench/load"
)

// source is the sending thread's side.
type source struct {
	config    Config
	numbering numbering
	fd        int
	run       uint64 // of this process, in each stream ID
	sizes     []int  // by turns
	stride    int    // bytes of buffers for each datagram
	next      uint64 // number of the next datagram

	// The pointers from headers to vectors to buffers are set once: a turn only
	// writes the bytes anew.

	buffers []byte // of one turn
	headers []unix.Mmsghdr
	vectors []unix.Iovec
	names   []unix.RawSockaddrInet6

	failed map[unix.Errno]uint64
}

func newSource(c Config, destinations []netip.Addr, fd int, run uint64) *source {
	// A turn is one message of many datagrams, or many messages of one.
	each, stride := c.perMessage(), c.largest()
	messages := c.perCall() / each
	s := &source{
		config: c, fd: fd, run: run, sizes: c.sizes(), stride: stride,
		numbering: numbering{uint64(c.flows()), uint64(each)},
		buffers:   make([]byte, c.perCall()*stride),
		headers:   make([]unix.Mmsghdr, messages),
		vectors:   make([]unix.Iovec, messages),
		names:     make([]unix.RawSockaddrInet6, len(destinations)),
		failed:    make(map[unix.Errno]uint64),
	}
	for i := range s.headers {
		s.vectors[i].Base = &s.buffers[i*each*stride]
		s.vectors[i].SetLen(each * stride)
		s.headers[i].Hdr.Iov = &s.vectors[i]
		s.headers[i].Hdr.SetIovlen(1)
	}
	for flow, destination := range destinations {
		s.names[flow] = rawName(destination, c.Port)
	}
	return s
}

// name addresses message i to its group, unless the socket is connected.
func (s *source) name(i int, flow uint64) {
	if len(s.names) == 1 {
		return
	}
	s.headers[i].Hdr.Namelen = unix.SizeofSockaddrInet6 // IPv4 needs less
	s.headers[i].Hdr.Name = (*byte)(unsafe.Pointer(&s.names[flow]))
}

// fill writes the next datagrams, at most limit of them and in whole messages,
// and returns how many messages that makes.
func (s *source) fill(limit int, now time.Time) (messages int, err error) {
	each := int(s.numbering.run)
	messages = min(limit/each, len(s.headers))
	// All datagrams of a turn have one time: they leave in one call.
	for i := range messages * each {
		flow, sequence := s.numbering.locate(s.next + uint64(i))
		if i%each == 0 {
			s.name(i/each, flow)
		}
		size := s.sizes[(s.next+uint64(i))%uint64(len(s.sizes))]
		d := load.Datagram{Stream: streamOf(s.run, flow), Sequence: sequence, Sent: now, Size: size}
		at := i * s.stride
		if _, err := d.AppendBinary(s.buffers[at:at]); err != nil {
			return 0, err
		}
		if len(s.sizes) > 1 {
			s.vectors[i].SetLen(size) // each is a message, then
		}
	}
	return messages, nil
}

// send sends at most limit datagrams, and returns how many the kernel took. It
// fails where trying again would not help.
func (s *source) send(limit int) (int, error) {
	messages, err := s.fill(limit, time.Now())
	if err != nil || messages == 0 {
		return 0, err
	}
	// The runtime need not know: no call takes longer than its datagrams do.
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd),
		uintptr(unsafe.Pointer(&s.headers[0])), uintptr(messages), unix.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
		// Numbers that the kernel did not take are used again, so that what no
		// sink gets was lost on the way and not here.
		sent := int(n) * int(s.numbering.run)
		s.next += uint64(sent)
		return sent, nil
	case unix.EAGAIN, unix.EINTR, unix.ENOBUFS, unix.ENOMEM:
		// The router is behind. To try on at full speed would take the processor
		// away from it.
		s.failed[errno]++
		pause(time.Millisecond)
		return 0, nil
	}
	return 0, fmt.Errorf("send from %s: %w", s.config.Source, errno)
}

// pause leaves the processor to others. The runtime's timers are good to a
// millisecond only, the kernel's to 50 us.
func pause(d time.Duration) {
	if d <= 0 {
		return
	}
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil) // woken early, the caller looks at the clock again
}
