package main

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"umroute/cmd/umroute/internal/control"
)

// TestRestart kills a router and starts it again. The devices stay, whether
// others made them or the router did, so the hosts keep their memberships and
// notice nothing. A router that stops takes with it what it made.
//
//	red ──mc0── router ──mc0── blue
//	sends       killed         has joined once
func TestRestart(t *testing.T) {
	t.Parallel()
	for _, foreign := range []bool{true, false} {
		stations := newStations(t, "red", "blue")
		for _, s := range stations {
			if foreign {
				s.Run("ip", "tuntap", "add", "dev", device, "mode", "tun")
			}
		}
		p := startRouter(t, configure(stations...))
		p = checkCrash(t, p, stations[0], stations[1])
		p.stop()
		for _, s := range stations {
			if s.hasDevice() != foreign {
				t.Errorf("made by others %v, still there: %v", foreign, s.hasDevice())
			}
		}
	}
}

// checkCrash kills the router while blue receives from red, and wants the next
// one to forward without the hosts doing anything.
func checkCrash(t *testing.T, p *process, red, blue *station) *process {
	t.Helper()
	groups := []netip.AddrPort{
		netip.MustParseAddrPort("239.1.1.1:5001"), netip.MustParseAddrPort("[ff15::1:1]:5002"),
	}
	conns := make(map[netip.AddrPort]*net.UDPConn)
	for _, group := range groups {
		conns[group] = blue.join(group)
		p.awaitJoined("blue", group.Addr())
		red.send(group, "before", anyTTL)
		expect(t, conns[group], "before", red.address(group.Addr()))
	}
	p.kill()
	if _, err := os.Stat(p.socket); err != nil {
		t.Fatalf("a killed router left no socket: %v", err)
	}
	p = p.again()
	for _, group := range groups {
		p.awaitJoined("blue", group.Addr())
		red.send(group, "after", anyTTL)
		expect(t, conns[group], "after", red.address(group.Addr()))
	}
	return p
}

// hasDevice says whether the station has mc0.
func (s *station) hasDevice() (has bool) {
	s.t.Helper()
	s.Do(func() error {
		_, err := net.InterfaceByName(device)
		has = err == nil
		return nil
	})
	return has
}

// stopTime is the command's contract. It takes milliseconds.
const stopTime = 2 * time.Second

// TestStop ends a router by each signal that means so, with a listener, a
// stream and a command that watches.
//
//	red ──mc0── router ──mc0── blue
//	sends       stops          receives
func TestStop(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		stations := newStations(t, "red", "blue")
		red, blue := stations[0], stations[1]
		p := startRouter(t, configure(stations...))
		group := netip.MustParseAddrPort("239.1.1.1:5001")
		receiver := blue.receive(group)
		red.startStream(group)
		eventually(t, "traffic", func() bool { return receiver.Received() > 10 })
		watcher := &process{t: t, ended: make(chan struct{}),
			cmd: command(t, "show", "--socket", p.socket, "interfaces", "--watch", "--json")}
		watcher.cmd.Stdout = &watcher.log
		watcher.begin()
		eventually(t, "the watcher", func() bool { return watcher.log.contains(`"red"`) })

		begin := time.Now()
		p.signal(signal)
		p.wait()
		if took := time.Since(begin); took > stopTime {
			t.Errorf("%v took %v", signal, took)
		}
		if code := p.cmd.ProcessState.ExitCode(); code != statusDone {
			t.Errorf("%v: exit status %d", signal, code)
		}
		if _, err := os.Lstat(p.socket); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: the socket is still there: %v", signal, err)
		}
		for _, s := range stations {
			if s.hasDevice() {
				t.Errorf("%v: the device of %s is still there", signal, s.name)
			}
		}
		watcher.wait()
	}
}

// TestHangup sends the signal of a terminal that goes away.
//
//	router ──mc0── blue
func TestHangup(t *testing.T) {
	t.Parallel()
	blue := newStations(t, "blue")[0]
	p := startRouter(t, configure(blue))
	p.signal(syscall.SIGHUP)
	eventually(t, "a word about reloading", func() bool { return p.log.contains("reload") })
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	blue.join(group)
	p.awaitJoined("blue", group.Addr())
	p.stop()
}

// TestReadiness is the service manager that started the router (sd_notify(3)).
func TestReadiness(t *testing.T) {
	t.Parallel()
	blue := newStations(t, "blue")[0]
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	p := launch{config: configure(blue), env: []string{"NOTIFY_SOCKET=" + path,
		"WATCHDOG_USEC=20000"}}.start(t)
	await := func(want string) {
		t.Helper()
		eventually(t, want, func() bool {
			if err := manager.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 100)
			n, err := manager.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			return strings.HasPrefix(string(buf[:n]), want)
		})
	}
	await("READY=1")
	await("WATCHDOG=1")
	p.signal(syscall.SIGHUP)
	await("RELOADING=1\nMONOTONIC_USEC=")
	await("READY=1")
	await("WATCHDOG=1")
	p.signal(syscall.SIGTERM)
	await("STOPPING=1")
	p.wait()
}

// TestSameSocket starts a router where another one answers already.
//
//	router ──mc0── blue, which the second router leaves alone
func TestSameSocket(t *testing.T) {
	t.Parallel()
	blue := newStations(t, "blue")[0]
	p := startRouter(t, configure(blue))
	_, stderr, status := run(t, "run", "--socket", p.socket)
	if status != statusFailed || stderr == "" {
		t.Errorf("the second router: status %d, %s", status, stderr)
	}
	if show[control.Stats](p, "stats").PID != p.cmd.Process.Pid || !blue.hasDevice() {
		t.Error("the second router has disturbed the first")
	}
	p.stop()
}

// TestNothingLeft starts routers that cannot run. They make no device, or take
// back those that they have made.
func TestNothingLeft(t *testing.T) {
	t.Parallel()
	blue := newStations(t, "blue")[0]
	tests := []struct {
		name   string
		more   string
		status int
		want   string
	}{
		{"wrong key", "  red: {colour: red}\n", statusUsage, "router.yaml:3:"},
		{"wrong value", "  red: {mtu: many}\n", statusUsage, "router.yaml:3:"},
		{"no such namespace", "  red: {netns: nosuch}\n", statusFailed, "interface red"},
		{"no such process", "  red: {netns: \"pid:4194000\"}\n", statusFailed, "interface red"},
		{"no such descriptor", "  red: {fd: 99}\n", statusFailed, "interface red"},
	}
	for _, test := range tests {
		socket := filepath.Join(t.TempDir(), "router.sock")
		_, stderr, status := run(t, "run", "--socket", socket, "-c",
			writeConfig(t, configure(blue)+test.more))
		if status != test.status || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: status %d, %s", test.name, status, stderr)
		}
		if blue.hasDevice() {
			t.Errorf("%s: a device is left", test.name)
		}
		if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a socket is left: %v", test.name, err)
		}
	}
}
