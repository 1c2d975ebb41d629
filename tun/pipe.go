package tun

import (
	"errors"
	"io"
	"os"
	"sync"
)

// DefaultPipeQueue is how many packets wait in each direction of a pipe.
const DefaultPipeQueue = 1024

// ErrPipeFull says that the other end has not read fast enough, so a packet
// was lost.
var ErrPipeFull = errors.New("pipe is full")

// errEmptyPacket is for what a kernel's device refuses with EINVAL.
var errEmptyPacket = errors.New("empty packet")

// PipeConfig describes both ends of a pipe.
type PipeConfig struct {
	// Kind is what both ends report. It also fixes the framing: Ethernet
	// frames with KindTAP, IP packets with KindTUN and KindPipe.
	Kind Kind
	// Names are the ends' names.
	Names [2]string
	// MTU is the IP MTU in octets; 0 means 1500. Longer packets pass: a
	// kernel's device takes them too.
	MTU int
	// Queue is how many packets wait in each direction, 1 or more; 0 means
	// DefaultPipeQueue.
	Queue int
}

// Pipe makes two devices that are connected: what is written to one is read
// from the other. Writes never wait. Once an end is closed, the other one still
// gives what was written before, and then io.EOF.
func Pipe(config PipeConfig) (Device, Device) {
	if config.MTU == 0 {
		config.MTU = DefaultMTU
	}
	if config.Queue <= 0 {
		config.Queue = DefaultPipeQueue
	}
	there, back := newPacketQueue(config.Queue), newPacketQueue(config.Queue)
	return &pipeEnd{config: config, name: config.Names[0], in: back, out: there},
		&pipeEnd{config: config, name: config.Names[1], in: there, out: back}
}

// pipeEnd is one end: it reads one queue and writes the other.
type pipeEnd struct {
	config  PipeConfig
	name    string
	in, out *packetQueue
}

var _ Device = (*pipeEnd)(nil)

func (e *pipeEnd) Read(bufs [][]byte, sizes []int) (int, error) {
	return e.in.take(bufs, sizes)
}

func (e *pipeEnd) Write(bufs [][]byte) (int, error) { return e.out.put(bufs) }

func (e *pipeEnd) Close() error {
	e.in.closeReader()
	e.out.closeWriter()
	return nil
}

func (e *pipeEnd) Name() string { return e.name }
func (e *pipeEnd) Kind() Kind   { return e.config.Kind }
func (e *pipeEnd) MTU() int     { return e.config.MTU }
func (e *pipeEnd) IO() string   { return IOVectored }

// packetQueue is a bounded ring of packets. It owns its buffers and keeps them,
// so that a pipe in use allocates nothing.
type packetQueue struct {
	mu      sync.Mutex
	filled  sync.Cond
	packets [][]byte
	head    int // the oldest packet
	count   int

	readerClosed, writerClosed bool
}

// newPacketQueue has room for capacity packets of any length.
func newPacketQueue(capacity int) *packetQueue {
	q := &packetQueue{packets: make([][]byte, capacity)}
	q.filled.L = &q.mu
	return q
}

// take waits for a packet and copies out as many as are there. A packet longer
// than its buffer is cut.
func (q *packetQueue) take(bufs [][]byte, sizes []int) (int, error) {
	if len(bufs) == 0 || len(sizes) < len(bufs) {
		return 0, errNoRoom
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.count == 0 && !q.readerClosed && !q.writerClosed {
		q.filled.Wait()
	}
	switch {
	case q.readerClosed:
		return 0, os.ErrClosed
	case q.count == 0:
		return 0, io.EOF
	}
	n := min(len(bufs), q.count)
	for i := range n {
		sizes[i] = copy(bufs[i], q.packets[q.head])
		q.head = (q.head + 1) % len(q.packets)
	}
	q.count -= n
	return n, nil
}

// put copies the packets in for which there is room. As on a link, the ones
// that find none are lost, and not the ones that wait.
func (q *packetQueue) put(bufs [][]byte) (n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.writerClosed:
		return 0, os.ErrClosed
	case q.readerClosed:
		return 0, io.ErrClosedPipe
	}
	for _, b := range bufs {
		switch {
		case len(b) == 0:
			err = firstError(err, errEmptyPacket)
		case q.count == len(q.packets):
			err = firstError(err, ErrPipeFull)
		default:
			tail := (q.head + q.count) % len(q.packets)
			q.packets[tail] = append(q.packets[tail][:0], b...)
			q.count++
			n++
		}
	}
	if n > 0 {
		q.filled.Signal()
	}
	return n, err
}

// closeReader ends the reading side: its Read, and the writer's wish to write.
func (q *packetQueue) closeReader() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.readerClosed = true
	q.filled.Broadcast()
}

// closeWriter ends the writing side. What is in the queue can still be read.
func (q *packetQueue) closeWriter() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writerClosed = true
	q.filled.Broadcast()
}

func firstError(first, next error) error {
	if first != nil {
		return first
	}
	return next
}
