package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// ReceiverConfig says what to receive.
type ReceiverConfig struct {
	Group     netip.AddrPort
	Interface string // device in the namespace of the thread; "": by route

	// Sources makes it an INCLUDE membership, Exclude an EXCLUDE one with these
	// blocked (RFC 3376 section 2). At most one of them.
	Sources []netip.Addr
	Exclude []netip.Addr

	Unjoined   bool   // leave the first Join to the caller
	ReadBuffer int    // bytes for the kernel to keep; 0: 4 MiB, as far as allowed
	Count      uint64 // Run ends once so many datagrams of ours came; 0: never
}

// Receiver is a member of one group on one interface. All methods are safe
// for concurrent use, but only one Run goes on at a time.
type Receiver struct {
	config   ReceiverConfig
	socket   *socket
	received atomic.Uint64

	running sync.Mutex // held by Run; guards batch
	batch   *batch

	membership sync.Mutex // guards joined
	joined     bool

	mu        sync.Mutex // guards what follows
	account   account
	overflows uint64
	lastDrops uint32        // as the kernel counts them
	elapsed   time.Duration // of the Runs that ended
	started   time.Time     // of the Run that goes on; zero: none
}

// NewReceiver opens a socket in the network namespace of the calling thread,
// binds it to the group and, unless told otherwise, joins. Close it.
func NewReceiver(config ReceiverConfig) (*Receiver, error) {
	if len(config.Sources) > 0 && len(config.Exclude) > 0 {
		return nil, errors.New("a membership includes sources or excludes them, not both")
	}
	group := config.Group.Addr()
	for _, a := range slices.Concat(config.Sources, config.Exclude) {
		if a.Is4() != group.Is4() || a.Is4In6() || a.IsMulticast() || !a.IsValid() {
			return nil, fmt.Errorf("source %s is not a unicast address of the family of %s",
				a, group)
		}
	}
	s, err := openSocket(config.Group, config.Interface)
	if err != nil {
		return nil, err
	}
	r := &Receiver{config: config, socket: s, batch: newBatch(1 << 16)}
	if err := r.prepare(); err != nil {
		s.close()
		return nil, err
	}
	return r, nil
}

func (r *Receiver) prepare() error {
	index, err := r.socket.index()
	if err != nil {
		return r.socket.wrap("receive", err)
	}
	err = r.socket.setOptions(
		// Otherwise the socket gets what any socket of this host has joined.
		option{"MULTICAST_ALL", unix.IP_MULTICAST_ALL, unix.IPV6_MULTICAST_ALL, 0},
		option{"RECVTTL", unix.IP_RECVTTL, unix.IPV6_RECVHOPLIMIT, 1},
		option{"PKTINFO", unix.IP_PKTINFO, unix.IPV6_RECVPKTINFO, 1},
	)
	if err != nil {
		return err
	}
	err = r.socket.control(func(fd int) error {
		if err := setBuffer(fd, r.config.ReadBuffer); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1); err != nil {
			return err
		}
		// Several receivers of a host share the group and its port.
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return err
		}
		return unix.Bind(fd, r.socket.address(r.config.Group, index))
	})
	if err != nil {
		return r.socket.wrap("bind to", err)
	}
	if r.config.Unjoined {
		return nil
	}
	return r.Join()
}

// setBuffer asks for a receive buffer; only a privileged process gets past
// net.core.rmem_max.
func setBuffer(fd, size int) error {
	if size == 0 {
		size = 4 << 20
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) == nil {
		return nil
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size)
}

// Join makes the socket a member, as the configuration says. A member stays
// one. The device is looked up anew.
func (r *Receiver) Join() error {
	r.membership.Lock()
	defer r.membership.Unlock()
	if r.joined {
		return nil
	}
	index, err := r.socket.index()
	if err != nil {
		return r.socket.wrap("join", err)
	}
	if err := r.join(index); err != nil {
		// Some sources may be in: a failed Join leaves nothing behind.
		_ = r.request(unix.MCAST_LEAVE_GROUP, index, netip.Addr{})
		return err
	}
	r.joined = true
	return nil
}

func (r *Receiver) join(index int) error {
	for _, source := range r.config.Sources {
		if err := r.request(unix.MCAST_JOIN_SOURCE_GROUP, index, source); err != nil {
			return r.socket.wrap(fmt.Sprintf("join source %s of", source), err)
		}
	}
	if len(r.config.Sources) > 0 {
		return nil
	}
	if err := r.request(unix.MCAST_JOIN_GROUP, index, netip.Addr{}); err != nil {
		return r.socket.wrap("join", err)
	}
	for _, source := range r.config.Exclude {
		if err := r.request(unix.MCAST_BLOCK_SOURCE, index, source); err != nil {
			return r.socket.wrap(fmt.Sprintf("join without source %s of", source), err)
		}
	}
	return nil
}

// Leave ends the membership and keeps the socket. Who is no member stays so.
func (r *Receiver) Leave() error {
	r.membership.Lock()
	defer r.membership.Unlock()
	if !r.joined {
		return nil
	}
	index, err := r.socket.index()
	if err == nil {
		// It ends INCLUDE memberships too, with all their sources.
		err = r.request(unix.MCAST_LEAVE_GROUP, index, netip.Addr{})
	}
	// With its device gone, the membership is too.
	gone := errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EADDRNOTAVAIL)
	if err != nil && !gone {
		return r.socket.wrap("leave", err)
	}
	r.joined = false
	return nil
}

// request makes one call of the protocol-independent interface (RFC 3678
// section 5).
func (r *Receiver) request(name, index int, source netip.Addr) error {
	request := groupRequest(index, r.config.Group.Addr(), source)
	return r.socket.control(func(fd int) error {
		return unix.SetsockoptString(fd, r.socket.level(), name, request)
	})
}

// Run receives until ctx is done, the count is reached or the Receiver is
// closed, and returns what has been received since the Receiver was made.
func (r *Receiver) Run(ctx context.Context) (ReceiveReport, error) {
	r.running.Lock()
	defer r.running.Unlock()
	defer r.socket.interruptible(ctx)()
	r.begin(time.Now())
	err := r.receive()
	r.end(time.Now())
	if ended(err) {
		err = nil
	}
	return r.Snapshot(), r.socket.wrap("receive", err)
}

func (r *Receiver) begin(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started = now
}

func (r *Receiver) end(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.elapsed += now.Sub(r.started)
	r.started = time.Time{}
}

func (r *Receiver) receive() error {
	var n int
	var errno unix.Errno
	poll := func(fd uintptr) (done bool) {
		n, errno = r.batch.receive(int(fd), r.limit())
		return errno != unix.EAGAIN
	}
	for r.limit() > 0 {
		if err := r.socket.read(poll); err != nil {
			return err
		}
		if errno != 0 {
			return errno
		}
		r.record(time.Now(), n)
	}
	return nil
}

// limit returns how many datagrams to take at once, so that the count is met
// exactly and the rest stays for a later Run.
func (r *Receiver) limit() int {
	if r.config.Count == 0 {
		return batchSize
	}
	return int(min(batchSize, r.config.Count-min(r.config.Count, r.received.Load())))
}

// record accounts for a batch.
func (r *Receiver) record(now time.Time, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range n {
		a, drops, told := r.batch.arrival(i)
		if told {
			// Modulo 2^32, as the kernel counts.
			r.overflows += uint64(drops - r.lastDrops)
			r.lastDrops = drops
		}
		r.account.record(now, a)
		r.received.Store(r.account.received)
	}
}

// Received returns how many intact datagrams of ours have come so far,
// duplicates included.
func (r *Receiver) Received() uint64 { return r.received.Load() }

// Snapshot returns what has been received so far.
func (r *Receiver) Snapshot() ReceiveReport {
	r.membership.Lock()
	joined := r.joined
	r.membership.Unlock()

	r.mu.Lock()
	defer r.mu.Unlock()
	report := r.account.report()
	report.Group, report.Interface, report.Joined = r.config.Group, r.config.Interface, joined
	report.Overflows = r.overflows
	elapsed := r.elapsed
	if !r.started.IsZero() {
		elapsed += time.Since(r.started)
	}
	report.Seconds = elapsed.Seconds()
	return report
}

// Close ends the membership and a Run.
func (r *Receiver) Close() error { return r.socket.close() }
