package engine

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"umroute/mgm"
	"umroute/tun"
)

// naive is the router that one writes first: a goroutine for each device reads
// a packet, looks its flow up in a map and writes the packet to each output,
// one call each. It has no checks that it could do without.
type naive struct {
	mu      sync.RWMutex
	devices []tun.Device
	flows   map[mgm.Flow]int // outputs
	unknown atomic.Uint64
	refused atomic.Uint64
}

func newNaive() *naive { return &naive{flows: make(map[mgm.Flow]int)} }

func (n *naive) add(_ uint32, device tun.Device, _ []netip.Prefix) error {
	n.mu.Lock()
	n.devices = append(n.devices, device)
	n.mu.Unlock()
	go runToEnd(func() error { return n.run(device) })
	return nil
}

func (n *naive) route(f mgm.Flow, oifs int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.flows[f] = oifs
	return nil
}

func (n *naive) dropped() map[string]uint64 {
	return map[string]uint64{
		"unknown flow": n.unknown.Load(), "device": n.refused.Load(),
	}
}

func (n *naive) run(device tun.Device) error {
	// With IO "plain" a device takes and gives one packet a call.
	buffer, sizes := [][]byte{make([]byte, 2048)}, make([]int, 1)
	one := make([][]byte, 1)
	for {
		if _, err := device.Read(buffer, sizes); errors.Is(err, os.ErrClosed) {
			return nil
		} else if err != nil {
			return err
		}
		one[0] = buffer[0][:sizes[0]]
		n.forward(one)
	}
}

// forward writes the packet in one to the outputs of its flow.
func (n *naive) forward(one [][]byte) {
	f, ok := flowOf(one[0])
	if !ok {
		return
	}
	n.mu.RLock()
	// Port 0 leads to the sender. An unknown flow has no outputs.
	outputs := n.devices[1:]
	outputs = outputs[:n.flows[f]]
	n.mu.RUnlock()
	if len(outputs) == 0 {
		n.unknown.Add(1)
		return
	}
	// Once, and then the same bytes to all.
	decrement(one[0])
	for _, device := range outputs {
		if _, err := device.Write(one); err != nil {
			n.refused.Add(1)
		}
	}
}

// flowOf reads the addresses of an IP packet to a group.
func flowOf(b []byte) (f mgm.Flow, ok bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		f.Source = netip.AddrFrom4([4]byte(b[12:]))
		f.Group = netip.AddrFrom4([4]byte(b[16:]))
	case len(b) >= 40 && b[0]>>4 == 6:
		f.Source = netip.AddrFrom16([16]byte(b[8:]))
		f.Group = netip.AddrFrom16([16]byte(b[24:]))
	}
	return f, f.Group.IsMulticast()
}

// decrement takes one from the TTL or hop limit. The checksum of an IPv4 header
// changes as RFC 1624 equation 3 says.
func decrement(b []byte) {
	if b[0]>>4 == 6 {
		b[7]--
		return
	}
	old := binary.BigEndian.Uint16(b[8:])
	b[8]--
	sum := uint32(^binary.BigEndian.Uint16(b[10:])) + uint32(^old) +
		uint32(binary.BigEndian.Uint16(b[8:]))
	sum = sum&0xffff + sum>>16
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
}
