package demo

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"umroute/bench/load"
	"umroute/tun"
)

// memoryNetwork is hosts that are simulated in this process, for machines
// without user namespaces or TUN devices. They speak IGMPv3 and MLDv2, which
// is all that the router sees of a host.
type memoryNetwork struct {
	hosts map[string]*memoryHost
}

// openMemory gives the hosts and the router's ends of their links.
func openMemory() (*memoryNetwork, map[string]tun.Device) {
	n := &memoryNetwork{hosts: make(map[string]*memoryHost)}
	links := make(map[string]tun.Device)
	for _, h := range hosts() {
		routers, own := tun.Pipe(tun.PipeConfig{})
		n.hosts[h.Name] = &memoryHost{host: h, device: own}
		links[h.Name] = routers
		go n.hosts[h.Name].read()
	}
	return n, links
}

// memoryHost is one simulated host.
type memoryHost struct {
	host
	device tun.Device

	mu        sync.Mutex
	listeners []*memoryListener
	judge     func(stream int) bool
	unwanted  [4]uint64
}

// memoryListener is a membership of a simulated host.
type memoryListener struct {
	host   *memoryHost
	stream stream
	index  int
	source netip.Addr // the zero Addr: any

	// Guarded by memoryHost.mu.
	sequence load.Sequence
	corrupt  uint64
}

func (n *memoryNetwork) send(ctx context.Context, of stream) (func() uint64, error) {
	host := n.hosts[sender]
	source := host.address(of.Group.Addr().Is4())
	var sent atomic.Uint64
	go func() {
		ticker := time.NewTicker(time.Second / streamRate)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				payload, err := load.Datagram{Stream: 1, Sequence: sent.Load(), Sent: now,
					Size: streamSize}.AppendBinary(nil)
				if err != nil {
					return
				}
				packet := datagram(source, of.Group, payload)
				if taken, _ := host.device.Write([][]byte{packet}); taken == 1 {
					sent.Add(1)
				}
			}
		}
	}()
	return sent.Load, nil
}

func (h *memoryHost) address(v4 bool) netip.Addr {
	for _, peer := range h.Peer {
		if peer.Addr().Is4() == v4 {
			return peer.Addr()
		}
	}
	return netip.Addr{}
}

func (n *memoryNetwork) listen(name string, of stream, source netip.Addr) (listener, error) {
	h := n.hosts[name]
	l := &memoryListener{host: h, stream: of, source: source, index: indexOf(of)}
	h.mu.Lock()
	h.listeners = append(h.listeners, l)
	h.mu.Unlock()
	return l, h.report(l, true)
}

func indexOf(of stream) int {
	for i, candidate := range streams() {
		if candidate == of {
			return i
		}
	}
	return -1
}

func (l *memoryListener) leave() error {
	l.host.mu.Lock()
	for i, candidate := range l.host.listeners {
		if candidate == l {
			l.host.listeners = append(l.host.listeners[:i:i], l.host.listeners[i+1:]...)
		}
	}
	l.host.mu.Unlock()
	return l.host.report(l, false)
}

func (l *memoryListener) snapshot(s *session) {
	l.host.mu.Lock()
	defer l.host.mu.Unlock()
	s.Received, s.Lost = l.sequence.Received, l.sequence.Lost()
	s.Duplicates, s.Corrupt = l.sequence.Duplicates, l.corrupt
	s.First, s.Last = l.sequence.First, l.sequence.Highest
}

func (n *memoryNetwork) watch(name string, judge func(stream int) bool) (func() []uint64, error) {
	h := n.hosts[name]
	h.mu.Lock()
	defer h.mu.Unlock()
	h.judge = judge
	return func() []uint64 {
		h.mu.Lock()
		defer h.mu.Unlock()
		return append([]uint64(nil), h.unwanted[:]...)
	}, nil
}

// report tells the router of a join or a leave.
func (h *memoryHost) report(l *memoryListener, join bool) error {
	packet, err := stateChange(h, l, join)
	if err != nil {
		return fmt.Errorf("report %s: %w", l.stream.Group, err)
	}
	_, err = h.device.Write([][]byte{packet})
	return err
}

// read takes what the router sends until the link is closed.
func (h *memoryHost) read() {
	bufs, sizes := make([][]byte, 64), make([]int, 64)
	for i := range bufs {
		bufs[i] = make([]byte, 2048)
	}
	for {
		count, err := h.device.Read(bufs, sizes)
		for i := range count {
			h.receive(bufs[i][:sizes[i]])
		}
		if err != nil {
			return
		}
	}
}

func (h *memoryHost) receive(packet []byte) {
	index := streamOf(packet)
	if index < 0 {
		return
	}
	source, payload := openDatagram(packet)
	h.mu.Lock()
	judge := h.judge
	h.mu.Unlock()
	wanted := judge == nil || judge(index)
	h.mu.Lock()
	defer h.mu.Unlock()
	if !wanted {
		h.unwanted[index]++
	}
	for _, l := range h.listeners {
		if l.index == index && (!l.source.IsValid() || l.source == source) {
			l.record(payload)
		}
	}
}

func (l *memoryListener) record(payload []byte) {
	d, err := load.ParseDatagram(payload)
	if err != nil {
		l.corrupt++
		return
	}
	l.sequence.Record(d.Sequence)
}
