package load

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// The defaults of a SenderConfig.
const (
	DefaultSize = 512
	DefaultTTL  = 16
)

// SenderConfig says what to send.
type SenderConfig struct {
	Group     netip.AddrPort
	Interface string     // device in the namespace of the thread; "": by route
	Source    netip.Addr // the zero Addr: the kernel's choice

	Rate  float64 // datagrams per second; 0: as fast as possible
	Count uint64  // attempts; 0: until Run's context is done
	Size  int     // UDP payload, MinSize to MaxSize; 0: DefaultSize
	TTL   int     // or hop limit, 1 to 255; 0: DefaultTTL
	Loop  bool    // receivers in the sender's own namespace get it too
}

// Sender sends one stream. All methods are safe for concurrent use, but only
// one Run goes on at a time.
type Sender struct {
	config SenderConfig
	socket *socket
	stream StreamID
	sent   atomic.Uint64

	running sync.Mutex // held by Run; guards what follows
	batch   *batch
	errors  map[string]uint64
}

// NewSender opens a socket in the network namespace of the calling thread.
// Close it.
func NewSender(config SenderConfig) (*Sender, error) {
	if config.Size == 0 {
		config.Size = DefaultSize
	}
	if config.TTL == 0 {
		config.TTL = DefaultTTL
	}
	switch source := config.Source; {
	case config.Size < MinSize || config.Size > MaxSize:
		return nil, fmt.Errorf("size %d is not in %d to %d", config.Size, MinSize, MaxSize)
	case config.TTL < 1 || config.TTL > 255:
		return nil, fmt.Errorf("ttl %d is not in 1 to 255", config.TTL)
	case !(config.Rate >= 0) || math.IsInf(config.Rate, 0):
		return nil, fmt.Errorf("rate %g is not a number of datagrams per second", config.Rate)
	case source.IsValid() && (source.Is4() != config.Group.Addr().Is4() || source.IsMulticast()):
		return nil, fmt.Errorf("source %s is not a unicast address of the family of %s",
			source, config.Group.Addr())
	}
	s, err := openSocket(config.Group, config.Interface)
	if err != nil {
		return nil, err
	}
	sender := &Sender{
		config: config, socket: s, stream: StreamID(rand.Uint64()),
		batch: newBatch(config.Size), errors: make(map[string]uint64),
	}
	if err := sender.prepare(); err != nil {
		s.close()
		return nil, err
	}
	return sender, nil
}

func (s *Sender) prepare() error {
	index, err := s.socket.index()
	if err != nil {
		return s.socket.wrap("send to", err)
	}
	loop := 0
	if s.config.Loop {
		loop = 1
	}
	err = s.socket.setOptions(
		option{"TTL", unix.IP_MULTICAST_TTL, unix.IPV6_MULTICAST_HOPS, s.config.TTL},
		option{"MULTICAST_LOOP", unix.IP_MULTICAST_LOOP, unix.IPV6_MULTICAST_LOOP, loop},
	)
	if err != nil {
		return err
	}
	return s.socket.control(func(fd int) error { return s.connect(fd, index) })
}

// connect binds the socket to its device, source and group, so that a wrong
// one shows before the first datagram.
func (s *Sender) connect(fd, index int) error {
	if index != 0 {
		if err := s.setDevice(fd, index); err != nil {
			return s.socket.wrap("send to", err)
		}
	}
	if source := s.config.Source; source.IsValid() {
		from := s.socket.address(netip.AddrPortFrom(source, 0), index)
		if err := unix.Bind(fd, from); err != nil {
			return s.socket.wrap(fmt.Sprintf("send from %s to", source), err)
		}
	}
	err := unix.Connect(fd, s.socket.address(s.config.Group, index))
	return s.socket.wrap("send to", err)
}

func (s *Sender) setDevice(fd, index int) error {
	if s.config.Group.Addr().Is6() {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index)
	}
	return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF,
		&unix.IPMreqn{Ifindex: int32(index)})
}

// Run sends until ctx is done, the count is reached or the Sender is closed.
// Errors that may pass, such as a full queue or a device that is down, are
// counted; another one ends it. Later Runs continue the stream.
func (s *Sender) Run(ctx context.Context) (SendReport, error) {
	s.running.Lock()
	defer s.running.Unlock()
	defer s.socket.interruptible(ctx)()
	r := run{Sender: s, pacer: pacer{rate: s.config.Rate}, first: s.sent.Load()}
	start := time.Now()
	err := r.loop(ctx)
	report := s.report(r.taken(), time.Since(start))
	report.Skipped = r.pacer.skipped
	if ended(err) {
		err = nil
	}
	return report, s.socket.wrap("send to", err)
}

func (s *Sender) report(sent uint64, elapsed time.Duration) SendReport {
	r := SendReport{
		Group: s.config.Group, Stream: s.stream, Sent: sent,
		Bytes: sent * uint64(s.config.Size), Errors: make(map[string]uint64),
		Seconds: elapsed.Seconds(),
	}
	for kind, n := range s.errors {
		r.Errors[kind] = n
	}
	clear(s.errors)
	if r.Seconds > 0 {
		r.Rate = float64(sent) / r.Seconds
	}
	return r
}

// run is what one Run needs to know.
type run struct {
	*Sender
	pacer    pacer
	first    uint64 // sequence number
	attempts uint64
}

func (r *run) taken() uint64 { return r.sent.Load() - r.first }

func (r *run) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		limit := batchSize
		if r.config.Count > 0 {
			limit = int(min(batchSize, r.config.Count-r.attempts))
		}
		if limit == 0 {
			return nil
		}
		n := r.pacer.due(time.Now(), limit)
		if n == 0 {
			sleepUntil(ctx, r.pacer.next())
			continue
		}
		if err := r.send(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// send makes n attempts. A number is given away only with the datagram that
// the kernel took, so that a receiver sees no loss where nothing was sent.
func (r *run) send(ctx context.Context, n int) error {
	for n > 0 && ctx.Err() == nil {
		if err := r.fill(n, time.Now()); err != nil {
			return err
		}
		done, errno, err := r.write(n)
		if err != nil {
			return err
		}
		if errno != 0 {
			done = 1
			if err := r.fault(ctx, errno); err != nil {
				return err
			}
		} else {
			r.sent.Add(uint64(done))
		}
		r.attempts += uint64(done)
		n -= done
	}
	return nil
}

// fill writes the next n datagrams into the batch.
func (r *run) fill(n int, now time.Time) error {
	next := r.sent.Load()
	for i := range n {
		d := Datagram{
			Stream: r.stream, Sequence: next + uint64(i), Sent: now, Size: r.config.Size,
		}
		if _, err := d.AppendBinary(r.batch.buffers[i][:0]); err != nil {
			return err
		}
	}
	return nil
}

// write waits until the socket takes datagrams. The error says it is closed.
func (r *run) write(n int) (done int, errno unix.Errno, err error) {
	err = r.socket.write(func(fd uintptr) bool {
		done, errno = r.batch.send(int(fd), n)
		return errno != unix.EAGAIN
	})
	return done, errno, err
}

// fault counts an error that may pass and waits a moment, since trying on at
// full speed would only keep the processor busy. Others it returns.
func (r *run) fault(ctx context.Context, errno unix.Errno) error {
	switch errno {
	case unix.ENOBUFS, unix.ENOMEM, unix.ENETDOWN, unix.ENETUNREACH, unix.EHOSTUNREACH,
		unix.EHOSTDOWN, unix.ENODEV, unix.ENXIO, unix.ECONNREFUSED, unix.EADDRNOTAVAIL:
	default:
		return errno
	}
	r.errors[unix.ErrnoName(errno)]++
	if r.config.Rate == 0 {
		sleepUntil(ctx, time.Now().Add(time.Millisecond))
	}
	return nil
}

// sleepUntil waits. The runtime's timers are only good to a millisecond, so
// the last part is left to the kernel, which is some 20 times better.
func sleepUntil(ctx context.Context, t time.Time) {
	const coarse = 5 * time.Millisecond
	if wait := time.Until(t); wait > coarse {
		timer := time.NewTimer(wait - coarse)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
	if wait := time.Until(t); wait > 0 {
		rest := unix.NsecToTimespec(int64(wait))
		// Woken early by a signal, the caller asks again what is due.
		_ = unix.Nanosleep(&rest, nil)
	}
}

// Sent returns how many datagrams the kernel has taken so far.
func (s *Sender) Sent() uint64 { return s.sent.Load() }

// Stream returns the number that tells this sender's stream from others.
func (s *Sender) Stream() StreamID { return s.stream }

// Close ends a Run.
func (s *Sender) Close() error { return s.socket.close() }
