package host_test

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"umroute/tun"
	"umroute/tun/host"
)

// TestDeviceReturns takes the host's device away and makes one of that name
// again: what was joined is received as before.
func TestDeviceReturns(t *testing.T) {
	l := newLAN(t)
	d := open(t, host.Config{Ports: []uint16{5004}})
	r := read(t, d)
	for _, group := range groups {
		if err := d.SetFilter(group.Addr(), true, nil); err != nil {
			t.Fatal(err)
		}
	}
	link, err := netlink.LinkByName(hostDevice)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		t.Fatal(err)
	}
	await(t, d, tun.EventDown)
	if d.Up() || d.Index() != 0 {
		t.Errorf("up %v, index %d after the device was removed", d.Up(), d.Index())
	}
	l.plug()
	await(t, d, tun.EventUp)
	for _, group := range groups {
		source := netip.AddrPortFrom(address(group.Addr()), 4711)
		conn := dial(t, l.Host, source, 9, 0)
		eventually(t, "a datagram to "+group.String(), func() bool {
			send(t, conn, group, "again")
			select {
			case p := <-r.packets:
				return look(t, p).Source == source.String()
			case <-time.After(50 * time.Millisecond):
				return false
			}
		})
	}
}

func await(t testing.TB, d *device, want tun.EventType) {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case event := <-d.Events():
			if event.Type == want {
				return
			}
		case <-timeout:
			t.Fatalf("no event %v for %v", want, patience)
		}
	}
}

// TestAddressChange has what is sent come from the host's new address.
func TestAddressChange(t *testing.T) {
	l := newLAN(t)
	d := open(t, host.Config{})
	group := groups[0]
	conn := l.listen(group)
	packet := pack(netip.AddrPortFrom(innerV4, 4711), group, 9, 0, 0, "hello")
	write(t, d, packet)
	if got := receive(t, conn).Source; got.Addr() != hostV4 {
		t.Errorf("sent from %v", got)
	}
	link, err := netlink.LinkByName(hostDevice)
	if err != nil {
		t.Fatal(err)
	}
	list, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err == nil {
		err = netlink.AddrDel(link, &list[0])
	}
	other := netip.MustParseAddr("192.168.7.9")
	if err == nil {
		err = configure(hostDevice, other)
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a datagram from the new address", func() bool {
		// There is no address for a moment, and no way then.
		n, _ := d.Write([][]byte{packet})
		return n == 1 && receive(t, conn).Source == netip.AddrPortFrom(other, 4711)
	})
	eventually(t, "the new address alone", func() bool {
		return contains(d.Addresses(), other) && !contains(d.Addresses(), hostV4)
	})
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Addr() == a && p.Bits() == 24 {
			return true
		}
	}
	return false
}

func TestClose(t *testing.T) {
	newLAN(t)
	d := open(t, host.Config{Ports: []uint16{5004}})
	if err := d.SetFilter(groups[0].Addr(), true, nil); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := d.Read([][]byte{make([]byte, 2000)}, []int{0})
		ended <- err
	}()
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read ended with %v", err)
	}
	source := netip.AddrPortFrom(innerV4, 4711)
	_, err := d.Write([][]byte{pack(source, groups[0], 9, 0, 0, "hello")})
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write gave %v", err)
	}
	if err := d.SetFilter(groups[0].Addr(), true, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("SetFilter gave %v", err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	l := newLAN(t)
	_, err := host.Open(host.Config{Device: "lan7"})
	wantError(t, err, "open host device lan7: Link not found")
	d := open(t, host.Config{Pairs: []netip.AddrPort{netip.MustParseAddrPort("239.2.2.2:5006")}})
	wantError(t, d.SetFilter(groups[0].Addr(), true, nil), "join 239.1.1.1 on lan0: no port is named")

	// A program that does not share its port.
	conn, err := netListen(t, "0.0.0.0:5006")
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, d.SetFilter(netip.MustParseAddr("239.2.2.2"), true, nil), "SO_REUSEADDR")
	conn.Close()
	if err := d.SetReceived(groups[1], true); err != nil {
		t.Error(err)
	}
	r := read(t, d)
	source := netip.AddrPortFrom(lanV6, 4711)
	send(t, dial(t, l.Host, source, 9, 0), groups[1], "hello")
	if got := look(t, r.next()).Source; got != source.String() {
		t.Errorf("received from %s", got)
	}
}

func wantError(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}
