package routing

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"

	"umroute/tun"
)

// link is a device in memory. What is written to it is kept; what Read gives
// comes in through deliver.
type link struct {
	kind    tun.Kind
	mtu     int
	refuse  int  // of each write, how many packets at its end are not taken
	simple  bool // does not know super-packets, though it says so
	offload tun.Offload
	supers  int // super-packets that single met
	in      chan [][]byte
	gone    chan error // what Read fails with

	mu   sync.Mutex
	sent [][]byte
}

var _ tun.Device = (*link)(nil)

func newLink(kind tun.Kind, mtu int) *link {
	return &link{kind: kind, mtu: mtu, in: make(chan [][]byte), gone: make(chan error, 1)}
}

func (l *link) Read(bufs [][]byte, sizes []int) (int, error) {
	select {
	case frames := <-l.in:
		for i, f := range frames {
			sizes[i] = copy(bufs[i], f)
		}
		return len(frames), nil
	case err := <-l.gone:
		return 0, err
	}
}

func (l *link) Write(bufs [][]byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.simple && len(bufs) == 1 && l.offload != tun.OffloadNone && bufs[0][1] != 0 {
		return 0, &os.PathError{Op: "write", Err: syscall.EINVAL}
	}
	n := max(0, len(bufs)-l.refuse)
	for _, b := range bufs[:n] {
		l.sent = append(l.sent, append([]byte(nil), b...))
	}
	if n < len(bufs) {
		return n, errors.New("queue full")
	}
	return n, nil
}

func (l *link) Close() error {
	select {
	case l.gone <- os.ErrClosed:
	default:
	}
	return nil
}

func (l *link) Name() string   { return "fake" }
func (l *link) Kind() tun.Kind { return l.kind }
func (l *link) MTU() int       { return l.mtu }
func (l *link) IO() string     { return "plain" }

func (l *link) Offload() tun.Offload { return l.offload }

// take gives what was written since the last call.
func (l *link) take() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := l.sent
	l.sent = nil
	return sent
}

// router is a forwarder with links in memory, driven without goroutines.
type router struct {
	*Forwarder
	t      testing.TB
	links  map[uint32]*link
	ifaces map[uint32]*Interface
}

func newRouter(t testing.TB, config Config) *router {
	return &router{
		Forwarder: New(config),
		t:         t,
		links:     make(map[uint32]*link),
		ifaces:    make(map[uint32]*Interface),
	}
}

// add attaches a link; a zero MTU is 1500, and a TAP gets a hardware address
// that ends with the index.
func (r *router) add(config InterfaceConfig, kind tun.Kind) *link {
	r.t.Helper()
	return r.addLink(config, newLink(kind, 1500))
}

// addLink is add for a link that is there.
func (r *router) addLink(config InterfaceConfig, l *link) *link {
	r.t.Helper()
	kind := l.kind
	config.Device = l
	if kind == tun.KindTAP {
		config.HardwareAddr = hardware(config.Index)
	}
	i, err := r.AddInterface(config)
	if err != nil {
		r.t.Fatal(err)
	}
	r.links[config.Index], r.ifaces[config.Index] = l, i
	return l
}

func hardware(index uint32) net.HardwareAddr {
	return net.HardwareAddr{2, 0, 0, 0, 0, byte(index)}
}

// deliver works as the worker of the interface does after a read.
func (r *router) deliver(index uint32, frames ...[]byte) {
	p := r.ifaces[index].port
	if p.worker == nil {
		p.worker = newWorker(r.Forwarder, p)
	}
	s := p.settings.Load()
	p.worker.full = true
	for len(p.worker.views) < len(frames) {
		p.worker.makeBuffers(s)
	}
	p.worker.makeBuffers(s)
	for i, f := range frames {
		p.worker.sizes[i] = copy(p.worker.views[i], f)
	}
	p.worker.work(len(frames), s)
}
