package mgm

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
)

// exclusive is a forwarder that does nothing, for one manager at a time.
type exclusive struct{ taken bool }

func (*exclusive) Set(MFE) error                     { return nil }
func (*exclusive) Delete(Flow)                       {}
func (*exclusive) Stats(Flow) (ForwarderStats, bool) { return ForwarderStats{}, false }
func (e *exclusive) Release()                        { e.taken = false }

func (e *exclusive) Claim() bool {
	free := !e.taken
	e.taken = true
	return free
}

type nowhere struct{}

func (nowhere) Lookup(netip.Addr) (Route, bool) { return Route{}, false }

// TestSecondManager starts a manager while one runs on the same forwarder
// (event 50004), and again once that has ended.
func TestSecondManager(t *testing.T) {
	var events bytes.Buffer
	config := Config{RIB: nowhere{}, Forwarder: new(exclusive),
		Logger: slog.New(slog.NewTextHandler(&events, nil))}
	first, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(config); !errors.Is(err, ErrAlreadyExists) {
		t.Errorf("second manager: got error %v, want %v", err, ErrAlreadyExists)
	}
	if !strings.Contains(events.String(), "event=50004") {
		t.Errorf("no event 50004 in %q", &events)
	}
	for range 2 { // closing twice releases once
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
	}
	second, err := New(config)
	if err != nil {
		t.Fatalf("manager after the first: %v", err)
	}
	second.Close()
}
