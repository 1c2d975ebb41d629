package tun

import (
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// busyGap is the longest time between packets of a link that is busy. It also
// is how long a busy link's Close may have to wait for its Read.
const busyGap = 50 * time.Millisecond

// fewPackets is the most that a busy link has between two waits. Where more
// come, they come faster than a reader is woken, and to wake it sooner would
// only make for more and smaller batches.
const fewPackets = 4

// yieldInterval is how long a busy reader goes on before it lets others run. A
// goroutine that does not for 10 ms has the runtime's monitor look every 20 us
// whether it sleeps in a system call.
const yieldInterval = 5 * time.Millisecond

// maxPaused is how many links of a process may wait on threads of their own:
// threads, once there, stay.
const maxPaused = 64

// paused is how many do.
var paused atomic.Int32

// readBatch waits for packets in one of two ways. Go's poller is woken first
// and wakes the reader then, which takes longer and costs more than everything
// else that a single packet needs, but an idle link holds no thread. The reader
// of a link with some traffic sleeps in a system call of its own instead.
func (l *Link) readBatch() error {
	b := &l.batch
	for b.busy {
		done, err := l.readBusy()
		if done || err != nil {
			return err
		}
	}
	began := time.Now()
	err := l.raw.Read(b.ready)
	b.taken = b.n
	b.busy = err == nil && b.taken <= fewPackets && time.Since(began) < busyGap
	return err
}

// readBusy takes packets, or waits for one where there is none yet.
func (l *Link) readBusy() (done bool, err error) {
	if !l.users.enter() {
		return false, os.ErrClosed
	}
	defer l.users.leave()
	if gone := l.gone.Load(); gone != nil {
		return false, *gone
	}
	b := &l.batch
	if l.readReady(uintptr(l.fd)) {
		b.taken += b.n
		return true, nil
	}
	// When there is nothing to do: no packet has to wait for it.
	if now := time.Now(); now.Sub(b.yielded) > yieldInterval {
		b.yielded = now
		runtime.Gosched()
	}
	b.busy = b.taken <= fewPackets && pause(l.fd)
	b.taken = 0
	return false, nil
}

// pause waits until a descriptor is readable, or for busyGap. It reports
// whether to go on like that.
func pause(fd int) bool {
	defer paused.Add(-1)
	if paused.Add(1) > maxPaused {
		return false
	}
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds[:], int(busyGap/time.Millisecond))
	return n > 0 || err == unix.EINTR
}

// readNow reads from a descriptor that never makes a reader wait. So the
// scheduler need not know, which is most of what a call costs.
func readNow(fd int, buf []byte) (int, syscall.Errno) {
	n, _, err := unix.RawSyscall(unix.SYS_READ,
		uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
	return int(n), err
}

// writeNow is the like for a write of a whole packet.
func writeNow(fd int, buf []byte) syscall.Errno {
	_, _, err := unix.RawSyscall(unix.SYS_WRITE,
		uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
	return err
}
