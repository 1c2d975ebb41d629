package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umroute/bench/load"
	"umroute/cmd/umroute/internal/control"
)

// talk has a container receive what another one sends.
func (p *process) talk(from, to container, name string, group netip.AddrPort) {
	p.t.Helper()
	const count = 20
	flags := []string{"--group", group.Addr().String(), "--port", fmt.Sprint(group.Port()),
		"--interface", device, "--json"}
	receiver := p.inside(to, append([]string{"recv", "--count", fmt.Sprint(count)}, flags...)...)
	p.awaitJoined(name, group.Addr())
	sender := p.inside(from, append([]string{"send", "--rate", "200", "--count",
		fmt.Sprint(count)}, flags...)...)
	sender.wait()
	receiver.wait()
	var report load.ReceiveReport
	if err := json.Unmarshal([]byte(receiver.log.String()), &report); err != nil {
		p.t.Fatalf("recv --json: %v: %s", err, receiver.log.String())
	}
	if report.Received != count || report.Lost != 0 {
		p.t.Errorf("received %+v", report)
	}
}

// inside starts a umroute command in a container.
func (p *process) inside(c container, args ...string) *process {
	p.t.Helper()
	inner := &process{t: p.t, cmd: command(p.t, args...), ended: make(chan struct{}),
		place: fmt.Sprintf("/proc/%d/ns/net", c.pid)}
	inner.cmd.Stdout, inner.cmd.Stderr = &inner.log, os.Stderr
	inner.begin()
	return inner
}

// awaitGone waits until the router has no interface of that name.
func (p *process) awaitGone(name string) {
	p.t.Helper()
	eventually(p.t, name+" is removed", func() bool {
		for _, i := range show[[]control.Interface](p, "interfaces") {
			if i.Name == name {
				return false
			}
		}
		return true
	})
}

// TestAttach has a router without any capability take in containers of the
// same user, of each kind.
//
//	box1 ──mc0── router ──mc0── box2   ends and comes back
//	sends        nobody         receives
func TestAttach(t *testing.T) {
	t.Parallel()
	for name, engine := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			box1, box2 := engine(u), engine(u)
			p := u.startRouter()
			for name, box := range map[string]container{"box1": box1, "box2": box2} {
				u.run("attach", "--socket", p.socket, "--pid", fmt.Sprint(box.pid), name)
			}
			p.talk(box1, box2, "box2", netip.MustParseAddrPort("239.1.1.1:5001"))
			p.talk(box2, box1, "box1", netip.MustParseAddrPort("[ff15::1:1]:5002"))

			box2.end()
			p.awaitGone("box2")
			box2 = engine(u)
			u.run("attach", "--socket", p.socket, "--pid", fmt.Sprint(box2.pid), "box2")
			p.talk(box1, box2, "box2", netip.MustParseAddrPort("239.1.1.1:5001"))
			for _, name := range []string{"box1", "box2"} {
				u.run("detach", "--socket", p.socket, name)
			}
			p.awaitGone("box1")
			u.run("attach", "--socket", p.socket, "--pid", fmt.Sprint(box1.pid), "box1")
			p.stop()
		})
	}
}

// TestAttachForOthers has a router without any capability get the devices of
// network namespaces that are root's: root's command opens and passes them. The
// end of such a namespace is that of its name.
//
//	red ──mc0── router ──mc0── blue
//	root's      nobody         root's
func TestAttachForOthers(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	p := u.startRouter()
	args := func(s *station) []string {
		return []string{"attach", "--socket", p.socket, "--netns", s.netns,
			"--address", fmt.Sprintf("10.0.%d.1/24", s.number),
			"--address", fmt.Sprintf("fd00:%x::1/64", s.number),
			"--peer-address", s.v4.String() + "/24", "--peer-address", s.v6.String() + "/64", s.name}
	}
	if output, err := u.command(u.program, args(red)...).CombinedOutput(); err == nil {
		t.Errorf("nobody may open root's device: %s", output)
	} else if !strings.Contains(string(output), "not permitted") {
		t.Errorf("it is not said what was refused: %s", output)
	}
	for _, s := range stations {
		if stdout, stderr, status := run(t, args(s)...); status != statusDone ||
			!strings.HasPrefix(stdout, s.name+": mc0 in "+s.netns+", router 10.0.") {
			t.Fatalf("status %d: %s%s", status, stdout, stderr)
		}
	}
	for _, text := range []string{"239.1.1.1:5001", "[ff15::1:1]:5002"} {
		checkJoinWorks(p, red, blue, netip.MustParseAddrPort(text))
	}
	red.ping(blue.v4)
	if err := unix.Unmount("/run/netns/"+blue.netns, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	p.awaitGone("blue")
	if blue.hasDevice() {
		t.Error("the device is still there")
	}
	blue.netns = nameNetns(t, blue.Host)
	if stdout, stderr, status := run(t, args(blue)...); status != statusDone {
		t.Fatalf("status %d: %s%s", status, stdout, stderr)
	}
	checkJoinWorks(p, red, blue, netip.MustParseAddrPort("239.1.1.2:5003"))
	p.kill()
	eventually(t, "no device is left", func() bool { return !red.hasDevice() })
}

// TestAttachRefused attaches what cannot be attached. Nothing is left of it.
func TestAttachRefused(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	p := startRouter(t, configure(stations[0]))
	blue := []string{"attach", "--socket", p.socket, "--netns", stations[1].netns}
	tests := []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"blue"}, statusDone, ""},
		{[]string{"blue"}, statusFailed, "interface blue is there already"},
		{[]string{"red"}, statusFailed, "interface red is there already"},
		{[]string{"green"}, statusFailed, "already that of interface blue"},
		{[]string{"--device", "mc1", "--address", "10.0.1.9/24", "green"}, statusFailed,
			"overlaps 10.0.1.1/24 of interface red"},
		{[]string{"--device", "mc1", "--peer-address", "10.9.1.9/24", "green"}, statusFailed,
			"the router has no address of the family"},
		{[]string{"--device", "much/too", "green"}, statusFailed, "device"},
		{[]string{"--device", "lo", "green"}, statusFailed, "name exists"},
		{[]string{"a name"}, statusFailed, "is not a name"},
		{[]string{"--link", "wire", "green"}, statusFailed, "wire"},
		{[]string{"--address", "10.1.2.3", "green"}, statusUsage, "--address"},
		{[]string{"--pid", "1", "green"}, statusUsage, "either --pid or --netns"},
		{nil, statusUsage, "NAME"},
	}
	for _, test := range tests {
		_, stderr, status := run(t, append(blue, test.args...)...)
		if status != test.status || !strings.Contains(stderr, test.want) {
			t.Errorf("%q: status %d, %s", test.args, status, stderr)
		}
	}
	if got := len(show[[]control.Interface](p, "interfaces")); got != 2 {
		t.Errorf("%d interfaces, want 2", got)
	}
	_, stderr, status := run(t, "detach", "--socket", p.socket, "green")
	if status != statusFailed || !strings.Contains(stderr, `unknown interface "green"`) {
		t.Errorf("status %d, %s", status, stderr)
	}
	p.stop()
}

// TestAttachMany attaches hundreds of interfaces, whose addresses the router
// chooses, and detaches every second one; a flow reaches the last.
//
//	box ──mc0── router
//	    ──mc1──
//	     …
func TestAttachMany(t *testing.T) {
	const many = 300
	box := newStations(t, "box")[0]
	p := startRouter(t, "")
	attach := func(n int) {
		t.Helper()
		a := control.Attachment{Name: fmt.Sprint("link", n), Interface: fmt.Appendf(nil,
			`{"netns": %q, "device": "mc%d", "peer-routes": false}`, box.netns, n)}
		if _, err := p.control.Attach(t.Context(), a, nil); err != nil {
			t.Fatal(err)
		}
	}
	for n := range many {
		attach(n)
	}
	for n := 0; n < many; n += 2 {
		if err := p.control.Detach(t.Context(), fmt.Sprint("link", n)); err != nil {
			t.Fatal(err)
		}
	}
	attach(0)
	all := show[[]control.Interface](p, "interfaces")
	if len(all) != many/2+1 {
		t.Fatalf("%d interfaces, want %d", len(all), many/2+1)
	}
	seen := make(map[string]bool)
	for _, i := range all {
		for _, address := range append(i.Addresses, i.PeerAddresses...) {
			if seen[address] {
				t.Errorf("%s is given twice", address)
			}
			seen[address] = true
		}
	}
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	conn := box.listen(group)
	box.Join(conn, "mc299", group.Addr())
	p.awaitJoined("link299", group.Addr())
	t.Logf("VmRSS %d MiB with %d interfaces", p.memory()>>20, len(all))
	t.Logf("stopping took %v", p.stop())
}
