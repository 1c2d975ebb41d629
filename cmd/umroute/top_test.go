package main

import (
	"net/netip"
	"strings"
	"testing"
)

// TestTopLines follows a router with a stream where there is no terminal.
//
//	red ──mc0── router ──mc0── blue
//	sends                      receives
func TestTopLines(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	p := startRouter(t, configure(stations...))
	top := &process{t: t, ended: make(chan struct{}), cmd: command(t, "top", "--socket", p.socket)}
	top.cmd.Stdout = &top.log
	top.begin()
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	red.startStream(group)
	blue.receive(group)
	for _, want := range []string{`msg="interface opened"`, "if=blue", "flows=1 groups=1",
		"interface if=red up=true rx="} {
		eventually(t, want, func() bool { return top.log.contains(want) })
	}
	eventually(t, "a rate above zero", func() bool {
		for line := range strings.Lines(top.log.String()) {
			_, rate, found := strings.Cut(line, "if=blue up=true rx=0/s tx=")
			if found && !strings.HasPrefix(rate, "0/s") {
				return true
			}
		}
		return false
	})
	p.stop()
	top.wait()
	if code := top.cmd.ProcessState.ExitCode(); code != statusFailed {
		t.Errorf("exit status %d when the router ended", code)
	}
	_, stderr, status := run(t, "top", "--seconds", "-1")
	if status != statusUsage || stderr == "" {
		t.Errorf("--seconds -1: status %d, %s", status, stderr)
	}
}
