package tun

import (
	"os"

	"golang.org/x/sys/unix"
)

// readRing is readReady through a ring: it asks for about as many packets as
// came the last time.
func (l *Link) readRing(fd int) bool {
	b, r := &l.batch, l.ring
	for b.n < len(b.bufs) {
		bufs := b.bufs[b.n:]
		bufs = bufs[:min(len(bufs), max(r.expected, minAsked), ringSize)]
		for i, buf := range bufs {
			if len(buf) == 0 {
				bufs = bufs[:i]
				break
			}
			r.Read(fd, buf)
		}
		if len(bufs) == 0 {
			return true
		}
		results, err := r.do(len(bufs))
		if err != nil {
			return l.readReady(uintptr(fd)) // without the ring
		}
		before := b.n
		dry, err := l.collect(bufs, results)
		if err != nil {
			b.err = err
			return true
		}
		r.expected = b.n - before
		if dry {
			return b.n > 0
		}
		r.expected *= 2
	}
	return true
}

// collect puts the packets that reads have brought in a row, and says whether
// there are no more.
func (l *Link) collect(bufs [][]byte, results []int32) (dry bool, err error) {
	b := &l.batch
	for i, n := range results {
		switch {
		case n >= 0 && l.whole(bufs[i], int(n)):
			// One may have come after the queue had been found empty.
			if to := b.bufs[b.n]; &to[0] != &bufs[i][0] {
				copy(to, bufs[i][:n])
			}
			b.sizes[b.n] = int(n)
			b.n++
		case n == -int32(unix.EAGAIN):
			dry = true
		case n < 0 && !l.passes(unix.Errno(-n)):
			return dry, unix.Errno(-n)
		}
	}
	return dry, nil
}

// WriteBatch implements [BatchWriter]. With IOUring it takes one system call for
// up to 128 packets.
func (l *Link) WriteBatch(packets []Packet) {
	if !l.users.enter() {
		for i := range packets {
			packets[i].Err = os.ErrClosed
		}
		return
	}
	defer l.users.leave()
	for len(packets) > 0 {
		n := min(len(packets), ringSize)
		if l.ring.works() {
			l.writeRing(packets[:n])
		} else {
			l.writeEach(packets[:n])
		}
		packets = packets[n:]
	}
}

// writeEach writes packets one by one.
func (l *Link) writeEach(packets []Packet) {
	for i := range packets {
		p := &packets[i]
		l.batch.single[0] = p.Data
		_, p.Err = p.To.Write(l.batch.single[:])
	}
}

// writeRing writes packets, as many as fit into the ring. A device is entered
// once for all packets that follow one another.
func (l *Link) writeRing(packets []Packet) {
	r := l.ring
	r.places, r.users = r.places[:0], r.users[:0]
	var to Device
	var link *Link
	var err error
	for i := range packets {
		p := &packets[i]
		if p.To != to {
			to = p.To
			if link, err = enterRing(to); link != nil {
				r.users = append(r.users, link)
			}
		}
		switch p.Err = err; {
		case link != nil:
			r.places = append(r.places, i)
			r.Write(link.fd, p.Data)
		case err == nil: // it is written in another way
			l.writeEach(packets[i : i+1])
		}
	}
	results, err := r.do(len(r.places))
	for k, i := range r.places {
		p := &packets[i]
		if err != nil {
			l.writeEach(packets[i : i+1])
		} else if results[k] < 0 {
			p.Err = unix.Errno(-results[k])
		}
	}
	for _, link := range r.users {
		link.users.leave()
	}
}

// enterRing makes the caller a user of a device that a ring can write to, which
// is nil where the device is written in another way or, with an error, not at
// all.
func enterRing(to Device) (*Link, error) {
	link, ok := to.(*Link)
	if !ok || link.io == IOPlain {
		return nil, nil
	}
	if !link.users.enter() {
		return nil, os.ErrClosed
	}
	if gone := link.gone.Load(); gone != nil {
		link.users.leave()
		return nil, *gone
	}
	return link, nil
}

var _ BatchWriter = (*Link)(nil)
