package tun

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// overflowWait bounds how long the kernel may take to tell of a device, which
// it does in less than a millisecond.
const overflowWait = 100 * time.Millisecond

// overflow is what a link has lost because it was not read in time.
type overflow struct {
	mu    sync.Mutex    // one asks at a time
	told  chan struct{} // has something when the kernel has told
	ended chan struct{} // closed when it will not any more

	before uint64        // that the device had lost before it was opened
	lost   atomic.Uint64 // since then
}

func (o *overflow) init(before uint64) {
	o.told, o.ended, o.before = make(chan struct{}, 1), make(chan struct{}), before
}

// Overflows is how many packets the kernel has dropped since the link was
// opened, as the queue to the router was full: of a TUN or TAP its tx_dropped,
// which the queue's length bounds (see [Config.TxQueueLen]), of a packet link
// what its socket's buffer had no room for. Where the device is not watched a
// TUN or TAP tells of none.
func (l *Link) Overflows() uint64 {
	o := &l.overflow
	o.mu.Lock()
	defer o.mu.Unlock()
	if l.kind == KindPacket {
		o.lost.Add(l.packetOverflows())
	} else if l.watch.netlink != nil && !l.users.closed() && l.gone.Load() == nil {
		l.askOverflows()
	}
	return o.lost.Load()
}

// askOverflows has the kernel tell of the device.
func (l *Link) askOverflows() {
	o := &l.overflow
	select {
	case <-o.told: // earlier
	default:
	}
	l.watch.ask()
	late := time.NewTimer(overflowWait)
	defer late.Stop()
	select {
	case <-o.told:
	case <-o.ended:
	case <-late.C:
	}
}

// note takes the number from what the kernel tells of a device.
func (o *overflow) note(attributes []byte) {
	parsed, err := nl.ParseRouteAttr(attributes)
	if err != nil {
		return
	}
	const dropped = 7 * 8 // tx_dropped in struct rtnl_link_stats64
	for _, a := range parsed {
		if a.Attr.Type == unix.IFLA_STATS64 && len(a.Value) >= dropped+8 {
			o.lost.Store(nl.NativeEndian().Uint64(a.Value[dropped:]) - o.before)
		}
	}
	select {
	case o.told <- struct{}{}:
	default:
	}
}

// packetOverflows is how many packets a packet link has lost since the last
// call.
func (l *Link) packetOverflows() uint64 {
	if !l.users.enter() {
		return 0
	}
	defer l.users.leave()
	statistics, err := unix.GetsockoptTpacketStats(l.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0
	}
	return uint64(statistics.Drops)
}
