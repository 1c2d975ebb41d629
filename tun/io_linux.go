package tun

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// batch is the Read under way: its arguments and what came of it. It lives in
// the Link, since a closure made for each call would be an allocation each.
type batch struct {
	ready func(fd uintptr) bool
	bufs  [][]byte
	sizes []int
	n     int
	err   error

	busy  bool // packets follow one another, so wait on this thread
	taken int  // packets since the last wait

	yielded time.Time // when others were let run

	single [1][]byte // of WriteBatch
}

// Read waits for packets and takes as many as are there; see [Device]. A packet
// that does not fit into its buffer is dropped and counted (see
// [Link.Truncated]).
func (l *Link) Read(bufs [][]byte, sizes []int) (int, error) {
	if len(bufs) == 0 || len(sizes) < len(bufs) || len(bufs[0]) == 0 {
		return 0, errNoRoom
	}
	if l.io == IOPlain {
		return l.readOne(bufs[0], sizes)
	}
	b := &l.batch
	b.bufs, b.sizes, b.n, b.err = bufs, sizes, 0, nil
	err := l.readBatch()
	b.bufs, b.sizes = nil, nil
	if err == nil {
		err = b.err
	}
	if b.n > 0 {
		return b.n, nil // an error comes again with the next call
	}
	return 0, l.readError(err)
}

// readReady takes packets until none is left or the batch is full, and reports
// false where there is nothing yet, so that the poller waits.
func (l *Link) readReady(fd uintptr) bool {
	b := &l.batch
	if l.ring.works() {
		return l.readRing(int(fd))
	}
	for b.n < len(b.bufs) {
		buf := b.bufs[b.n]
		if len(buf) == 0 {
			return true
		}
		n, err := readNow(int(fd), buf)
		switch err {
		case 0:
			if l.whole(buf, n) {
				b.sizes[b.n] = n
				b.n++
			}
		case unix.EAGAIN:
			return b.n > 0
		default:
			if !l.passes(err) {
				b.err = err
				return true
			}
		}
	}
	return true
}

// readOne is the Read of IOPlain.
func (l *Link) readOne(buf []byte, sizes []int) (int, error) {
	for {
		n, err := l.water.Read(buf)
		var errno unix.Errno
		if errors.As(err, &errno) && l.passes(errno) {
			continue
		}
		if err != nil {
			return 0, l.readError(err)
		}
		if l.whole(buf, n) {
			sizes[0] = n
			return 1, nil
		}
	}
}

// whole counts and refuses a packet that was cut to its buffer.
func (l *Link) whole(buf []byte, n int) bool {
	head := 0
	if l.offload != OffloadNone {
		head = VirtioHeaderLen
	}
	if n < len(buf) || n > head && !truncated(l.kind, buf[head:]) {
		return true
	}
	l.truncated.Add(1)
	return false
}

// Write sends each buffer as one packet; see [Device]. A device that is down
// takes none and gives unix.EIO, one that was deleted gives unix.EBADFD.
func (l *Link) Write(bufs [][]byte) (n int, first error) {
	if !l.users.enter() {
		return 0, os.ErrClosed
	}
	defer l.users.leave()
	// In a namespace without processes the kernel would go on taking packets.
	if gone := l.gone.Load(); gone != nil {
		return 0, *gone
	}
	for _, buf := range bufs {
		if err := l.writeOne(buf); err == nil {
			n++
		} else if first == nil {
			first = err
		}
	}
	return n, first
}

// writeOne writes one packet, which the kernel takes whole or not at all. Errors
// are bare, so that one that comes with every packet costs nothing.
func (l *Link) writeOne(buf []byte) error {
	if len(buf) == 0 {
		return unix.EINVAL
	}
	if l.io == IOPlain {
		_, err := l.water.Write(buf)
		return err
	}
	for {
		// A TUN never makes a writer wait: a packet is received at once, on
		// this thread, or lost.
		err := writeNow(l.fd, buf)
		if err == 0 {
			return nil
		}
		if err != unix.EINTR {
			return err
		}
	}
}
