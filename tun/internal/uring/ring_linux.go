package uring

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring makes batches of operations. It is for one goroutine at a time. Between
// two calls of Do the kernel knows nothing of what was queued.
type Ring struct {
	fd      int
	mapped  []byte // both queues, but for the entries
	slots   []byte // the submission entries
	entries []submission
	events  []completion

	submitted *uint32 // tail of the submission queue
	taken     *uint32 // head of the completion queue
	completed *uint32 // tail of the completion queue
	mask      uint32  // of the completion queue

	queued uint32
	first  uint32   // the tail when nothing was queued
	held   [][]byte // buffers of what is queued, which the kernel alone knows
}

// submission is struct io_uring_sqe of linux/io_uring.h, as reads and writes
// have it.
type submission struct {
	opcode, flags uint8
	priority      uint16
	fd            int32
	offset        uint64
	address       uint64
	length        uint32
	rwFlags       uint32
	user          uint64
	_             [3]uint64
}

// completion is struct io_uring_cqe.
type completion struct {
	user   uint64
	result int32
	flags  uint32
}

// parameters is struct io_uring_params.
type parameters struct {
	sqEntries, cqEntries, flags, threadCPU, threadIdle, features, workers uint32
	_                                                                     [3]uint32
	sq                                                                    struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

// Numbers of linux/io_uring.h and linux/fs.h.
const (
	opRead  = 22
	opWrite = 23

	setupSubmitAll     = 1 << 7 // 5.18
	setupCoopTaskrun   = 1 << 8 // 5.19
	featureSingleMmap  = 1 << 0 // 5.4
	enterGetEvents     = 1
	offsetRings        = 0
	offsetSubmissions  = 0x10000000
	noWait             = 0x8 // RWF_NOWAIT
	sizeOfSubmission   = int(unsafe.Sizeof(submission{}))
	sizeOfCompletion   = int(unsafe.Sizeof(completion{}))
	sizeOfQueuePointer = 4
)

// New makes a ring for batches of at least so many operations. Where there is
// no io_uring the error is ENOSYS, where it is forbidden EPERM, or whatever
// else stands in its way.
func New(operations int) (*Ring, error) {
	var p parameters
	fd, err := setup(uint32(operations), &p, setupSubmitAll|setupCoopTaskrun)
	if err == unix.EINVAL {
		fd, err = setup(uint32(operations), &p, 0)
	}
	if err != 0 {
		return nil, os.NewSyscallError("io_uring_setup", err)
	}
	r := &Ring{fd: fd}
	if err := r.mapQueues(&p); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func setup(entries uint32, p *parameters, flags uint32) (int, syscall.Errno) {
	*p = parameters{flags: flags}
	fd, _, err := unix.Syscall(unix.SYS_IO_URING_SETUP,
		uintptr(entries), uintptr(unsafe.Pointer(p)), 0)
	return int(fd), err
}

// mapQueues shares the queues with the kernel.
func (r *Ring) mapQueues(p *parameters) (err error) {
	unix.CloseOnExec(r.fd) // it is set already, since 5.1
	if p.features&featureSingleMmap == 0 {
		return fmt.Errorf("io_uring without IORING_FEAT_SINGLE_MMAP: %w", unix.ENOSYS)
	}
	size := max(int(p.sq.array+p.sqEntries*uint32(sizeOfQueuePointer)),
		int(p.cq.cqes)+int(p.cqEntries)*sizeOfCompletion)
	if r.mapped, err = r.share(offsetRings, size); err != nil {
		return err
	}
	r.slots, err = r.share(offsetSubmissions, int(p.sqEntries)*sizeOfSubmission)
	if err != nil {
		return err
	}
	r.entries = unsafe.Slice((*submission)(unsafe.Pointer(&r.slots[0])), p.sqEntries)
	r.events = unsafe.Slice((*completion)(unsafe.Pointer(&r.mapped[p.cq.cqes])), p.cqEntries)
	// Entry i of the queue is always submission i.
	order := unsafe.Slice(r.word(p.sq.array), p.sqEntries)
	for i := range order {
		order[i] = uint32(i)
	}
	r.submitted = r.word(p.sq.tail)
	r.taken, r.completed = r.word(p.cq.head), r.word(p.cq.tail)
	r.mask = *r.word(p.cq.mask)
	r.held = make([][]byte, p.sqEntries)
	return nil
}

func (r *Ring) share(offset int64, size int) ([]byte, error) {
	b, err := unix.Mmap(r.fd, offset, size,
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	return b, os.NewSyscallError("mmap of an io_uring", err)
}

func (r *Ring) word(offset uint32) *uint32 {
	return (*uint32)(unsafe.Pointer(&r.mapped[offset]))
}

// Room is how many operations may still be queued.
func (r *Ring) Room() int { return len(r.entries) - int(r.queued) }

// Read queues a read of a descriptor. There must be room.
func (r *Ring) Read(fd int, buf []byte) { r.queue(opRead, fd, buf) }

// Write queues a write. There must be room, and buf must stay until Do is over.
func (r *Ring) Write(fd int, buf []byte) { r.queue(opWrite, fd, buf) }

func (r *Ring) queue(opcode uint8, fd int, buf []byte) {
	at := (r.first + r.queued) & uint32(len(r.entries)-1)
	r.entries[at] = submission{
		opcode: opcode, fd: int32(fd), rwFlags: noWait, user: uint64(r.queued),
		address: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(buf)))), length: uint32(len(buf)),
	}
	r.held[r.queued] = buf
	r.queued++
}

// Do makes what was queued and sets, for each in turn, the octets that were
// read or written, or a negative errno. Results must have room for all. An
// error says that the ring is of no use any more.
func (r *Ring) Do(results []int32) error {
	n := r.queued
	r.queued = 0
	r.first += n
	atomic.StoreUint32(r.submitted, r.first)
	for left, head := n, *r.taken; n > 0; {
		// What never waits is over when the call returns, and the scheduler need
		// not know of it.
		done, _, err := unix.RawSyscall6(unix.SYS_IO_URING_ENTER,
			uintptr(r.fd), uintptr(left), 0, 0, 0, 0)
		if err == 0 {
			left -= uint32(done)
		} else if err != unix.EINTR && err != unix.EAGAIN && err != unix.EBUSY {
			return os.NewSyscallError("io_uring_enter", err)
		}
		for tail := atomic.LoadUint32(r.completed); head != tail; head++ {
			event := &r.events[head&r.mask]
			results[event.user] = event.result
			n--
		}
		atomic.StoreUint32(r.taken, head)
		if n > 0 && left == 0 {
			r.wait(n)
		}
	}
	return nil
}

// wait waits for operations that, against all expectations, were not made at once.
func (r *Ring) wait(n uint32) {
	_, _, _ = unix.Syscall6(unix.SYS_IO_URING_ENTER,
		uintptr(r.fd), 0, uintptr(n), enterGetEvents, 0, 0)
}

// Close gives the ring back to the kernel.
func (r *Ring) Close() error {
	for _, b := range [][]byte{r.mapped, r.slots} {
		if b != nil {
			_ = unix.Munmap(b) // it was mapped
		}
	}
	r.mapped, r.slots = nil, nil
	return unix.Close(r.fd)
}
