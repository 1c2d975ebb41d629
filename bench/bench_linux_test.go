package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"umroute/bench/engine"
	"umroute/bench/plan"
	"umroute/bench/result"
	"umroute/tun/netns/netnstest"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && IsHelper(os.Args[1]) {
		os.Exit(RunHelper(os.Args[1]))
	}
	netnstest.Main(m)
}

// engines are all but the one that is this program as a router, which it is not
// here.
func engines() []plan.Engine {
	return slices.DeleteFunc(plan.Engines(), func(e plan.Engine) bool {
		return e.Name == plan.Router
	})
}

// brief is a run that is as short as can be.
func brief(rows ...plan.Row) Options {
	return Options{Engines: engines(), Rows: rows, Repeats: 1,
		Duration: 10 * time.Millisecond, Warmup: 5 * time.Millisecond}
}

var plain = plan.Row{Oifs: 2, Size: 512, Flows: 1, Sender: plan.Plain, Receiver: plan.Plain}

// TestRun measures every engine with every kind of traffic. What a closed loop
// sends arrives, all of it and unharmed, however busy the machine is.
func TestRun(t *testing.T) {
	netnstest.Require(t)
	v6, flows, offloads, paced := plain, plain, plain, plain
	v6.IPv6, flows.Flows, flows.Oifs, paced.Rate, paced.Size = true, 3, 1, 1000, 64
	offloads.Sender, offloads.Receiver, offloads.IPv6 = plan.Segment, plan.GRO, true
	offloads.Flows, offloads.Size = 2, 1400
	o := brief(plain, v6, flows, offloads, paced)
	o.Repeats = 2
	var progress bytes.Buffer
	o.Progress = &progress
	outcome, err := Run(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	counts := make(map[plan.Engine]int)
	for _, s := range outcome.Samples {
		counts[s.Engine]++
		what := fmt.Sprintf("%s, %s", s.Engine, describe(s.Row))
		if s.Traffic.Sent == 0 || s.Traffic.Delivered != s.Traffic.Sent*uint64(s.Row.Oifs) ||
			s.Traffic.Lost != 0 || s.Faults() != 0 {
			t.Errorf("%s: %+v, dropped %v", what, s.Traffic, s.Dropped)
		}
		if s.Usage.Elapsed < o.Duration || s.Usage.Total <= 0 {
			t.Errorf("%s: %+v", what, s.Usage)
		}
		if s.Engine.Name == plan.Kernel && s.Usage.Router != 0 {
			t.Errorf("%s: the router's process used %v", what, s.Usage.Router)
		}
		if (s.Row.Rate > 0) != (s.Traffic.Latency.P99 > 0) {
			t.Errorf("%s: latency %+v", what, s.Traffic.Latency)
		}
	}
	for _, e := range engines() {
		want := 2 * len(o.Rows)
		if e.Name == plan.Memory {
			want = 2 * 3 // it has no offloads and no rate
		}
		if counts[e] != want {
			t.Errorf("%s: %d samples, want %d", e, counts[e], want)
		}
	}
	want := []result.Missing{
		{What: "memory, " + describe(offloads),
			Why: "engine memory has neither senders nor receivers"},
		{What: "memory, " + describe(paced),
			Why: "engine memory has neither senders nor receivers"},
	}
	if diff := cmp.Diff(want, outcome.Missing); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if progress.Len() == 0 || outcome.Machine.CPU == "" {
		t.Error("nothing told")
	}
}

// TestLossIsSeen has two receivers wait for what only the first gets.
func TestLossIsSeen(t *testing.T) {
	netnstest.Require(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, e := range plan.DefaultEngines() {
		topology, router, err := engine.Start(e, 2, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer topology.Close()
		defer router.Close()
		s := &stage{engine: e, topology: topology, router: router}
		f, err := s.open(plain, true)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		one := plain
		one.Oifs = 1
		other, err := s.open(one, true) // routes the same flow anew
		if err != nil {
			t.Fatal(err)
		}
		other.Close()
		f.Start()
		for f.Counters().Sent < 2000 { // beyond a window
			runtime.Gosched()
		}
		r, err := f.Stop()
		if err != nil || r.Lost != r.Sent || r.Delivered != r.Sent || r.Stalls == 0 {
			t.Errorf("%s: %+v, %v", e, r, err)
		}
	}
}

// TestUnfit leaves out what cannot be, says so, and measures the rest.
func TestUnfit(t *testing.T) {
	netnstest.Require(t)
	unknown := plan.Engine{Name: "smcroute", Link: plan.LinkTUN}
	o := brief(plain)
	o.Engines = append([]plan.Engine{unknown}, plan.DefaultEngines()[0])
	outcome, err := Run(t.Context(), o)
	if err != nil || len(outcome.Samples) != 1 {
		t.Errorf("%d samples, %v", len(outcome.Samples), err)
	}
	want := []result.Missing{{What: "smcroute", Why: "engine smcroute is no process"}}
	if diff := cmp.Diff(want, outcome.Missing); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	wide := plain
	wide.Oifs = plan.KernelOifs + 1
	o.Rows = []plan.Row{wide}
	outcome, err = Run(t.Context(), o)
	if err == nil || err.Error() != "no engine can run here" || len(outcome.Missing) != 2 {
		t.Errorf("missing %v, %v", outcome.Missing, err)
	}
}

// stopAt cancels a run when its progress says something.
type stopAt struct {
	text   string
	cancel context.CancelFunc
}

func (s stopAt) Write(b []byte) (int, error) {
	if strings.Contains(string(b), s.text) {
		s.cancel()
	}
	return len(b), nil
}

func TestInterrupted(t *testing.T) {
	netnstest.Require(t)
	for text, samples := range map[string]bool{"starting naive": false, "round 2": true} {
		ctx, cancel := context.WithCancel(t.Context())
		o := brief(plain)
		o.Repeats, o.Progress = 5, stopAt{text, cancel}
		outcome, err := Run(ctx, o)
		if !errors.Is(err, ErrInterrupted) || (len(outcome.Samples) > 0) != samples {
			t.Errorf("%s: %d samples, %v", text, len(outcome.Samples), err)
		}
		cancel()
	}
}

// TestLimit holds that a limit ends a run, with what there is.
func TestLimit(t *testing.T) {
	netnstest.Require(t)
	o := brief(plain)
	o.Engines, o.Repeats, o.Limit = plan.Engines()[:1], 1_000_000, 300*time.Millisecond
	outcome, err := Run(t.Context(), o)
	if err != nil || len(outcome.Missing) != 1 ||
		!strings.HasPrefix(outcome.Missing[0].What, "the rest of round ") {
		t.Errorf("missing %v, %v", outcome.Missing, err)
	}
}

// TestKilled kills the lab, and expects its routers to die with it.
func TestKilled(t *testing.T) {
	netnstest.Require(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	lab, err := startLab()
	if err != nil {
		t.Fatal(err)
	}
	defer lab.close()
	processes := 0
	for _, e := range engines() {
		if e.Name != plan.Kernel && e.Name != plan.Memory {
			processes++
		}
		if _, err := lab.prepare(t.Context(), preparation{Engine: e, Receivers: 1}); err != nil {
			t.Fatal(err)
		}
	}
	routers := children(t, lab.command.Process.Pid)
	if len(routers) != processes {
		t.Fatalf("%d routers", len(routers))
	}
	lab.command.Process.Kill()
	for _, fd := range routers {
		ended := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(ended, 30_000)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Poll(ended, 30_000)
		}
		if n != 1 {
			t.Errorf("a router lives on: %v", err)
		}
		unix.Close(fd)
	}
	if _, err := lab.ask(t.Context(), request{}, 0); !errors.Is(err, errLab) {
		t.Errorf("asked a dead lab: %v", err)
	}
}

// children returns a pidfd for each child of a process.
func children(t *testing.T, parent int) (fds []int) {
	t.Helper()
	for _, pid := range childrenOf(t, parent) {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	return fds
}

// childrenOf returns the children of a process that live.
func childrenOf(t *testing.T, parent int) (pids []int) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		var pid, of int
		var state string
		fmt.Sscan(string(text), &pid)
		_, rest, _ := strings.Cut(string(text), ") ")
		fmt.Sscan(rest, &state, &of)
		if of == parent && state != "Z" {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestProbe(t *testing.T) {
	netnstest.Require(t)
	all, err := Probe(t.Context(), engines())
	if err != nil || len(all) != len(engines()) {
		t.Fatalf("%v, %v", all, err)
	}
	for _, a := range all {
		if a.Err != nil {
			t.Errorf("%s: %v", a.Engine, a.Err)
		}
	}
}

// TestPlainLab measures without any namespace.
func TestPlainLab(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	lab, err := startPlainLab()
	if err != nil {
		t.Fatal(err)
	}
	defer lab.close()
	memory, err := plan.SelectEngines(plan.Memory)
	if err != nil {
		t.Fatal(err)
	}
	s, err := lab.measure(t.Context(), measurement{Engine: memory[0], Row: plain,
		Duration: time.Millisecond})
	if err != nil || len(s) != 1 || s[0].Traffic.Lost != 0 || s[0].Engine != memory[0] ||
		s[0].Row != plain {
		t.Errorf("%+v, %v", s, err)
	}
	_, err = lab.measure(t.Context(), measurement{Engine: plan.Engines()[0], Row: plain})
	if err == nil || err.Error() != "engine kernel is not prepared" {
		t.Errorf("not prepared: %v", err)
	}
}

func TestValidate(t *testing.T) {
	for name, spoil := range map[string]func(*Options){
		"no engine":   func(o *Options) { o.Engines = nil },
		"no row":      func(o *Options) { o.Rows = nil },
		"no repeat":   func(o *Options) { o.Repeats = 0 },
		"no duration": func(o *Options) { o.Duration = 0 },
		"wrong row":   func(o *Options) { o.Rows = []plan.Row{{}} },
	} {
		o := brief(plain)
		spoil(&o)
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestDifference(t *testing.T) {
	got := difference(map[string]uint64{"ttl": 5, "device": 2, "new": 1},
		map[string]uint64{"ttl": 3, "device": 2})
	if diff := cmp.Diff(map[string]uint64{"ttl": 2, "new": 1}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
