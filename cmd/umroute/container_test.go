package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"umroute/bench/load"
	"umroute/tun/netns/netnstest"
)

// nobody is the user, and the group, that routers without power run as.
const nobody = 65534

// powerless has a process run as an ordinary user of a user namespace below
// the one of the tests. A program that such a user starts has no capability,
// neither there nor above.
func powerless() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getgid(), Size: 1}},
	}
}

// checkPowerless looks whether the kernel agrees.
func (p *process) checkPowerless() {
	p.t.Helper()
	for _, set := range []string{"CapEff", "CapPrm", "CapInh", "CapAmb"} {
		if got := strings.Trim(p.status(set), "0"); got != "" {
			p.t.Errorf("%s of the router is %s, want none", set, got)
		}
	}
}

// openTUN is what the owner of a namespace does who lends its device: opens
// and configures it.
func (s *station) openTUN() *os.File {
	s.t.Helper()
	var fd int
	s.Do(func() (err error) {
		fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		request, err := unix.NewIfreq(device)
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	})
	file := os.NewFile(uintptr(fd), device)
	s.t.Cleanup(func() { file.Close() })
	s.Run("ip", "link", "set", device, "up")
	s.Run("ip", "addr", "add", s.v4.String()+"/24", "dev", device)
	s.Run("ip", "addr", "add", s.v6.String()+"/64", "dev", device)
	s.Run("ip", "route", "add", "default", "dev", device)
	s.Run("ip", "-6", "route", "add", "default", "dev", device)
	return file
}

// lent is the configuration of a station whose device came as a descriptor.
func (s *station) lent(fd int) string {
	return fmt.Sprintf("  %s: {fd: %d, addresses: [10.0.%d.1/24, \"fd00:%x::1/64\"]}\n",
		s.name, fd, s.number, s.number)
}

// TestDescriptors has a router without any capability, which others gave
// their devices to.
//
//	red ──mc0── fd 3 ┌ router ┐ fd 4 ──mc0── blue
//	sends            └ nobody ┘              receives
func TestDescriptors(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	p := launch{
		config: "interfaces:\n" + red.lent(3) + blue.lent(4),
		files:  []*os.File{red.openTUN(), blue.openTUN()},
		attr:   powerless(),
	}.start(t)
	p.checkPowerless()
	for _, text := range []string{"239.1.1.1:5001", "[ff15::1:1]:5002"} {
		group := netip.MustParseAddrPort(text)
		checkJoinWorks(p, red, blue, group)
		p.awaitLeft("blue", group.Addr())
		checkSilence(p, red, blue, group)
	}
	red.ping(blue.v4)
	red.ping(blue.v6)
	for i, s := range stations {
		if got := p.iface(s.name); got.Netns == "" || got.Device != device || got.MTU != 1500 {
			t.Errorf("interface %d: %+v", i, got)
		}
	}
	p.stop()
}

// asContainerEngine has this program start a container and then a router.
const asContainerEngine = "test-as-container-engine"

// processMark stands in a configuration for the number of the container's
// process, which is not known earlier.
const processMark = "CONTAINER"

// runContainerAndRouter is an ordinary user's shell: it starts a process in a
// user and a network namespace of its own, as "unshare -rn cat" does, and
// becomes a router for it. The container ends with its standard input.
func runContainerAndRouter(config, socket string) error {
	container := exec.Command("cat")
	container.Stdin = os.Stdin
	container.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if err := container.Start(); err != nil {
		return fmt.Errorf("start a container: %w", err)
	}
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	known := strings.ReplaceAll(string(text), processMark, fmt.Sprint(container.Process.Pid))
	if err := os.WriteFile(config, []byte(known), 0o644); err != nil {
		return err
	}
	args := []string{programName, "run", "-c", config, "--socket", socket}
	return syscall.Exec("/proc/self/exe", args, os.Environ())
}

// TestContainer has a router without any capability, which gets a device in
// the namespace of a container of the same user through its helper.
//
//	red ──mc0── fd 3 ┌ router ┐ helper ──mc0── container
//	sends            └ nobody ┘                pid:N, receives
func TestContainer(t *testing.T) {
	t.Parallel()
	red := newStations(t, "red")[0]
	input, life, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { life.Close() })
	p := launch{
		config: "interfaces:\n" + red.lent(3) + "  box: {netns: \"pid:" + processMark + "\", " +
			"addresses: [10.0.2.1/24, \"fd00:2::1/64\"], " +
			"peer-addresses: [10.0.2.2/24, \"fd00:2::2/64\"]}\n",
		files: []*os.File{red.openTUN()}, attr: powerless(), stdin: input,
		engine: true,
	}.start(t)
	input.Close()
	p.checkPowerless()
	number, found := strings.CutPrefix(p.iface("box").Netns, "pid:")
	if !found {
		t.Fatalf("interface %+v", p.iface("box"))
	}
	for _, text := range []string{"239.1.1.1:5001", "[ff15::1:1]:5002"} {
		receiveInContainer(p, red, number, netip.MustParseAddrPort(text))
	}
	life.Close()
	eventually(t, "the container's end is seen", func() bool { return !p.iface("box").Up })
	red.ping(netip.MustParseAddr("10.0.1.1"))
	p.stop()
}

// receiveInContainer runs "umroute recv" in the namespace of a process.
func receiveInContainer(p *process, red *station, number string, group netip.AddrPort) {
	p.t.Helper()
	const count = 20
	cmd := command(p.t, "recv", "--group", group.Addr().String(), "--port",
		fmt.Sprint(group.Port()), "--interface", device, "--count", fmt.Sprint(count), "--json")
	receiver := &process{t: p.t, cmd: cmd, ended: make(chan struct{}),
		place: fmt.Sprintf("/proc/%s/ns/net", number)}
	cmd.Stdout, cmd.Stderr = &receiver.log, os.Stderr
	receiver.begin()
	p.awaitJoined("box", group.Addr())
	st := red.startStream(group)
	receiver.wait()
	st.end()
	var report load.ReceiveReport
	if err := json.Unmarshal([]byte(receiver.log.String()), &report); err != nil {
		p.t.Fatalf("recv --json: %v", err)
	}
	if report.Received != count || report.Lost != 0 || len(report.Streams) != 1 ||
		report.Streams[0].Source != red.address(group.Addr()) {
		p.t.Errorf("received %+v", report)
	}
}

// TestForeignContainer asks for the namespace of a process that has more
// rights than the router, which the kernel must refuse.
func TestForeignContainer(t *testing.T) {
	t.Parallel()
	netnstest.Require(t)
	cmd := command(t, "run", "--socket", t.TempDir()+"/router.sock", "-c", writeConfig(t,
		fmt.Sprintf("interfaces: {box: {netns: \"pid:%d\"}}", os.Getpid())))
	cmd.SysProcAttr = powerless()
	output, err := cmd.CombinedOutput()
	exit, failed := errors.AsType[*exec.ExitError](err)
	if !failed || exit.ExitCode() != statusFailed {
		t.Fatalf("%v: %s", err, output)
	}
	if !strings.Contains(string(output), "interface box") ||
		!strings.Contains(string(output), "not permitted") &&
			!strings.Contains(string(output), "denied") {
		t.Errorf("the error does not say what was refused: %s", output)
	}
}
