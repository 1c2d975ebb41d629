package main

import (
	"bufio"
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"umroute/cmd/umroute/internal/control"
)

// TestWatchGroups follows "show groups --watch --json" while a host joins and
// leaves: each change is a line, and nothing else is.
func TestWatchGroups(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	blue := stations[1]
	p := startRouter(t, configure(stations...))
	cmd := command(t, "show", "--socket", p.socket, "groups", "--watch", "--json")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	}()
	lines := make(chan []control.Group)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			var groups []control.Group
			if err := json.Unmarshal(scanner.Bytes(), &groups); err != nil {
				t.Error(err)
				return
			}
			lines <- groups
		}
	}()
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	await := func(want bool) {
		t.Helper()
		late := time.After(patience)
		for {
			select {
			case groups, open := <-lines:
				if !open {
					t.Fatal("the watch has ended")
				}
				if hasGroup(groups, group.Addr()) == want {
					return
				}
			case <-late:
				t.Fatalf("no line with the group there: %v", want)
			}
		}
	}
	await(false)
	conn := blue.join(group)
	await(true)
	conn.Close()
	await(false)
	p.stop()
	for range lines {
	}
	_ = cmd.Wait() // the exit status tells
	if code := cmd.ProcessState.ExitCode(); code != statusFailed {
		t.Errorf("exit status %d when the router ended", code)
	}
}

func hasGroup(groups []control.Group, group netip.Addr) bool {
	for _, g := range groups {
		if g.Group == group.String() {
			return true
		}
	}
	return false
}
