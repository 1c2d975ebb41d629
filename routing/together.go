package routing

import (
	"errors"
	"syscall"

	"umroute/tun"
)

// flushTogether writes what is in the lanes in as few system calls as can be.
// Links with Ethernet headers are left to flushLane: all lanes share a packet's
// bytes, and with them the place for a header, which differs from one such link
// to the next.
func (w *worker) flushTogether() {
	w.outs = w.outs[:0]
	for _, l := range w.open {
		if !l.together() {
			continue
		}
		for i, frame := range l.frames[:l.n] {
			l.address(frame, l.packets[i])
			w.outs = append(w.outs, tun.Packet{To: l.out.device, Data: frame})
		}
	}
	w.in.writer.WriteBatch(w.outs)
	outs := w.outs
	for _, l := range w.open {
		if l.together() {
			n := l.n
			w.settle(l, outs[:n])
			outs = outs[n:]
		}
	}
}

// together says whether there is something in the lane that can be written
// together with what others hold.
func (l *outLane) together() bool {
	return l.n > 0 && !l.alone && l.out.ethernet == 0
}

// settle counts what became of a lane's packets. A device that refuses a
// super-packet gets the next ones by itself, since what is sent in its place
// must not be overtaken.
func (w *worker) settle(l *outLane, outs []tun.Packet) {
	for i := range outs {
		err := outs[i].Err
		p := l.packets[i]
		switch {
		case err == nil:
		case p.segment != 0 && errors.Is(err, syscall.EINVAL):
			l.alone = true
			w.writeWhole(l, i)
		default:
			l.lose(p)
		}
	}
	l.n, l.wholes = 0, 0
	l.sent.packets.add(l.count)
	l.sent.octets.add(l.octets)
	l.count, l.octets = 0, 0
}
