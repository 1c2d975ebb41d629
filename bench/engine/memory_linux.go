package engine

import (
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"sync/atomic"

	"umroute/bench/flood"
	"umroute/bench/plan"
	"umroute/mgm"
	"umroute/routing"
	"umroute/tun"
)

// Loop is package routing alone: packets come from memory and go nowhere, one
// thread does it all, and there is no kernel in it.
type Loop struct {
	engine  umroute
	input   *routing.Interface
	source  *spring
	outputs []*drain
	ended   chan error
}

// NewLoop makes the devices and the table for a row.
func NewLoop(r plan.Row) (*Loop, error) {
	source := netip.AddrFrom4([4]byte{10, 200, 0, 2})
	if r.IPv6 {
		source = netip.AddrFrom16([16]byte{0: 0xfd, 15: 2})
	}
	l := &Loop{engine: newUmroute(), source: new(spring), ended: make(chan error, 1)}
	var err error
	if l.input, err = l.engine.attach(1, l.source); err != nil {
		return nil, err
	}
	for i := range r.Oifs {
		l.outputs = append(l.outputs, new(drain))
		if _, err := l.engine.attach(uint32(i+2), l.outputs[i]); err != nil {
			return nil, err
		}
	}
	flows := unusedFlows(source)
	for i := range r.Flows {
		f := mgm.Flow{Source: source, Group: Group(i, r.IPv6)}
		flows = append(flows, f)
		l.source.packets = append(l.source.packets, packetOf(f, r.Size))
	}
	for _, f := range flows {
		if err := l.engine.route(f, r.Oifs); err != nil {
			return nil, flowError(f, err)
		}
	}
	return l, nil
}

// Start lets packets flow.
func (l *Loop) Start() {
	go func() { l.ended <- l.input.Run() }()
}

// Counters returns the counts at this moment.
func (l *Loop) Counters() flood.Counters {
	c := flood.Counters{Sent: l.source.read.Load()}
	for _, o := range l.outputs {
		c.Delivered += o.written.Load()
	}
	return c
}

// Stop ends it and reports.
func (l *Loop) Stop() (flood.Report, error) {
	l.source.Close()
	err := <-l.ended
	c := l.Counters()
	r := flood.Report{Sent: c.Sent, Delivered: c.Delivered}
	r.Expected = c.Sent * uint64(len(l.outputs))
	r.Lost = r.Expected - c.Delivered
	return r, err
}

// memoryDevice is what both ends have in common.
type memoryDevice struct{}

func (memoryDevice) Name() string   { return "memory" }
func (memoryDevice) Kind() tun.Kind { return tun.KindPipe }
func (memoryDevice) MTU() int       { return tun.DefaultMTU }
func (memoryDevice) IO() string     { return "memory" }

// spring gives the same packets again and again.
type spring struct {
	memoryDevice
	packets [][]byte
	next    int
	read    atomic.Uint64
	closed  atomic.Bool
}

// Read fills all buffers, as a device under load does.
func (s *spring) Read(bufs [][]byte, sizes []int) (int, error) {
	if s.closed.Load() {
		return 0, os.ErrClosed
	}
	// Copied anew each time, since the forwarder changes the TTL in place.
	for i := range bufs {
		sizes[i] = copy(bufs[i], s.packets[s.next])
		if s.next++; s.next == len(s.packets) {
			s.next = 0
		}
	}
	s.read.Add(uint64(len(bufs)))
	return len(bufs), nil
}

func (s *spring) Write(bufs [][]byte) (int, error) { return len(bufs), nil }

func (s *spring) Close() error {
	s.closed.Store(true)
	return nil
}

// drain takes all packets.
type drain struct {
	memoryDevice
	written atomic.Uint64
	_       [64]byte // drains do not share cache lines
}

func (*drain) Read([][]byte, []int) (int, error) { return 0, io.EOF }

func (d *drain) Write(bufs [][]byte) (int, error) {
	d.written.Add(uint64(len(bufs)))
	return len(bufs), nil
}

func (*drain) Close() error { return nil }

// packetOf builds an IP packet of a flow with size bytes of UDP payload. Nobody
// looks at the UDP header.
func packetOf(f mgm.Flow, size int) []byte {
	const ipv4Len, ipv6Len, udpLen, udp = 20, 40, 8, 17
	if f.Group.Is6() {
		b := make([]byte, ipv6Len+udpLen+size)
		b[0], b[6], b[7] = 6<<4, udp, flood.TTL
		binary.BigEndian.PutUint16(b[4:], uint16(udpLen+size))
		copy(b[8:], f.Source.AsSlice())
		copy(b[24:], f.Group.AsSlice())
		return b
	}
	b := make([]byte, ipv4Len+udpLen+size)
	b[0], b[8], b[9] = 4<<4|ipv4Len/4, flood.TTL, udp
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], f.Source.AsSlice())
	copy(b[16:], f.Group.AsSlice())
	var sum uint32
	for i := 0; i < ipv4Len; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	return b
}
