package load

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/tun/netns/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

var group4 = netip.MustParseAddrPort("239.1.1.1:5000")

// link makes two hosts that a veth pair joins, v0 in the first and v1 in the
// second.
func link(t testing.TB) (a, b *netnstest.Host) {
	t.Helper()
	a, b = netnstest.NewHost(t), netnstest.NewHost(t)
	target, err := os.Open(b.Netns())
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	a.Do(func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: "v0"},
			PeerName:      "v1",
			PeerNamespace: netlink.NsFd(target.Fd()),
		})
	})
	for device, h := range map[string]*netnstest.Host{"v0": a, "v1": b} {
		h.Run("ip", "link", "set", device, "up")
	}
	for _, address := range []string{"10.0.0.1/24", "10.0.0.9/24"} {
		a.Run("ip", "address", "add", address, "dev", "v0")
	}
	for _, address := range []string{"fd00::1/64", "fd00::9/64", "fe80::1/64"} {
		a.Run("ip", "address", "add", address, "dev", "v0", "nodad")
	}
	b.Run("ip", "address", "add", "10.0.0.2/24", "dev", "v1")
	b.Run("ip", "address", "add", "fd00::2/64", "dev", "v1", "nodad")
	return a, b
}

func newReceiver(t testing.TB, h *netnstest.Host, config ReceiverConfig) *Receiver {
	t.Helper()
	var r *Receiver
	h.Do(func() (err error) { r, err = NewReceiver(config); return err })
	t.Cleanup(func() { r.Close() })
	return r
}

func newSender(t testing.TB, h *netnstest.Host, config SenderConfig) *Sender {
	t.Helper()
	var s *Sender
	h.Do(func() (err error) { s, err = NewSender(config); return err })
	t.Cleanup(func() { s.Close() })
	return s
}

// send sends as many datagrams as the sender counts.
func send(t testing.TB, s *Sender) SendReport {
	t.Helper()
	r, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// receive runs until the receiver has counted enough.
func receive(t testing.TB, r *Receiver) ReceiveReport {
	t.Helper()
	report, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// drain takes what is in the socket's buffer.
func drain(t testing.TB, r *Receiver) {
	t.Helper()
	err := r.socket.control(func(fd int) error {
		for {
			n, errno := r.batch.receive(fd, batchSize)
			if errno != 0 {
				return errno
			}
			r.record(time.Now(), n)
		}
	})
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
}

func TestTraffic(t *testing.T) {
	a, b := link(t)
	addr := netip.MustParseAddr
	tests := []struct {
		name, group      string
		sources, exclude []netip.Addr
		wanted, other    string
		both             bool // the other is received as well
	}{
		{name: "IPv4", group: "239.1.1.1:5000", wanted: "10.0.0.1", other: "10.0.0.9", both: true},
		{name: "IPv4 INCLUDE", group: "232.1.1.1:5000", wanted: "10.0.0.1", other: "10.0.0.9",
			sources: []netip.Addr{addr("10.0.0.1"), addr("10.0.0.77")}},
		{name: "IPv4 EXCLUDE", group: "239.1.1.1:5001", wanted: "10.0.0.1", other: "10.0.0.9",
			exclude: []netip.Addr{addr("10.0.0.9"), addr("10.0.0.77")}},
		{name: "IPv6", group: "[ff15::1]:5000", wanted: "fd00::1", other: "fd00::9", both: true},
		{name: "IPv6 INCLUDE", group: "[ff35::1]:5000", wanted: "fd00::1", other: "fd00::9",
			sources: []netip.Addr{addr("fd00::1")}},
		{name: "IPv6 EXCLUDE", group: "[ff15::1]:5001", wanted: "fd00::1", other: "fd00::9",
			exclude: []netip.Addr{addr("fd00::9")}},
		{name: "IPv6 of the link", group: "[ff12::1]:5000", wanted: "fe80::1", other: "fd00::9",
			exclude: []netip.Addr{addr("fd00::9")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			group := netip.MustParseAddrPort(tt.group)
			const count, others = 200, 5
			config := ReceiverConfig{
				Group: group, Interface: "v1", Sources: tt.sources, Exclude: tt.exclude, Count: count,
			}
			if tt.both {
				config.Count += others
			}
			r := newReceiver(t, b, config)
			from := func(source string, n uint64) *Sender {
				return newSender(t, a, SenderConfig{
					Group: group, Interface: "v0", Source: addr(source), Count: n, Size: 600, TTL: 7,
				})
			}
			// The others go first: where the last is in, they would be.
			send(t, from(tt.other, others))
			s := from(tt.wanted, count)
			if report := send(t, s); report.Sent != count || report.Bytes != 600*count {
				t.Errorf("sent %+v", report)
			}
			report := receive(t, r)
			last := report.Streams[len(report.Streams)-1]
			last.Latency, last.Reordered = Latency{}, 0
			want := StreamReport{
				Source: addr(tt.wanted), Stream: s.Stream(), Interface: b.Index("v1"),
				Received: count, Bytes: 600 * count, Last: count - 1, TTLMin: 7, TTLMax: 7,
			}
			if diff := cmp.Diff(want, last, addressesEqual); diff != "" {
				t.Errorf("stream (-want +got):\n%s", diff)
			}
			if streams := len(report.Streams); (streams == 2) != tt.both {
				t.Errorf("%d streams: %+v", streams, report.Streams)
			}
		})
	}
}

// TestLoopback sends within one host, by the routes and by name.
func TestLoopback(t *testing.T) {
	h := netnstest.NewHost(t)
	h.Run("ip", "route", "add", "224.0.0.0/4", "dev", "lo")
	for _, device := range []string{"lo", ""} {
		r := newReceiver(t, h, ReceiverConfig{Group: group4, Interface: device, Count: 100})
		other := newReceiver(t, h, ReceiverConfig{Group: group4, Interface: device, Count: 100})
		s := newSender(t, h, SenderConfig{Group: group4, Interface: device, Count: 100, Loop: true})
		send(t, s)
		for _, r := range []*Receiver{r, other} {
			got := receive(t, r)
			if got.Received != 100 || got.Lost != 0 || got.Duplicates != 0 || !got.Joined {
				t.Errorf("device %q: %+v", device, got)
			}
		}
		r.Close()
		other.Close()
	}
}

// TestJoinLeave holds that the socket gets what is sent while it is a member.
func TestJoinLeave(t *testing.T) {
	for _, sources := range [][]netip.Addr{nil, {netip.MustParseAddr("10.0.0.1")}} {
		a, b := link(t)
		r := newReceiver(t, b, ReceiverConfig{
			Group: group4, Interface: "v1", Sources: sources, Unjoined: true, Count: 11,
		})
		// What the witness has got has passed the receiver too.
		witness := newReceiver(t, b, ReceiverConfig{Group: group4, Interface: "v1"})
		s := newSender(t, a, SenderConfig{Group: group4, Interface: "v0", Count: 5})
		step := func(change func() error) {
			t.Helper()
			if err := change(); err != nil {
				t.Fatal(err)
			}
			witness.config.Count += send(t, s).Sent
			receive(t, witness)
		}
		step(r.Leave) // not a member yet
		step(r.Join)
		step(r.Join) // a member already
		step(r.Leave)
		if r.Snapshot().Joined {
			t.Error("joined after Leave")
		}
		step(r.Leave)
		s.config.Count = 1
		step(r.Join)
		got := receive(t, r)
		if q := got.Streams[0]; q.First != 5 || q.Last != 25 || q.Received != 11 || q.Lost != 10 {
			t.Errorf("received %d from %d to %d, lost %d", q.Received, q.First, q.Last, q.Lost)
		}
		if r.Received() != 11 || s.Sent() != 26 || !got.Joined {
			t.Errorf("received %d of %d, joined %v", r.Received(), s.Sent(), got.Joined)
		}
	}
}

func TestForeignAndCorrupt(t *testing.T) {
	h := netnstest.NewHost(t)
	r := newReceiver(t, h, ReceiverConfig{Group: group4, Interface: "lo", Count: 1})
	s := newSender(t, h, SenderConfig{Group: group4, Interface: "lo", Count: 1, Loop: true})
	for _, text := range []string{"hello", "", "umrt and then something else"} {
		err := s.socket.control(func(fd int) error {
			_, err := unix.Write(fd, []byte(text))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	send(t, s)
	if got := receive(t, r); got.Foreign != 2 || got.Corrupt != 1 || got.Received != 1 {
		t.Errorf("foreign %d, corrupt %d, received %d", got.Foreign, got.Corrupt, got.Received)
	}
}

// TestOverflows holds that what the receiver's own buffer drops is told apart.
func TestOverflows(t *testing.T) {
	h := netnstest.NewHost(t)
	r := newReceiver(t, h, ReceiverConfig{Group: group4, Interface: "lo", ReadBuffer: 8192})
	s := newSender(t, h, SenderConfig{
		Group: group4, Interface: "lo", Size: 1000, Count: 300, Loop: true,
	})
	send(t, s)
	drain(t, r)
	s.config.Count = 1 // it brings the count of what was dropped before it
	send(t, s)
	r.config.Count = r.Received() + 1
	got := receive(t, r)
	if got.Overflows == 0 || got.Lost != got.Overflows || got.Received+got.Lost != 301 {
		t.Errorf("overflows %d, lost %d, received %d", got.Overflows, got.Lost, got.Received)
	}
}

// TestDeviceDown holds that a sender goes on when its device comes back, with
// the numbers where they were.
func TestDeviceDown(t *testing.T) {
	a, b := link(t)
	r := newReceiver(t, b, ReceiverConfig{Group: group4, Interface: "v1", Count: 3})
	s := newSender(t, a, SenderConfig{Group: group4, Interface: "v0", Count: 3})
	a.Run("ip", "link", "set", "v0", "down")
	failed := send(t, s)
	var failures uint64
	for _, n := range failed.Errors {
		failures += n
	}
	if failures != 3 || failed.Sent != 0 {
		t.Errorf("sent on a device that is down: %+v", failed)
	}
	a.Run("ip", "link", "set", "v0", "up")
	if again := send(t, s); again.Sent != 3 || len(again.Errors) != 0 {
		t.Errorf("sent on a device that is up again: %+v", again)
	}
	if got := receive(t, r).Streams[0]; got.First != 0 || got.Received != 3 {
		t.Errorf("received %d from %d", got.Received, got.First)
	}
	a.Run("ip", "link", "delete", "v0")
	if err := r.Leave(); err != nil {
		t.Errorf("leave without a device: %v", err)
	}
	if err := r.Join(); err == nil || err.Error() != "join 239.1.1.1 on v1: no such device" {
		t.Errorf("join without a device: %v", err)
	}
}

func TestStop(t *testing.T) {
	h := netnstest.NewHost(t)
	r := newReceiver(t, h, ReceiverConfig{Group: group4, Interface: "lo", Count: 1})
	s := newSender(t, h, SenderConfig{Group: group4, Interface: "lo", Rate: 1000, Loop: true})
	done := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _, err := s.Run(ctx); done <- err }()
	receive(t, r)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("cancelled sender: %v", err)
	}

	r.config.Count = 0
	ctx, cancel = context.WithCancel(t.Context())
	go func() { _, err := r.Run(ctx); done <- err }()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("cancelled receiver: %v", err)
	}
	// A cancelled Run leaves the next one alone.
	r.config.Count, s.config.Count = r.Received()+1, 1
	send(t, s)
	receive(t, r)

	r.config.Count, s.config.Count = 0, 0
	go func() { _, err := r.Run(t.Context()); done <- err }()
	go func() { _, err := s.Run(t.Context()); done <- err }()
	r.Close()
	s.Close()
	for range 2 {
		if err := <-done; err != nil {
			t.Errorf("closed: %v", err)
		}
	}
}
