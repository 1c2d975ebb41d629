package tun

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/tun/netns"
	"umroute/tun/netns/netnstest"
)

func TestWhole(t *testing.T) {
	broken := fmt.Errorf("list: %w", netlink.ErrDumpInterrupted)
	tests := []struct {
		name     string
		fails    int   // so many answers come with
		with     error // this
		asked    int
		complete bool
		want     error
	}{
		{"at once", 0, nil, 1, true, nil},
		{"second time", 1, broken, 2, true, nil},
		{"last time", dumpTries - 1, broken, dumpTries, true, nil},
		{"never", dumpTries, broken, dumpTries, false, nil},
		{"refused", 1, unix.EPERM, 1, false, unix.EPERM},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			asked := 0
			list, complete, err := whole(func() (int, error) {
				asked++
				if asked <= test.fails {
					return asked, test.with
				}
				return asked, nil
			})
			if asked != test.asked || list != asked || !errors.Is(err, test.want) {
				t.Errorf("asked %d times, list %d, error %v; want %d times, error %v",
					asked, list, err, test.asked, test.want)
			}
			if complete != test.complete {
				t.Errorf("complete %v, want %v", complete, test.complete)
			}
		})
	}
}

// TestOpenWhileAddressesChange lists addresses that come and go, and are too
// many for one part of an answer, of a device that has its own already.
func TestOpenWhileAddressesChange(t *testing.T) {
	host := netnstest.NewHost(t)
	host.Run("ip", "tuntap", "add", "mc0", "mode", "tun")
	var lo netlink.Link
	host.Do(func() (err error) {
		lo, err = netlink.LinkByName("lo")
		for i := 0; i < 500 && err == nil; i++ {
			err = netlink.AddrAdd(lo, loopbackAddr(2, i))
		}
		return err
	})
	var done atomic.Bool
	changed := make(chan error)
	go func() { changed <- netns.Do(host.Netns(), func() error { return churn(lo, &done) }) }()
	defer func() {
		done.Store(true)
		if err := <-changed; err != nil {
			t.Error(err)
		}
	}()
	for range 20 {
		link, err := Open(Config{
			Netns:         host.Netns(),
			PeerAddresses: []netip.Prefix{netip.MustParsePrefix("10.0.1.2/24")},
		})
		if err != nil {
			t.Fatal(err)
		}
		link.Close()
	}
}

// TestAddressLeftOut adds what the device has, and the list does not.
func TestAddressLeftOut(t *testing.T) {
	host := netnstest.NewHost(t)
	host.Run("ip", "tuntap", "add", "mc0", "mode", "tun")
	for _, text := range []string{"10.0.1.2/24", "fd00:1::2/64"} {
		host.Run("ip", "addr", "add", text, "dev", "mc0")
		for _, complete := range []bool{true, false} {
			var got error
			host.Do(func() error {
				link, err := findLink("mc0")
				if err == nil {
					got = addAddress(link, netip.MustParsePrefix(text), nil, complete)
				}
				return err
			})
			if errors.Is(got, unix.EEXIST) != complete || (got != nil) != complete {
				t.Errorf("%s, complete %v: %v", text, complete, got)
			}
		}
	}
}

// churn adds and deletes addresses until it is told that it is done.
func churn(lo netlink.Link, done *atomic.Bool) error {
	for i := 0; !done.Load(); i = (i + 1) % 250 {
		addr := loopbackAddr(1, i)
		if err := errors.Join(netlink.AddrAdd(lo, addr), netlink.AddrDel(lo, addr)); err != nil {
			return err
		}
	}
	return nil
}

// loopbackAddr is one of many in 127.0.0.0/8 (RFC 1122 section 3.2.1.3).
func loopbackAddr(set byte, i int) *netlink.Addr {
	addr := netip.AddrFrom4([4]byte{127, set, byte(i / 250), byte(1 + i%250)})
	return &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(addr, 32))}
}
