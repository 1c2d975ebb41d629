package meter

import (
	"os"
	"testing"
	"time"
)

func TestSince(t *testing.T) {
	const ms = time.Millisecond
	start := time.Unix(1000, 0)
	a := Reading{At: start, Own: 1 * ms, Router: 2 * ms, SoftIRQ: 3 * ms, Busy: 100 * ms}
	b := Reading{At: start.Add(50 * ms), Own: 11 * ms, Router: 22 * ms, SoftIRQ: 33 * ms,
		Busy: 190 * ms, Stolen: 5 * ms}
	want := Usage{Elapsed: 50 * ms, Total: 60 * ms, Router: 20 * ms, Foreign: 30 * ms,
		Stolen: 5 * ms}
	if got := b.Since(a); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	b.Busy = 150 * ms // as ticks that are behind have it
	if got := b.Since(a).Foreign; got != 0 {
		t.Errorf("foreign %v, want none", got)
	}
}

func TestParseProcessors(t *testing.T) {
	got, err := parseProcessors("cpu  10 20 30 4000 500 1 2 7000 8 9\n")
	want := processors{busy: 630 * time.Millisecond, softIRQ: 20 * time.Millisecond,
		stolen: 70 * time.Second}
	if err != nil || got != want {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	wrong := []string{"", "cpu 1 2 3 4 5 6 7", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 x 3 4 5 6 7 8"}
	for _, line := range wrong {
		if _, err := parseProcessors(line); err == nil {
			t.Errorf("%q: no error", line)
		}
	}
}

// TestRead reads the own process as the router: both clocks are of the same
// time, read one after the other.
func TestRead(t *testing.T) {
	m, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	before, err := m.Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if before.Router < before.Own || before.Own == 0 {
		t.Errorf("own %v, the same as the router's %v", before.Own, before.Router)
	}
	if after, err := m.Read(0); err != nil || after.Own < before.Router || after.Router != 0 {
		t.Errorf("after %+v: %+v, %v", before, after, err)
	}
	if _, err := m.Read(1 << 22); err == nil {
		t.Error("read the clock of a process that cannot be")
	}
}

func TestIsSoftIRQ(t *testing.T) {
	for name, want := range map[string]bool{
		"ksoftirqd/0": true, "napi/mc0-17": true, "napid": false, "kworker/0:1": false,
	} {
		if got := isSoftIRQ(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
