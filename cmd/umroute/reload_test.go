package main

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"umroute/cmd/umroute/internal/control"
)

// configPath is the file that a router was started with.
func (p *process) configPath() string {
	return p.cmd.Args[slices.Index(p.cmd.Args, "-c")+1]
}

// rewrite puts another configuration into the router's file.
func (p *process) rewrite(text string) {
	p.t.Helper()
	if err := os.WriteFile(p.configPath(), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// reload has the router read another configuration, which is right.
func (p *process) reload(text, want string) {
	p.t.Helper()
	p.rewrite(text)
	stdout, stderr, status := run(p.t, "reload", "--socket", p.socket)
	if status != statusDone || strings.TrimSpace(stdout) != want {
		p.t.Fatalf("status %d, %q %s; want %q", status, stdout, stderr, want)
	}
}

// TestReload changes a configuration, by command and by signal, while two
// interfaces that stay as they are carry a stream. It loses nothing.
//
//	red ──mc0── router ──mc0── blue
//	sends         └────mc0── green    comes, changes and goes
func TestReload(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue", "green")
	red, blue, green := stations[0], stations[1], stations[2]
	p := startRouter(t, configure(red, blue))
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	receiver := blue.receive(group)
	p.awaitJoined("blue", group.Addr())
	st := red.startStream(group)
	p.awaitOutputs(red.v4, group.Addr(), "blue")

	p.reload(configure(red, blue), "no interface differs")
	p.reload(configure(blue, green, red), "added green")
	checkJoinWorks(p, red, green, netip.MustParseAddrPort("[ff15::1:1]:5002"))
	conn := green.join(group)
	p.awaitOutputs(red.v4, group.Addr(), "blue", "green")

	green.more = "boundary: [239.1.0.0/16]"
	p.reload(configure(red, blue, green), "modified green")
	p.awaitOutputs(red.v4, group.Addr(), "blue")
	green.more = "igmp: {version: 2}, ttl-threshold: 3"
	p.reload(configure(red, blue, green), "modified green")
	p.awaitOutputs(red.v4, group.Addr(), "blue", "green")
	if i := p.iface("green"); i.IGMP.Version != 2 || i.Threshold != 3 {
		t.Errorf("green has %+v", i)
	}

	green.more = "mtu: 1400"
	p.reload(configure(red, blue, green), "opened anew green")
	green.joinClassic(conn, netip.MustParseAddr("239.1.1.9"))
	p.awaitJoined("green", netip.MustParseAddr("239.1.1.9"))
	if i := p.iface("green"); i.MTU != 1400 || i.IGMP.Version != 3 {
		t.Errorf("green has %+v", i)
	}
	p.rewrite(strings.ReplaceAll(configure(red, blue, green), "green:", "lime:"))
	p.signal(syscall.SIGHUP)
	eventually(t, "green is lime", func() bool { return p.names() == "blue lime red" })
	p.reload(configure(red, blue), "removed lime")
	if green.hasDevice() {
		t.Error("the device of an interface that was removed is still there")
	}
	checkWhole(t, receiver, st.end())
	p.stop()
}

// names are the names of the interfaces, sorted.
func (p *process) names() string {
	p.t.Helper()
	var names []string
	for _, i := range show[[]control.Interface](p, "interfaces") {
		names = append(names, i.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// TestReloadRefused reloads configurations that are wrong, or that the machine
// cannot follow. Nothing changes, and a stream loses nothing.
//
//	red ──mc0── router ──mc0── blue
//	sends                      receives
func TestReloadRefused(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue", "green")
	red, blue, green := stations[0], stations[1], stations[2]
	blue.Run("ip", "tuntap", "add", "dev", device, "mode", "tun")
	p := startRouter(t, configure(red, blue))
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	receiver := blue.receive(group)
	p.awaitJoined("blue", group.Addr())
	st := red.startStream(group)
	before := show[[]control.Interface](p, "interfaces")

	good := configure(red, blue)
	_, _, status := run(t, "attach", "--socket", p.socket, "--netns", green.netns, "--address",
		"10.7.0.1/24", "green")
	if status != statusDone {
		t.Fatal("green is not attached")
	}
	const more = "  lime: {netns: nosuch}\n"
	tests := []struct {
		name, config string
		status       int
		want         string
	}{
		{"wrong key", good + "  lime: {colour: red}\n", statusUsage, "router.yaml:4:10: unknown key"},
		{"not YAML", good + "  lime: {[\n", statusUsage, "router.yaml:"},
		{"empty", "", statusUsage, "no interfaces"},
		{"no such namespace", good + more, statusFailed, "nosuch"},
		{"one of two", good + "  pink: {device: mc7}\n" + more, statusFailed, "nosuch"},
		{"elsewhere", strings.Replace(good, "netns: "+blue.netns, "netns: nosuch", 1),
			statusFailed, "nosuch"},
		{"of a name attached", configure(red, blue, green), statusUsage, "umroute detach green"},
		{"overlap", good + "  lime: {device: mc7, addresses: [10.7.0.9/16]}\n", statusUsage,
			"overlaps"},
		{"restart", good + "log: {format: json}\n", statusUsage, "a restart is needed to change log"},
		{"descriptor", good + "  lime: {fd: 77}\n", statusUsage, "interfaces.lime.fd"},
		{"anew", strings.Replace(good, "netns: "+blue.netns, "link: tap, netns: "+blue.netns, 1),
			statusFailed, "the devices are as they were before"},
	}
	for _, test := range tests {
		if test.name == "anew" { // which blue does notice
			checkWhole(t, receiver, st.end())
		}
		p.rewrite(test.config)
		stdout, stderr, status := run(t, "reload", "--socket", p.socket)
		if status != test.status || !strings.Contains(stderr, test.want) || stdout != "" {
			t.Errorf("%s: status %d, %s%s", test.name, status, stdout, stderr)
		}
		if got := p.names(); got != "blue green red" {
			t.Errorf("%s: interfaces %s", test.name, got)
		}
	}
	p.rewrite(good + "  lime: {colour: blue}\n")
	p.signal(syscall.SIGHUP)
	eventually(t, "the signal is seen", func() bool {
		return strings.Count(p.log.String(),
			"unknown key \\\"colour") == 2
	})
	for _, i := range before {
		now := p.iface(i.Name)
		if now.Device != i.Device || !now.Up || now.MTU != i.MTU {
			t.Errorf("%s was %+v, is %+v", i.Name, i, now)
		}
	}
	checkJoinWorks(p, red, blue, netip.MustParseAddrPort("239.1.1.2:5003"))
	p.reload(good, "no interface differs")
	p.stop()
}

// TestReloadRevives has a configured interface whose device went away come back
// with a reload.
//
//	red ──mc0── router ──mc0── blue   loses its device
func TestReloadRevives(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	p := startRouter(t, configure(stations...))
	blue.Run("ip", "link", "del", device)
	eventually(t, "blue is down", func() bool { return !p.iface("blue").Up })
	p.reload(configure(stations...), "no interface differs")
	checkJoinWorks(p, red, blue, netip.MustParseAddrPort("239.1.1.1:5001"))

	blue.Run("ip", "link", "del", device)
	eventually(t, "blue is down", func() bool { return !p.iface("blue").Up })
	_, stderr, status := run(t, "attach", "--socket", p.socket, "--netns", blue.netns, "blue")
	if status != statusDone {
		t.Fatalf("status %d, %s", status, stderr)
	}
	checkJoinWorks(p, red, blue, netip.MustParseAddrPort("239.1.1.1:5001"))
	p.stop()
}
