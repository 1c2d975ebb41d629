package router

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"
)

// controlBacklog is how many control packets may wait for the loop. One host
// can send 6 reports of 1,500 bytes for 1,000 groups at once; beyond this many
// the packet is dropped, and the next query repairs the loss.
const controlBacklog = 4096

// loop is the control plane: one goroutine that owns all membership state.
// Others hand it packets, which may be dropped, and functions, which may not.
type loop struct {
	packets chan controlPacket
	calls   chan func(now time.Time)
	relayed chan relayPacket
	relay   func(now time.Time, index uint32, packet []byte)
	done    chan struct{}
	dropped atomic.Uint64
}

// controlPacket is a complete IGMP or MLD packet as it came in on a link.
type controlPacket struct {
	family *family
	index  uint32
	packet []byte
}

// relayBacklog is how many packets may wait to be relayed. They wait apart, so
// that a flood of them keeps no report out.
const relayBacklog = 256

// relayPacket is a complete IP packet that may be for the relay.
type relayPacket struct {
	index  uint32
	packet []byte
}

func newLoop() *loop {
	return &loop{
		packets: make(chan controlPacket, controlBacklog),
		calls:   make(chan func(time.Time), 64),
		relayed: make(chan relayPacket, relayBacklog),
		done:    make(chan struct{}),
	}
}

// post hands a control packet to the loop, or counts it as dropped.
func (l *loop) post(packet controlPacket) {
	select {
	case l.packets <- packet:
	default:
		l.dropped.Add(1)
	}
}

// offer hands a copy of a packet to the relay, and says whether there was room.
func (l *loop) offer(index uint32, packet []byte) bool {
	if len(l.relayed) == cap(l.relayed) {
		return false
	}
	select {
	case l.relayed <- relayPacket{index, bytes.Clone(packet)}:
		return true
	default:
		return false
	}
}

// run hands f to the loop and waits until it has run. It says false where the
// loop has ended, or ctx has.
func (l *loop) run(ctx context.Context, f func(now time.Time)) bool {
	ran := make(chan struct{})
	call := func(now time.Time) {
		f(now)
		close(ran)
	}
	if !l.send(ctx, call) {
		return false
	}
	select {
	case <-ran:
		return true
	case <-l.done:
		return false
	}
}

// Alive says whether the control loop still answers, before ctx ends.
func (r *Router) Alive(ctx context.Context) bool {
	answered := make(chan struct{})
	if !r.loop.send(ctx, func(time.Time) { close(answered) }) {
		return false
	}
	select {
	case <-answered:
		return true
	case <-ctx.Done():
		return false
	}
}

// send hands f to the loop and does not wait for it to run.
func (l *loop) send(ctx context.Context, f func(now time.Time)) bool {
	select {
	case l.calls <- f:
		return true
	case <-l.done:
	case <-ctx.Done():
	}
	return false
}

// wake has the machines advanced soon. It never waits.
func (l *loop) wake() {
	select {
	case l.calls <- func(time.Time) {}:
	default: // what waits there has the same effect
	}
}

// machine is a part of the control plane that only the loop touches.
type machine interface {
	Advance(now time.Time)
	Deadline() (time.Time, bool)
}

// serve runs until ctx ends, and then calls stop. It keeps one timer, armed for
// the earliest deadline of all machines.
func (l *loop) serve(ctx context.Context, stop func(now time.Time), machines ...machine) {
	defer close(l.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			stop(time.Now())
			return
		case p := <-l.packets:
			p.family.handle(time.Now(), p.index, p.packet)
		case call := <-l.calls:
			call(time.Now())
		case p := <-l.relayed:
			l.relay(time.Now(), p.index, p.packet)
		case <-timer.C:
		}
		now := time.Now()
		next := now.Add(time.Hour)
		for _, m := range machines {
			m.Advance(now)
			if deadline, ok := m.Deadline(); ok && deadline.Before(next) {
				next = deadline
			}
		}
		timer.Reset(next.Sub(now))
	}
}
