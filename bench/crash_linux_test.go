package bench

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umroute/bench/plan"
	"umroute/bench/result"
	"umroute/tun/netns/netnstest"
)

// doAt does something when a run says a text, once.
type doAt struct {
	text string
	do   func()
}

func (d *doAt) Write(b []byte) (int, error) {
	if d.do != nil && strings.Contains(string(b), d.text) {
		d.do()
		d.do = nil
	}
	return len(b), nil
}

// TestCrash kills the routers between two rounds: what was measured is kept,
// what still runs goes on, and it is all in the records.
func TestCrash(t *testing.T) {
	netnstest.Require(t)
	o := brief(plain)
	o.Repeats = 3
	var records bytes.Buffer
	o.Records = &records
	o.Engines = plan.DefaultEngines()
	o.Progress = &doAt{"round 2", func() {
		for _, lab := range childrenOf(t, os.Getpid()) {
			for _, router := range children(t, lab) {
				if err := unix.PidfdSendSignal(router, unix.SIGKILL, nil, 0); err != nil {
					t.Error(err)
				}
				unix.Close(router)
			}
		}
	}}
	outcome, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]int)
	for _, s := range outcome.Samples {
		counts[s.Engine.Name]++
	}
	if counts[plan.Kernel] != 3 || counts[plan.Umroute] != 1 || counts[plan.Naive] != 1 {
		t.Errorf("samples: %v", counts)
	}
	if len(outcome.Missing) != 2 ||
		!strings.HasPrefix(outcome.Missing[0].Why, "the engine ended: ") {
		t.Errorf("missing %v", outcome.Missing)
	}
	all, err := result.Read(&records)
	if err != nil {
		t.Fatal(err)
	}
	var samples, missing int
	for _, r := range all {
		switch {
		case r.Sample != nil:
			samples++
		case r.Missing != nil:
			missing++
		}
	}
	last := all[len(all)-1].End
	if all[0].Machine == nil || samples != 5 || missing != 2 || last == nil || last.Samples != 5 ||
		last.Interrupted {
		t.Errorf("%d samples, %d missing, end %+v", samples, missing, last)
	}
}

// TestInterruptedRecords holds that an interrupted run says so in its records,
// and leaves no process.
func TestInterruptedRecords(t *testing.T) {
	netnstest.Require(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := brief(plain)
	o.Repeats = 5
	var records bytes.Buffer
	o.Records, o.Progress = &records, &doAt{"round 2", cancel}
	outcome, err := Run(ctx, o)
	if !errors.Is(err, ErrInterrupted) || len(outcome.Samples) == 0 {
		t.Errorf("%d samples, %v", len(outcome.Samples), err)
	}
	all, err := result.Read(&records)
	if err != nil || all[len(all)-1].End == nil || !all[len(all)-1].End.Interrupted ||
		len(all) != len(outcome.Samples)+2 {
		t.Errorf("%d records, %v", len(all), err)
	}
	for deadline := time.Now().Add(10 * time.Second); len(childrenOf(t, os.Getpid())) > 0; {
		if time.Now().After(deadline) {
			t.Fatal("a process is left")
		}
		time.Sleep(time.Millisecond) // for the kernel to reap what the lab had started
	}
}

// failingWriter is a disk that is full.
type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, unix.ENOSPC }

// TestFullDisk measures on, and fails at the end.
func TestFullDisk(t *testing.T) {
	netnstest.Require(t)
	o := brief(plain)
	o.Engines, o.Records = plan.Engines()[:1], failingWriter{}
	outcome, err := Run(t.Context(), o)
	if !errors.Is(err, unix.ENOSPC) || len(outcome.Samples) != 1 {
		t.Errorf("%d samples, %v", len(outcome.Samples), err)
	}
}
