package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"umroute/cmd/umroute/internal/control"
)

// TestLogFaults has routers whose log cannot be written: the disk is full, or
// nobody reads it any more. They route all the same.
//
//	red ──mc0── router ──mc0── blue
func TestLogFaults(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	read, unread, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer unread.Close()
	read.Close()
	for what, log := range map[string]*os.File{"full": full, "unread": unread} {
		stations := newStations(t, "red", "blue")
		socket := filepath.Join(t.TempDir(), "router.sock")
		p := &process{t: t, socket: socket, control: control.Dial(socket),
			ended: make(chan struct{})}
		p.cmd = command(t, "run", "--socket", socket, "-c", writeConfig(t, configure(stations...)))
		p.cmd.Stderr = log
		p.begin()
		eventually(t, "the router answers", func() bool {
			if p.hasEnded() {
				t.Fatalf("%s: the router ended: %v", what, p.cmd.ProcessState)
			}
			return p.control.Show(t.Context(), "stats", new(control.Stats)) == nil
		})
		checkJoinWorks(p, stations[0], stations[1], netip.MustParseAddrPort("239.1.1.1:5001"))
		stations[1].Run("ip", "link", "set", device, "down") // which is logged
		eventually(t, "blue is down", func() bool { return !p.iface("blue").Up })
		p.stop()
	}
}
