package routing

import (
	"errors"
	"syscall"

	"umroute/tun"
)

// flushLane writes what the lane holds: super-packets each by itself, since one
// that the device refuses can be sent in another way, all others together.
func (w *worker) flushLane(l *outLane) {
	from := 0
	for i := 0; l.wholes > 0; i++ {
		if l.packets[i].segment != 0 {
			l.writeSingles(from, i)
			w.writeWhole(l, i)
			l.wholes--
			from = i + 1
		}
	}
	l.writeSingles(from, l.n)
	l.sent.packets.add(l.count)
	l.sent.octets.add(l.octets)
	l.n, l.count, l.octets = 0, 0, 0
}

// writeSingles writes the packets from one position to another, all of them no
// super-packets. A device does not tell which packets it refused, so the last
// ones are taken to be those: a queue that is full usually stays full.
func (l *outLane) writeSingles(from, to int) {
	if from == to {
		return
	}
	if l.head != 0 {
		for i := from; i < to; i++ {
			l.address(l.frames[i], l.packets[i])
		}
	}
	taken, _ := l.write(l.frames[from:to])
	for _, p := range l.packets[from+taken : to] {
		l.lose(p)
	}
}

// writeWhole writes a super-packet. If the device says that it is none, it is
// sent datagram by datagram.
func (w *worker) writeWhole(l *outLane, i int) {
	p := l.packets[i]
	l.address(l.frames[i], p)
	taken, err := l.write(l.frames[i : i+1])
	if taken == 1 {
		return
	}
	if !errors.Is(err, syscall.EINVAL) {
		l.lose(p)
		return
	}
	l.sent.resent.add(1)
	for d := w.singles(p); d != nil; {
		first := d
		w.frames = w.frames[:0]
		for ; d != nil && len(w.frames) < cap(w.frames); d = d.next {
			frame := d.buf[d.start-l.head : d.end]
			l.address(frame, d)
			w.frames = append(w.frames, frame)
		}
		taken, _ := l.write(w.frames)
		for i := 0; first != d; i++ {
			if i >= taken {
				l.lose(first)
			}
			first = first.next
		}
	}
}

// lose counts a packet that was added to the lane and not taken by the device.
func (l *outLane) lose(p *packet) {
	l.count -= uint64(p.count)
	l.octets -= p.octets(l.out.ethernet)
	place := p.entry.place(l.port.slot)
	l.refuse(DropDevice, &p.entry.tally.unsent[place].refused, uint64(p.count))
}

// address writes what stands in front of the IP header of p, in a frame of it.
// It is done just before the frame is written: the links share the bytes of a
// packet, not these.
func (l *outLane) address(frame []byte, p *packet) {
	if l.out.header != 0 {
		p.putHeader(frame, l.out.ethernet)
	}
	if l.out.ethernet != 0 {
		putEthernet(frame[l.out.header:], l.out.hardware)
	}
}

// write gives frames to the device, and tells how many it took and why not all.
func (l *outLane) write(frames [][]byte) (taken int, err error) {
	n, err := l.out.device.Write(frames)
	return max(0, min(n, len(frames))), err
}

// sendFragments writes the fragments of d, which w.fragments holds. What is in
// the lane goes first, for the order. To the flow they are one packet, which is
// lost if one of them is.
func (w *worker) sendFragments(l *outLane, d *packet, place uint32) {
	w.flushLane(l)
	all := true
	for frames := w.fragments.next(l.head); len(frames) > 0; frames = w.fragments.next(l.head) {
		if l.out.ethernet != 0 {
			for _, frame := range frames {
				putEthernet(frame[l.out.header:], l.out.hardware)
			}
		}
		taken, _ := l.write(frames)
		for _, frame := range frames[:taken] {
			l.sent.octets.add(uint64(len(frame) - l.out.header))
		}
		l.sent.packets.add(uint64(taken))
		l.sent.drops[DropDevice].add(uint64(len(frames) - taken))
		all = all && taken == len(frames)
	}
	d.entry.tally.handed[place].add(1)
	if !all {
		d.entry.tally.unsent[place].refused.add(1)
	}
}

// The header of a packet that a lane writes fits into what is free before it.
const _ = uint(headroom - tun.VirtioHeaderLen - ethernetHeaderLen)
