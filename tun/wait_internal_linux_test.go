package tun

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"umroute/tun/netns/netnstest"
)

func TestPause(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fd := int(r.Fd())
	if pause(fd) {
		t.Error("goes on where nothing came")
	}
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if !pause(fd) {
		t.Error("does not go on where something is there")
	}
	paused.Add(maxPaused)
	if pause(fd) {
		t.Error("goes on though too many wait")
	}
	paused.Add(-maxPaused)
	if n := paused.Load(); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

// TestBusyRead takes packets and an end in the way that a busy link waits.
func TestBusyRead(t *testing.T) {
	cause := errors.New("the namespace was deleted")
	ends := map[string]struct {
		end  func(*Link) error
		want error
	}{
		"close": {(*Link).Close, os.ErrClosed},
		"gone":  {func(l *Link) error { l.fail(cause); return nil }, cause},
	}
	for name, test := range ends {
		t.Run(name, func(t *testing.T) {
			host := netnstest.NewHost(t)
			link, err := Open(Config{Netns: host.Netns(), PeerRoutes: true,
				PeerAddresses: []netip.Prefix{netip.MustParsePrefix("10.0.1.2/24")}})
			if err != nil {
				t.Fatal(err)
			}
			defer link.Close()
			ended := make(chan error, 1)
			go func() { ended <- readBusily(link) }()
			host.Do(func() error {
				conn, err := net.Dial("udp4", "239.1.1.1:5000")
				if err != nil {
					return err
				}
				defer conn.Close()
				_, err = conn.Write([]byte("wake up"))
				return err
			})
			if err := test.end(link); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				if !errors.Is(err, test.want) {
					t.Errorf("Read: %v, want %v", err, test.want)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("Read goes on")
			}
		})
	}
}

// readBusily reads without ever waiting at the poller.
func readBusily(l *Link) error {
	bufs, sizes := [][]byte{make([]byte, 2048)}, []int{0}
	for {
		l.batch.busy = true
		if _, err := l.Read(bufs, sizes); err != nil {
			return err
		}
	}
}
