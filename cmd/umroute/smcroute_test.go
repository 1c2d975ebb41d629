package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"umroute/cmd/umroute/internal/control"
)

// smcroutectl runs this program under the name of SMCRoute's.
func (p *process) smcroutectl(args ...string) (stdout, stderr string, status int) {
	p.t.Helper()
	cmd := command(p.t, append([]string{"-u", p.socket}, args...)...)
	cmd.Args[0] = "/usr/sbin/" + smcrouteName
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, exit := errors.AsType[*exec.ExitError](err); err != nil && !exit {
		p.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// mustSMCRoute runs it and wants success, and silence.
func (p *process) mustSMCRoute(args ...string) {
	p.t.Helper()
	if out, errs, status := p.smcroutectl(args...); status != 0 || out+errs != "" {
		p.t.Fatalf("smcroutectl %s: status %d, %s%s", strings.Join(args, " "), status, out, errs)
	}
}

// trial is a router with three hosts, as in the kernel's test of its multicast
// forwarding:
//
//	h1 ──mc0── rp1 router rp2 ──mc0── h2
//	                      rp3 ──mc0── h3
type trial struct {
	*process
	hosts []*station
	wires []*wire
}

func newTrial(t *testing.T) *trial {
	hosts := newStations(t, "rp1", "rp2", "rp3")
	v := &trial{process: startRouter(t, configure(hosts...)), hosts: hosts}
	for _, h := range hosts {
		v.wires = append(v.wires, h.watch(device))
	}
	return v
}

var trials atomic.Int64

// forwarded sends datagrams from h1, and wants each of them once on h2 and h3.
func (v *trial) forwarded(group netip.AddrPort) {
	v.t.Helper()
	for range 5 {
		payload := fmt.Sprintf("trial %d", trials.Add(1))
		v.hosts[0].send(group, payload, anyTTL)
		for _, w := range v.wires[1:] {
			w.await("a datagram to "+group.String(), carrying(payload))
		}
		v.settle()
		for n, w := range v.wires[1:] {
			if got := w.seen(carrying(payload)); len(got) != 1 {
				v.t.Errorf("%s came to h%d %d times", group, n+2, len(got))
			}
		}
	}
}

// settle waits until what h1 has sent has passed, or never will.
func (v *trial) settle() {
	v.t.Helper()
	for n, w := range v.wires[1:] {
		passThrough(v.process, v.hosts[0], v.hosts[n+1], w)
	}
}

// silent sends a datagram from h1, and wants it nowhere.
func (v *trial) silent(group netip.AddrPort) {
	v.t.Helper()
	payload := fmt.Sprintf("trial %d", trials.Add(1))
	v.hosts[0].send(group, payload, anyTTL)
	v.settle()
	v.nowhere(payload)
}

func (v *trial) nowhere(payload string) {
	v.t.Helper()
	for n, w := range v.wires {
		if got := w.seen(carrying(payload)); len(got) != 0 {
			v.t.Errorf("h%d got %+v", n+1, got)
		}
	}
}

// TestRouterMulticast drives the router by SMCRoute's commands through what the
// kernel's net/forwarding/router_multicast.sh tests: routes for a source, the
// wrong incoming interface, and a flow that was there before its route.
func TestRouterMulticast(t *testing.T) {
	t.Parallel()
	v := newTrial(t)
	for _, text := range []string{"225.1.2.3:12345", "[ff0e::3]:12345"} {
		group := netip.MustParseAddrPort(text)
		source := v.hosts[0].address(group.Addr()).String()
		g := group.Addr().String()
		t.Log("# a route for a source", text)
		v.silent(group)
		v.mustSMCRoute("add", "rp1", source, g, "rp2", "rp3")
		v.forwarded(group)
		v.wrongInterface(group)
		v.forwarded(group)
		v.mustSMCRoute("remove", "rp1", source, g, "rp2", "rp3") // nothing is left of it
		v.silent(group)
		v.mustSMCRoute("rem", "rp1", source, g)
		v.silent(group)
	}
	for _, text := range []string{"225.1.2.4:12345", "[ff0e::4]:12345"} {
		group := netip.MustParseAddrPort(text)
		g := group.Addr().String()
		t.Log("# a route that comes after its flow", text)
		v.silent(group)
		v.mustSMCRoute("add", "rp1", g, "rp2", "rp3")
		v.forwarded(group)
		v.mustSMCRoute("rem", "rp1", g)
		v.silent(group)
		any := "0.0.0.0"
		if group.Addr().Is6() {
			any = "::"
		}
		v.mustSMCRoute("add", "rp1", any, netip.PrefixFrom(group.Addr(), group.Addr().BitLen()-4).
			String(), "rp+")
		v.forwarded(group)
		v.mustSMCRoute("flush")
		v.forwarded(group)
		v.mustSMCRoute("rem", "rp+", netip.PrefixFrom(group.Addr(), group.Addr().BitLen()-4).
			String(), "rp2", "rp3")
		v.silent(group)
	}
	v.stop()
}

// wrongInterface has h2 send with the address of h1.
func (v *trial) wrongInterface(group netip.AddrPort) {
	v.t.Helper()
	payload := fmt.Sprintf("trial %d", trials.Add(1))
	from := netip.AddrPortFrom(v.hosts[0].address(group.Addr()), 5000)
	v.hosts[1].sendRaw(udpPacket(from, group, anyTTL, payload))
	passThrough(v.process, v.hosts[1], v.hosts[2], v.wires[2])
	v.nowhere(payload)
}

// TestSMCRouteShow prints and refuses as SMCRoute does.
func TestSMCRouteShow(t *testing.T) {
	t.Parallel()
	hosts := newStations(t, "eth0", "eth1")
	p := startRouter(t, configure(hosts...))
	p.mustSMCRoute("add", "eth0", "10.0.1.2", "225.1.2.3", "eth1")
	p.mustSMCRoute("add", "eth0", "225.3.0.0/16", "eth1")
	p.mustSMCRoute("join", "eth0", "10.0.1.2", "232.1.1.1")
	p.mustSMCRoute("join", "eth0", "225.1.2.0/30")
	want := []struct{ command, text string }{
		{"show", "(*, 225.3.0.0/16)                          eth0             eth1\n" +
			"(10.0.1.2, 225.1.2.3)                      eth0             eth1\n"},
		{"show groups", "(*, 225.1.2.0)                             eth0\n" +
			"(*, 225.1.2.1)                             eth0\n" +
			"(*, 225.1.2.2)                             eth0\n" +
			"(*, 225.1.2.3)                             eth0\n" +
			"(10.0.1.2, 232.1.1.1)                      eth0\n"},
		{"show int", "     1 eth0             1\n     2 eth1             1\n"},
	}
	for _, each := range want {
		out, errs, status := p.smcroutectl(append([]string{"-t"}, strings.Fields(each.command)...)...)
		if out != each.text || status != 0 {
			t.Errorf("%s: status %d, %s\n%s\nwant\n%s", each.command, status, errs, out, each.text)
		}
	}
	wrong := []struct {
		command string
		status  int
		says    string
	}{
		{"add nope 225.1.1.1 eth1", 1, "no interface nope"},
		{"add eth0 225.1.1.1 nope", 1, "no interface nope"},
		{"add eth0 10.0.0.1 eth1", 2, "eth1"},
		{"add eth0 225.1.1.1", 2, "outgoing"},
		{"add eth0 225.1.1.1 eth0", 1, "eth0 is its incoming and an outgoing interface"},
		{"add eth0 224.0.0.5 eth1", 1, "stays on its link"},
		{"remove eth0 225.5.5.5", 1, "225.5.5.5"},
		{"leave eth0 225.7.7.7", 1, "not joined"},
		{"join eth0", 2, "group"},
		{"bogus", 2, "unknown command"},
		{"s x", 2, "unknown view"},
		{"-x", 2, "flag"},
	}
	for _, each := range wrong {
		out, errs, status := p.smcroutectl(strings.Fields(each.command)...)
		if status != each.status || !strings.Contains(errs, each.says) || out != "" {
			t.Errorf("%s: status %d, want %d, %q, want %q", each.command, status, each.status, errs,
				each.says)
		}
	}
	p.mustSMCRoute("leave", "eth0", "225.1.2.0/30")
	if out, _, _ := p.smcroutectl("-t", "s", "g"); strings.Contains(out, "225.1.2") {
		t.Errorf("still joined:\n%s", out)
	}
	p.mustSMCRoute("kill")
	p.wait()
}

// TestSMCRouteFile runs a router with routes, groups and thresholds of a
// smcroute.conf.
func TestSMCRouteFile(t *testing.T) {
	t.Parallel()
	hosts := newStations(t, "rp1", "rp2", "rp3")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("routes.conf", "mroute from rp1 group 225.0.0.0/8 to rp2 rp+   # all but itself\n")
	file := write("smcroute.conf", "phyint rp3 enable ttl-threshold 20\n"+
		"mgroup from rp1 source 10.0.1.2 group 232.1.2.3\n"+
		"include *routes.conf\n")
	yaml := configure(hosts...) + "protocols: {static: {smcroute: " + file + "}}\n"
	v := &trial{hosts: hosts}
	for _, h := range hosts {
		h.more = ""
	}
	v.process = startRouter(t, yaml)
	group := netip.MustParseAddrPort("225.1.2.3:12345")
	near, far := hosts[1].watch(device), hosts[2].watch(device)
	hosts[0].send(group, "low", anyTTL)
	hosts[0].send(group, "high", 32)
	far.await("what is above the threshold", carrying("high"))
	near.await("what is above the other threshold", carrying("low"))
	if got := far.seen(carrying("low")); len(got) != 0 {
		t.Errorf("below the threshold: %v", got)
	}
	t.Log("# a threshold of a route alone")
	out, errs, status := run(t, "route", "add", "--socket", v.socket, "--in", "rp1", "--out", "rp2",
		"--out", "rp3", "--ttl-threshold", "40", "225.9.9.9")
	if status != 0 || out+errs != "" {
		t.Fatalf("route add: status %d, %s%s", status, out, errs)
	}
	strict := netip.MustParseAddrPort("225.9.9.9:12345")
	hosts[0].send(strict, "strict low", 40)
	hosts[0].send(strict, "strict high", 41)
	near.await("what is above the route's threshold", carrying("strict high"))
	if got := near.seen(carrying("strict low")); len(got) != 0 {
		t.Errorf("below the route's threshold: %v", got)
	}
	if _, errs, status := run(t, "route", "del", "--socket", v.socket, "225.9.9.9"); status != 0 {
		t.Errorf("route del: status %d, %s", status, errs)
	}
	var static control.Protocol
	for _, document := range show[[]control.Protocol](v.process, "protocols") {
		if document.Name == "static" && document.Family == "ipv4" {
			static = document
		}
	}
	if len(static.Interfaces) != 3 || static.Alerts["rpf"] == 0 || static.Joins < 2 ||
		len(static.Routes) != 1 || len(static.Groups) != 1 {
		t.Errorf("protocol static: %+v", static)
	}
	v.stop()
}
