package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"umroute/bench"
	"umroute/bench/plan"
	"umroute/bench/result"
	"umroute/tun/netns/netnstest"
)

// shortly measures rows once.
func shortly(t *testing.T, engines []plan.Engine, rows ...plan.Row) []result.Sample {
	t.Helper()
	netnstest.Require(t)
	outcome, err := bench.Run(t.Context(), bench.Options{Engines: engines, Rows: rows, Repeats: 1,
		Duration: 20 * time.Millisecond, Warmup: 10 * time.Millisecond})
	if err != nil || len(outcome.Missing) > 0 {
		t.Fatalf("%v, missing %v", err, outcome.Missing)
	}
	return outcome.Samples
}

func benchEngine(t *testing.T, name string) []plan.Engine {
	t.Helper()
	engines, err := plan.SelectEngines(name)
	if err != nil {
		t.Fatal(err)
	}
	return engines
}

// TestBenchRouter measures this program's own router: throughput with what its
// hosts have joined, unicast beside, and joins and leaves.
func TestBenchRouter(t *testing.T) {
	plain := plan.Row{Oifs: 2, Size: 512, Flows: 3, Sender: plan.Plain, Receiver: plan.Plain}
	v6, mixed := plain, plain
	v6.IPv6, mixed.Flows = true, 1
	mixed.Test, mixed.Unicast = plan.MixedClass, 5
	join := plan.Row{Test: plan.JoinDelay, Oifs: 1, Size: 512, Flows: 1, Sender: plan.Plain,
		Receiver: plan.Plain, Rate: 2000, Protocol: plan.IGMPv3, FastLeave: true}
	leave := join
	leave.Test, leave.Protocol, leave.IPv6 = plan.LeaveDelay, plan.MLDv2, true
	for _, s := range shortly(t, benchEngine(t, plan.Router), plain, v6, mixed, join, leave) {
		m := s.Measured()
		if s.Row.Joins() {
			d := m.Join
			if s.Row.Test == plan.LeaveDelay {
				d = m.Leave
			}
			// Ten of them; without fast leave each would take two seconds.
			if d == nil || d.Count != 10 || time.Duration(d.P50) > time.Second {
				t.Errorf("%s: %+v", s.Row.Protocol, d)
			}
			continue
		}
		if m.Sent == 0 || m.Lost != 0 || s.Faults() != 0 {
			t.Errorf("%+v: %+v", s.Row, s.Traffic)
		}
	}
}

// TestBenchSmcroute has smcroute as an engine from outside, and iperf as a
// witness of the kernel's.
func TestBenchSmcroute(t *testing.T) {
	for _, program := range []string{"smcrouted", "iperf"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	script, err := filepath.Abs("../../bench/external/smcroute.sh")
	if err != nil {
		t.Fatal(err)
	}
	smcroute, err := plan.ExternalEngine("smcroute", script)
	if err != nil {
		t.Fatal(err)
	}
	plain := plan.Row{Oifs: 2, Size: 512, Flows: 3, Sender: plan.Plain, Receiver: plan.Plain}
	witnessed := plan.Witnessed()[3]
	for _, s := range shortly(t, []plan.Engine{smcroute}, plain, witnessed) {
		lost := s.Loss()
		if s.Row.Sender == plan.Iperf && s.Traffic.Sent > 1000 && lost < .2 {
			continue // it does not wait for anybody
		}
		if s.Traffic.Sent == 0 || lost != 0 || s.Faults() != 0 {
			t.Errorf("%+v: %+v", s.Row, s.Traffic)
		}
	}
}

// TestBenchFiles runs the command, which writes what it has measured to files.
func TestBenchFiles(t *testing.T) {
	netnstest.Require(t)
	dir := t.TempDir()
	text, records := filepath.Join(dir, "text"), filepath.Join(dir, "records")
	var table, progress bytes.Buffer
	status := execute(t.Context(), []string{"umroute", "bench", "run", "--engines", "kernel",
		"--sizes", "64", "--oifs", "1", "--duration", "10ms", "--repeats", "2",
		"-o", text, "--json", records}, &table, &progress)
	if status != statusDone || !bytes.Contains(table.Bytes(), []byte("kernel")) {
		t.Errorf("status %d\n%s%s", status, table.String(), progress.String())
	}
	file, err := os.Open(records)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all, err := result.Read(file)
	if err != nil || len(all) != 4 || all[0].Machine == nil || all[3].End == nil {
		t.Errorf("%d records, %v", len(all), err)
	}
	lines, err := os.ReadFile(text)
	if err != nil || bytes.Count(lines, []byte("\nBenchmarkForward/engine=kernel/")) != 2 {
		t.Errorf("%v\n%s", err, lines)
	}
}
