package routing

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"umroute/mgm"
	"umroute/tun"
)

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := threeLinks(t, Config{})
		r.set(mfe(flow4, 1, 2))
		results := make(chan error, 3)
		run := func(index uint32) { go func() { results <- r.ifaces[index].Run() }() }
		run(1)
		run(2)
		r.links[1].in <- [][]byte{data(9, "a"), data(9, "b")}
		synctest.Wait()
		r.wantSent(2, "ab")

		t.Log("# one reader at a time")
		err := r.ifaces[1].Run()
		if !errors.Is(err, errRunning) {
			t.Errorf("second Run: %v", err)
		}

		t.Log("# a device that fails ends its own worker alone")
		gone := errors.New("device is gone")
		r.links[2].gone <- gone
		if err := <-results; !errors.Is(err, gone) || !strings.Contains(err.Error(), "if2") {
			t.Errorf("Run with a failing device: %v", err)
		}
		r.links[1].in <- [][]byte{data(9, "c")}
		synctest.Wait()
		r.wantSent(2, "c")
		r.links[1].Close()
		if err := <-results; err != nil {
			t.Errorf("Run with a closed device: %v", err)
		}
	})
}

// TestRunAgain gives an index to another interface: not before the reader of
// the first has gone.
func TestRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := threeLinks(t, Config{})
		r.set(mfe(flow4, 1, 2))
		results := make(chan error, 2)
		go func() { results <- r.ifaces[1].Run() }()
		synctest.Wait()
		if err := r.RemoveInterface(1); err != nil {
			t.Fatal(err)
		}
		again := InterfaceConfig{Index: 1, Name: "again", Device: newLink(tun.KindTUN, 1500)}
		if _, err := r.AddInterface(again); err == nil {
			t.Error("added an interface whose index is being read")
		}
		r.links[1].Close()
		if err := <-results; err != nil {
			t.Errorf("Run with a closed device: %v", err)
		}
		if err := r.ifaces[1].Run(); err != nil {
			t.Errorf("Run of a removed interface: %v", err)
		}
		r.add(InterfaceConfig{Index: 1}, tun.KindTUN)
		go func() { results <- r.ifaces[1].Run() }()
		r.links[1].in <- [][]byte{data(9, "d")}
		synctest.Wait()
		r.wantSent(2, "d")
		r.links[1].gone <- os.ErrClosed
		if err := <-results; err != nil {
			t.Errorf("Run with a closed device: %v", err)
		}
	})
}

// TestRunRemoved takes an interface away under its reader.
func TestRunRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := threeLinks(t, Config{})
		r.set(mfe(flow4, 1, 2))
		result := make(chan error)
		go func() { result <- r.ifaces[1].Run() }()
		synctest.Wait()
		r.RemoveInterface(1)
		r.links[1].in <- [][]byte{data(9, "a")}
		if err := <-result; err != nil {
			t.Errorf("Run: %v", err)
		}
		r.wantSent(2, "")
	})
}

// TestRunLargerMTU raises the MTU while a worker reads with small buffers.
func TestRunLargerMTU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t, Config{})
		r.add(InterfaceConfig{Index: 1}, tun.KindTUN)
		r.add(InterfaceConfig{Index: 2, MTU: 9000}, tun.KindTUN)
		r.set(mfe(flow4, 1, 2))
		go r.ifaces[1].Run()
		synctest.Wait()
		r.UpdateInterface(InterfaceConfig{Index: 1, MTU: 9000})
		r.links[1].in <- [][]byte{data(9, "a")}
		big := ipv4{source: "10.0.1.2", group: "239.1.1.1", ttl: 9, payload: make([]byte, 8000)}
		r.links[1].in <- [][]byte{big.bytes()}
		synctest.Wait()
		r.wantSent(2, "a\x00")
		r.links[1].Close()
	})
}

// dispatcher answers misses as a manager would, on a goroutine of its own.
type dispatcher struct {
	misses chan mgm.Flow
}

func (d *dispatcher) HandleMiss(f mgm.Flow, _ mgm.Iface, _ []byte) {
	select {
	case d.misses <- f:
	default:
	}
}

func (d *dispatcher) HandleWrongIf(mgm.Flow, mgm.Iface, []byte) {}

// sequence is a packet of flow number f with sequence number n.
func sequence(f int, n uint32) []byte {
	payload := binary.BigEndian.AppendUint32(nil, n)
	if f%2 == 0 {
		source := netip.AddrFrom4([4]byte{10, 0, 1, byte(f)})
		return ipv4{source: source.String(), group: "239.1.1.1", ttl: 9, payload: payload}.bytes()
	}
	source := netip.AddrFrom16([16]byte{0: 0xfd, 15: byte(f)})
	return ipv6{source: source.String(), group: "ff0e::1", hops: 9, payload: payload}.bytes()
}

// TestOrderUnderChange runs senders against a control plane that sets, changes
// and deletes entries all the time, and interfaces that come and go. Packets
// may get lost, but each flow keeps its order, and nothing is doubled.
func TestOrderUnderChange(t *testing.T) {
	const flows, batches = 6, 3000
	r := newRouter(t, Config{MissRate: 1 << 20})
	for index := range uint32(4) {
		r.add(InterfaceConfig{Index: index + 1}, tun.KindTUN)
	}
	d := &dispatcher{misses: make(chan mgm.Flow, 64)}
	r.Bind(false, d)
	r.Bind(true, d)
	var running, control sync.WaitGroup
	for index := range uint32(2) {
		running.Go(func() {
			if err := r.ifaces[index+1].Run(); err != nil {
				t.Error(err)
			}
		})
	}
	stop := make(chan struct{})
	control.Go(func() { r.answer(d, stop) })
	control.Go(func() { r.watch(stop) })
	var senders sync.WaitGroup
	for index := range uint32(2) {
		senders.Go(func() {
			for n := range uint32(batches) {
				var frames [][]byte
				for i := range flows * 2 {
					f := int(index)*flows + i/2
					frames = append(frames, sequence(f, 2*n+uint32(i%2)))
				}
				r.links[index+1].in <- frames
			}
		})
	}
	senders.Wait()
	close(stop)
	control.Wait()
	r.links[1].Close()
	r.links[2].Close()
	running.Wait()
	for _, index := range []uint32{3, 4} {
		wantOrder(t, r.links[index].take())
	}
}

// answer sets entries for misses, and now and then changes or deletes some.
func (r *router) answer(d *dispatcher, stop chan struct{}) {
	for round := 0; ; round++ {
		var f mgm.Flow
		select {
		case <-stop:
			return
		case f = <-d.misses:
		}
		source := f.Source.AsSlice()
		in := uint32(source[len(source)-1])/6 + 1
		plane := r.Plane(f.Group.Is6())
		plane.Set(mfe(f, in, 3, 4))
		plane.Stats(f)
		switch round % 4 {
		case 0:
			plane.Set(mfe(f, in, 4))
		case 1:
			plane.Set(mfe(f, 3-in, 3))
			plane.Set(mfe(f, in))
			plane.Set(mfe(f, in, 3))
		}
		plane.Delete(f)
	}
}

// watch reads statistics and changes settings.
func (r *router) watch(stop chan struct{}) {
	for threshold := uint8(1); ; threshold = threshold%3 + 1 {
		select {
		case <-stop:
			return
		default:
		}
		r.Forwarder.Stats()
		r.InterfaceStats(1)
		r.UpdateInterface(InterfaceConfig{Index: 3, TTLThreshold: threshold})
	}
}

// wantOrder checks that sequence numbers only rise, flow by flow.
func wantOrder(t *testing.T, packets [][]byte) {
	t.Helper()
	if len(packets) == 0 {
		t.Error("nothing arrived")
	}
	last := make(map[byte]uint32)
	for _, b := range packets {
		f, n := b[15], binary.BigEndian.Uint32(b[len(b)-4:])
		if b[0]>>4 == 6 {
			f = b[23]
		}
		if before, ok := last[f]; ok && n <= before {
			t.Fatalf("flow %d: packet %d after %d", f, n, before)
		}
		last[f] = n
	}
	if len(last) < 6 {
		t.Errorf("%d flows arrived", len(last))
	}
}
