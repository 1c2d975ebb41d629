package router_test

import (
	"context"
	"os"
	"testing"
	"time"

	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

// patience bounds every wait that has no bound of its own.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == tun.HelperCommand {
		os.Exit(tun.RunHelper(os.Args[2:]))
	}
	netnstest.Main(m)
}

// eventually asks again and again until done says so, and tells when it did.
func eventually(t testing.TB, what string, done func() bool) time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v in vain: %s", patience, what)
		case <-again.C:
		}
	}
	return time.Now()
}

// until asks again and again as long as the time lasts, and demands that the
// answer is always yes.
func until(t testing.TB, end time.Time, what string, holds func() bool) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for time.Now().Before(end) {
		if !holds() {
			t.Fatalf("%v too early it is not so any more: %s", time.Until(end), what)
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the test has ended")
		case <-again.C:
		}
	}
}
