package flood

import (
	"time"

	"golang.org/x/sys/unix"

	"umroute/bench/load"
)

// How long nothing may move before what is under way is taken to be lost: in
// the middle of a closed loop, and at its end.
const (
	stallAfter = 200 * time.Millisecond
	quietAfter = 300 * time.Millisecond
)

// send is the source's thread.
func (f *Flood) send() error {
	switch {
	case f.config.paced():
		return f.sendPaced()
	case f.config.Rate == Unlimited:
		return f.sendUnlimited()
	}
	wake := []unix.PollFd{{Fd: int32(f.room), Events: unix.POLLIN}}
	forgiven := uint64(0) // what is below has come or will not come
	for !f.stopping.Load() {
		next := f.source.next
		done := max(f.acked.Load(), forgiven)
		// Only whole turns: a call costs the same for one datagram as for many.
		if room := f.config.Window - int(next-min(next, done)); room >= turn {
			if err := f.sendTurn(room); err != nil {
				return err
			}
			continue
		}
		// Not for each datagram: the fewer switches between the threads the better.
		moved, err := f.awaitRoom(wake, next-uint64(min(f.config.Window/2, f.config.Window-turn)))
		if err != nil {
			return err
		}
		// What is lost is never acknowledged; without this, one lost datagram at
		// the end of a window would stop the traffic for good.
		if !moved && f.acked.Load() <= done {
			forgiven = next
			f.stalls++
		}
	}
	return nil
}

func (f *Flood) sendTurn(limit int) error {
	_, err := f.source.send(limit)
	f.sent.Store(f.source.next)
	return err
}

// awaitRoom waits until enough has come. It reports false where nothing has
// said so for long.
func (f *Flood) awaitRoom(wake []unix.PollFd, enough uint64) (moved bool, err error) {
	f.wanted.Store(enough)
	defer f.wanted.Store(0)
	// The sinks may have been there before they could see what is wanted.
	if f.acked.Load() >= enough {
		return true, nil
	}
	moved, err = await(wake, stallAfter)
	var count [8]byte
	_, _ = unix.Read(f.room, count[:]) // to zero; where it is that already, EAGAIN
	return moved, err
}

// sendPaced sends at the rate. A message of several datagrams goes when the
// last of them is due.
func (f *Flood) sendPaced() error {
	p := pace{rate: f.config.Rate}
	for !f.stopping.Load() {
		n := p.due(time.Now())
		if n < f.least() {
			// A message that is not full yet must not make this a busy loop.
			pause(max(time.Until(p.next()), 20*time.Microsecond))
			continue
		}
		before := f.source.next
		if err := f.sendTurn(n); err != nil {
			return err
		}
		p.took(int(f.source.next - before))
	}
	return nil
}

// least is how many datagrams go at once at a rate.
func (f *Flood) least() int {
	if f.config.Burst {
		return turn
	}
	return f.config.perMessage()
}

// sendUnlimited sends whatever becomes of it.
func (f *Flood) sendUnlimited() error {
	for !f.stopping.Load() {
		if err := f.sendTurn(turn); err != nil {
			return err
		}
	}
	return nil
}

func newSink(number, fd, flows int) *sink {
	return &sink{number: number, fd: fd, flows: make([]load.Sequence, flows), inspecting: true}
}

// receive is the sinks' thread.
func (f *Flood) receive() error {
	// Memory is taken before traffic flows, and none from then on.
	box := newInbox(f.config)
	fds := []unix.PollFd{{Fd: int32(f.quit), Events: unix.POLLIN}}
	for _, s := range f.sinks {
		fds = append(fds, unix.PollFd{Fd: int32(s.fd), Events: unix.POLLIN})
	}
	quitting := false
	for {
		ready, err := await(fds, quietAfter)
		if err != nil {
			return err
		}
		// The source has ended before it was told to quit, so sent stands still.
		if quitting && (!ready || f.complete()) {
			return nil
		}
		if fds[0].Revents != 0 {
			quitting = true
			fds[0].Fd = -1 // poll leaves it out
		}
		for i, s := range f.sinks {
			if fds[i+1].Revents == 0 {
				continue
			}
			if err := f.collect(box, s); err != nil {
				return err
			}
		}
		f.acknowledge()
		if quitting && f.complete() {
			return nil
		}
	}
}

// collect takes what is at hand for one sink.
func (f *Flood) collect(box *inbox, s *sink) error {
	controls := s.inspecting || f.config.GRO || f.judge.copies != nil
	n, errno := box.receive(s.fd, s.inspecting, controls)
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return nil
	}
	if errno != 0 {
		return errno
	}
	// One time for the batch: what waited in the socket has come before it was
	// taken, and that wait is part of the latency.
	now := time.Now()
	before := s.received
	for i := range n {
		f.judge.take(s, box.message(i), now)
	}
	f.delivered.Add(s.received - before)
	if s.inspecting && s.received >= inspected {
		s.inspecting = false
		return setOptions(s.fd, ttlOption(f.config.Source.Is6(), 0))
	}
	return nil
}

// acknowledge tells the source how far all sinks have come.
func (f *Flood) acknowledge() {
	if len(f.sinks) == 0 {
		return
	}
	slowest := f.sinks[0].reached
	for _, s := range f.sinks[1:] {
		slowest = min(slowest, s.reached)
	}
	f.acked.Store(slowest)
	// The source publishes what it wants before it looks at acked again, so one
	// of the two sees the other's step.
	if wanted := f.wanted.Load(); wanted != 0 && slowest >= wanted {
		if f.wanted.CompareAndSwap(wanted, 0) {
			signal(f.room)
		}
	}
}

// complete says whether everything that was sent has come.
func (f *Flood) complete() bool {
	sent := f.sent.Load()
	for _, s := range f.sinks {
		if s.lost(f.expected(s, sent)) > 0 {
			return false
		}
	}
	return true
}
