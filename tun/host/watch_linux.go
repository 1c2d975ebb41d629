package host

import (
	"fmt"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/tun"
)

// eventBacklog is how many events wait to be taken.
const eventBacklog = 16

// subscriptionBuffer holds the changes of hundreds of devices, in octets.
const subscriptionBuffer = 1 << 20

// watch follows what becomes of the device and its addresses.
type watch struct {
	device    *Device
	done      chan struct{}
	links     chan netlink.LinkUpdate
	addresses chan netlink.AddrUpdate
	running   sync.WaitGroup
}

func startWatch(d *Device) (*watch, error) {
	w := &watch{device: d, done: make(chan struct{}),
		links:     make(chan netlink.LinkUpdate, eventBacklog),
		addresses: make(chan netlink.AddrUpdate, eventBacklog)}
	lost := func(err error) {
		d.config.Logger.Warn("changes of the host's device are not followed any more",
			"device", d.name, "err", err)
	}
	err := netlink.LinkSubscribeWithOptions(w.links, w.done, netlink.LinkSubscribeOptions{
		ErrorCallback: w.unlessDone(lost), ReceiveBufferSize: subscriptionBuffer})
	if err == nil {
		err = netlink.AddrSubscribeWithOptions(w.addresses, w.done, netlink.AddrSubscribeOptions{
			ErrorCallback: w.unlessDone(lost), ReceiveBufferSize: subscriptionBuffer})
	}
	if err != nil {
		close(w.done)
		return nil, fmt.Errorf("subscribe to changes of devices: %w", err)
	}
	w.running.Go(w.follow)
	return w, nil
}

// unlessDone leaves out what the end of the watch brings about.
func (w *watch) unlessDone(report func(error)) func(error) {
	return func(err error) {
		select {
		case <-w.done:
		default:
			report(err)
		}
	}
}

// stop ends the watch.
func (w *watch) stop() {
	close(w.done)
	w.running.Wait()
}

// follow takes everything until both channels are closed, since who writes into
// them waits.
func (w *watch) follow() {
	links, addresses := w.links, w.addresses
	for links != nil || addresses != nil {
		select {
		case update, open := <-links:
			if !open {
				links = nil
				continue
			}
			w.link(update)
		case update, open := <-addresses:
			if !open {
				addresses = nil
				continue
			}
			if update.LinkIndex == w.device.Index() {
				w.addressesChanged()
			}
		}
	}
}

// link takes in what became of a device.
func (w *watch) link(update netlink.LinkUpdate) {
	d, attributes := w.device, update.Attrs()
	index := int32(attributes.Index)
	switch {
	case update.Header.Type == unix.RTM_DELLINK && index == d.index.Load():
		w.removed()
	case update.Header.Type == unix.RTM_NEWLINK && index == d.index.Load():
		if attributes.Name != d.name {
			w.removed() // it has another name now
			return
		}
		if d.mtu.Swap(int32(attributes.MTU)) != int32(attributes.MTU) {
			w.emit(tun.EventMTU)
		}
		w.setUp(attributes.RawFlags&unix.IFF_UP != 0)
	case update.Header.Type == unix.RTM_NEWLINK && attributes.Name == d.name:
		w.returned()
	}
}

// removed notes that the device is gone. What is joined is kept in mind.
func (w *watch) removed() {
	w.device.index.Store(0)
	w.device.config.Logger.Warn("the host's device is gone", "device", w.device.name)
	w.setUp(false)
}

// returned takes a new device of the name.
func (w *watch) returned() {
	d := w.device
	was := d.up.Load()
	err := d.inspect()
	if err == nil {
		err = d.rejoin()
	}
	if err != nil {
		d.config.Logger.Warn("not all is received by the host's device that came back",
			"device", d.name, "err", err)
	}
	if up := d.up.Load(); up != was {
		d.up.Store(was)
		w.setUp(up)
	}
}

func (w *watch) setUp(up bool) {
	if w.device.up.Swap(up) == up {
		return
	}
	if up {
		w.emit(tun.EventUp)
	} else {
		w.emit(tun.EventDown)
	}
}

// addressesChanged reads the addresses anew. Sockets that are connected go on
// with the address that they were connected with, so they are opened anew.
func (w *watch) addressesChanged() {
	d := w.device
	link, err := netlink.LinkByIndex(d.Index())
	if err == nil {
		err = d.readAddresses(link)
	}
	if err != nil {
		d.config.Logger.Warn("the host's addresses are not known", "device", d.name, "err", err)
		return
	}
	d.sending.Lock()
	d.closeSenders()
	d.sending.Unlock()
	w.emit(tun.EventAddresses)
}

// emit makes room by forgetting the oldest event: the newest says what is.
func (w *watch) emit(kind tun.EventType) {
	event := tun.Event{Type: kind, MTU: w.device.MTU()}
	for {
		select {
		case w.device.events <- event:
			return
		default:
		}
		select {
		case <-w.device.events:
		default:
		}
	}
}
