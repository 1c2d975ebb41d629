package tun_test

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

// next is the next event of a link.
func next(t *testing.T, link *tun.Link) tun.Event {
	t.Helper()
	select {
	case event, ok := <-link.Events():
		if !ok {
			t.Fatal("events have ended")
		}
		return event
	case <-time.After(patience):
		t.Fatal("no event")
	}
	return tun.Event{}
}

func TestEvents(t *testing.T) {
	host := netnstest.NewHost(t)
	link := open(t, peerConfig(host, tun.KindTUN))
	steps := []struct {
		command []string
		want    tun.Event
		up      bool
	}{
		{[]string{"link", "set", "mc0", "down"}, tun.Event{Type: tun.EventDown, MTU: 1500}, false},
		{[]string{"link", "set", "mc0", "mtu", "1300"},
			tun.Event{Type: tun.EventMTU, MTU: 1300}, false},
		{[]string{"link", "set", "mc0", "up"}, tun.Event{Type: tun.EventUp, MTU: 1300}, true},
		{[]string{"link", "del", "mc0"}, tun.Event{Type: tun.EventDown, MTU: 1300}, false},
	}
	for _, step := range steps {
		host.Run("ip", step.command...)
		if got := next(t, link); got != step.want {
			t.Errorf("after %v: %v, mtu %d; want %v, mtu %d",
				step.command, got.Type, got.MTU, step.want.Type, step.want.MTU)
		}
		if link.Up() != step.up || link.MTU() != step.want.MTU {
			t.Errorf("after %v: up %v, mtu %d", step.command, link.Up(), link.MTU())
		}
	}
	if got := next(t, link); got.Type != tun.EventRemoved {
		t.Errorf("at last: %v, want %v", got.Type, tun.EventRemoved)
	}
}

// TestEventsNobodyTakes has more of them than wait, and the last one counts.
func TestEventsNobodyTakes(t *testing.T) {
	host := netnstest.NewHost(t)
	link := open(t, peerConfig(host, tun.KindTUN))
	for range 20 {
		host.Run("ip", "link", "set", "mc0", "down")
		host.Run("ip", "link", "set", "mc0", "up")
	}
	host.Run("ip", "link", "del", "mc0")
	for next(t, link).Type != tun.EventRemoved {
	}
}

func TestEventsEndWithTheLink(t *testing.T) {
	host := netnstest.NewHost(t)
	link := open(t, peerConfig(host, tun.KindTUN))
	link.Close()
	for event := range link.Events() {
		t.Errorf("event %v of a closed link", event.Type)
	}
}

func TestDeletedDevice(t *testing.T) {
	for _, io := range ioModes {
		t.Run(io, func(t *testing.T) {
			needIO(t, io)
			host := netnstest.NewHost(t)
			config := peerConfig(host, tun.KindTUN)
			config.IO = io
			link := open(t, config)
			ended := make(chan error, 1)
			go func() {
				_, err := readFrom(link, "what never comes")
				ended <- err
			}()
			send(t, host, "udp4", "239.1.1.1:5000", "something else")
			host.Run("ip", "link", "del", "mc0")
			err := <-ended
			if !errors.Is(err, unix.EBADFD) || errors.Is(err, os.ErrClosed) {
				t.Errorf("Read of a deleted device: %v, want %v", err, unix.EBADFD)
			}
			n, err := link.Write([][]byte{packetTo("239.1.1.1:5000")})
			if n != 0 || !errors.Is(err, unix.EBADFD) {
				t.Errorf("Write to a deleted device: %d, %v", n, err)
			}
		})
	}
}

// TestDeletedDeviceWithoutWatch has only the descriptor to learn it from.
func TestDeletedDeviceWithoutWatch(t *testing.T) {
	host := netnstest.NewHost(t)
	link := fromDescriptor(t, host, unix.IFF_TUN|unix.IFF_NO_PI)
	ended := make(chan error, 1)
	go func() {
		_, err := readFrom(link, "what never comes")
		ended <- err
	}()
	host.Run("ip", "link", "set", "lent0", "up")
	host.Run("ip", "link", "del", "lent0")
	if err := <-ended; !errors.Is(err, unix.EBADFD) {
		t.Errorf("Read of a deleted device: %v, want %v", err, unix.EBADFD)
	}
}

func TestDeviceThatIsDown(t *testing.T) {
	for _, io := range ioModes {
		t.Run(io, func(t *testing.T) {
			needIO(t, io)
			host := netnstest.NewHost(t)
			config := peerConfig(host, tun.KindTUN)
			config.IO = io
			link := open(t, config)
			host.Run("ip", "link", "set", "mc0", "down")
			packet := packetTo("239.1.1.1:5000")
			n, err := link.Write([][]byte{packet, packet})
			if n != 0 || !errors.Is(err, unix.EIO) {
				t.Errorf("Write: %d, %v; want 0, %v", n, err, unix.EIO)
			}
			host.Run("ip", "link", "set", "mc0", "up")
			n, err = link.Write([][]byte{packet, {}, packet})
			if n != 2 || !errors.Is(err, unix.EINVAL) {
				t.Errorf("Write with an empty packet: %d, %v; want 2, %v", n, err, unix.EINVAL)
			}
			for next(t, link).Type != tun.EventUp {
			}
			send(t, host, "udp4", "239.1.1.1:5000", "up again")
			mustRead(t, link, "up again")
		})
	}
}

// TestMovedDevice goes on working where the device has gone.
func TestMovedDevice(t *testing.T) {
	host, other := netnstest.NewHost(t), netnstest.NewHost(t)
	link := open(t, peerConfig(host, tun.KindTUN))
	moveTo(t, host, other, "mc0")
	other.Run("ip", "addr", "add", "10.0.1.2/24", "dev", "mc0")
	other.Run("ip", "link", "set", "mc0", "up")
	other.Run("ip", "route", "add", "224.0.0.0/4", "dev", "mc0")
	send(t, other, "udp4", "239.1.1.1:5000", "from elsewhere")
	mustRead(t, link, "from elsewhere")
}

// packetTo is a packet from the router's address.
func packetTo(group string) []byte {
	return udp4(netip.MustParseAddrPort("10.0.1.1:4000"), netip.MustParseAddrPort(group), 5, "hello")
}

// TestOverflows sends more than the queue to the router takes.
func TestOverflows(t *testing.T) {
	links := map[string]func(t *testing.T) (*netnstest.Host, *tun.Link){
		"tun": func(t *testing.T) (*netnstest.Host, *tun.Link) {
			host := quiet(t)
			config := quietConfig(host, "")
			config.TxQueueLen = 10
			return host, open(t, config)
		},
		"packet": func(t *testing.T) (*netnstest.Host, *tun.Link) {
			v := newVeth(t)
			return v.Host, openVeth(t, v, "")
		},
	}
	for name, make := range links {
		t.Run(name, func(t *testing.T) {
			host, link := make(t)
			if n := link.Overflows(); n != 0 {
				t.Errorf("%d in the beginning", n)
			}
			sent := 0
			overflowed := false
			for deadline := time.Now().Add(patience); !overflowed && time.Now().Before(deadline); {
				for range 100 {
					send(t, host, "udp4", "239.1.1.1:5000", "too many")
					sent++
				}
				overflowed = link.Overflows() > 0
			}
			if n := link.Overflows(); n == 0 || n > uint64(sent) {
				t.Errorf("%d of %d overflowed", n, sent)
			}
			if name == "tun" && link.Overflows() != uint64(sent-10) {
				t.Errorf("%d of %d overflowed, want all but 10", link.Overflows(), sent)
			}
		})
	}
}
