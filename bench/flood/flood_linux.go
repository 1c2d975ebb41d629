package flood

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"umroute/bench/topology"
)

// Counters is what has been sent, and received by all sinks together, so far.
type Counters struct{ Sent, Delivered uint64 }

// Report is the account of a whole run.
type Report struct {
	Sent       uint64  `json:"sent"`
	Expected   uint64  `json:"expected"`  // by all sinks together
	Delivered  uint64  `json:"delivered"` // by all sinks together
	Lost       uint64  `json:"lost"`      // of Expected
	Reordered  uint64  `json:"reordered"`
	Duplicates uint64  `json:"duplicates"`
	Late       uint64  `json:"late"` // too old to tell which of the two
	Corrupt    uint64  `json:"corrupt"`
	Foreign    uint64  `json:"foreign"`   // no test traffic
	Overflows  uint64  `json:"overflows"` // of Lost, for want of room in a sink's buffer
	WrongTTL   uint64  `json:"wrong_ttl"` // of the first of each sink
	WrongFrom  uint64  `json:"wrong_from"`
	Stalls     uint64  `json:"stalls"` // times that loss held a closed loop up
	Retried    uint64  `json:"retried"`
	Window     int     `json:"window"`
	Latency    Latency `json:"latency"`
}

// Flood is one run of traffic. Its methods are for one goroutine.
type Flood struct {
	config Config
	source *source
	sinks  []*sink
	judge  *judge

	sent      atomic.Uint64
	_         [56]byte // each of the threads has a cache line of its own
	delivered atomic.Uint64
	acked     atomic.Uint64 // reached by the slowest sink
	_         [48]byte
	wanted    atomic.Uint64 // what the source waits for acked to be; 0: it does not

	room      int // eventfd that ends the source's wait
	quit      int // eventfd that ends the sinks' wait
	stopping  atomic.Bool
	threads   [2]chan error
	stalls    uint64
	closeOnce sync.Once
}

// New opens the sockets: a source in the namespace of t's sender and a sink in
// each of the first n receivers. Close it.
func New(c Config, t *topology.Topology, n int) (*Flood, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.Window == 0 {
		c.Window = DefaultWindow
	}
	// Random, so that stragglers of an earlier run are known as such.
	run := rand.Uint64() / maxFlows
	f := &Flood{config: c, room: -1, quit: -1}
	f.judge = &judge{config: c, run: run, sizes: c.sizes(),
		numbering: numbering{uint64(c.flows()), uint64(c.perMessage())}}
	if c.paced() {
		f.judge.times = newTimes(n)
		if n > 1 {
			f.judge.copies = &copies{outputs: n}
		}
	}
	if err := f.open(t, n, run); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *Flood) open(t *topology.Topology, n int, run uint64) error {
	// The sinks first: what the source sends early must find them.
	destinations := slices.Clone(f.config.Groups)
	for i, h := range t.Receivers()[:n] {
		fd, err := inside(h, f.config, sinkSocket)
		if err != nil {
			return err
		}
		f.sinks = append(f.sinks, newSink(i, fd, f.config.flows()))
		if f.judge.copies != nil {
			if err := setOptions(fd, option{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1}); err != nil {
				return err
			}
		}
		size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		if err != nil {
			return fmt.Errorf("read the size of a receive buffer: %w", err)
		}
		f.config.Window = windowFor(f.config.Window, size, f.config.largest())
	}
	for i := range f.config.Unicast {
		to := t.Receivers()[i%n].Address(f.config.Source.Is6())
		destinations = append(destinations, to)
	}
	fd, err := inside(t.Sender(), f.config, sourceSocket)
	if err != nil {
		return err
	}
	f.source = newSource(f.config, destinations, fd, run)
	for _, event := range []*int{&f.room, &f.quit} {
		if *event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
			return fmt.Errorf("make an eventfd: %w", err)
		}
	}
	return nil
}

// inside opens a socket on the device of a host.
func inside(h topology.Host, c Config,
	open func(Config, *net.Interface) (int, error)) (fd int, err error) {
	err = h.Namespace.Do(func() error {
		device, err := net.InterfaceByName(topology.Device)
		if err != nil {
			return fmt.Errorf("find %s: %w", topology.Device, err)
		}
		fd, err = open(c, device)
		return err
	})
	return fd, err
}

// Start lets traffic flow.
func (f *Flood) Start() {
	for i, run := range []func() error{f.send, f.receive} {
		ended := make(chan error, 1)
		f.threads[i] = ended
		go func() {
			// Both wait in the kernel most of the time, and a thread that is the
			// goroutine's own wakes without the runtime's scheduler.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			ended <- run()
		}()
	}
}

// Counters returns the counts at this moment.
func (f *Flood) Counters() Counters {
	return Counters{Sent: f.sent.Load(), Delivered: f.delivered.Load()}
}

// Stop ends the traffic, waits for what is under way, and reports.
func (f *Flood) Stop() (Report, error) {
	// In this order: the sinks must know how much there is to wait for.
	f.stopping.Store(true)
	err := <-f.threads[0]
	signal(f.quit)
	err = errors.Join(err, <-f.threads[1])
	return f.report(), err
}

// Times gives the times after Stop; nil without a rate.
func (f *Flood) Times() *Times { return f.judge.times }

// expected is how many of the first sent datagrams a sink should get.
func (f *Flood) expected(s *sink, sent uint64) uint64 {
	n := sent
	for i := range f.config.Unicast {
		if i%len(f.sinks) != s.number {
			n -= f.judge.numbering.of(uint64(len(f.config.Groups)+i), sent)
		}
	}
	return n
}

func (f *Flood) report() Report {
	r := Report{Sent: f.source.next, Stalls: f.stalls, Window: f.config.Window,
		Latency: f.judge.times.summary()}
	for _, n := range f.source.failed {
		r.Retried += n
	}
	for _, s := range f.sinks {
		r.Delivered += s.received
		expected := f.expected(s, r.Sent)
		r.Expected += expected
		r.Lost += s.lost(expected)
		r.Overflows += overflows(s.fd)
		r.Corrupt += s.corrupt
		r.Foreign += s.foreign
		r.WrongTTL += s.wrongTTL
		r.WrongFrom += s.wrongFrom
		for i := range s.flows {
			r.Reordered += s.flows[i].Reordered
			r.Duplicates += s.flows[i].Duplicates
			r.Late += s.flows[i].Late
		}
	}
	return r
}

// Close closes the sockets, after Stop where there was a Start.
func (f *Flood) Close() {
	f.closeOnce.Do(func() {
		for _, s := range f.sinks {
			unix.Close(s.fd)
		}
		if f.source != nil {
			unix.Close(f.source.fd)
		}
		for _, event := range []int{f.room, f.quit} {
			if event >= 0 {
				unix.Close(event)
			}
		}
	})
}

// signal wakes who polls an eventfd.
func signal(event int) {
	one := [8]byte{0: 1} // or a larger number: any wakes
	_, _ = unix.Write(event, one[:])
}

// await polls descriptors until one is ready or the time is over. The runtime
// interrupts waits with its own signals, which say nothing.
func await(fds []unix.PollFd, timeout time.Duration) (ready bool, err error) {
	deadline := time.Time{}
	for wait := timeout; ; wait = time.Until(deadline) {
		n, err := unix.Poll(fds, int(max(0, wait.Milliseconds())))
		if !errors.Is(err, unix.EINTR) {
			return n > 0, os.NewSyscallError("poll", err)
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(timeout)
		}
	}
}
