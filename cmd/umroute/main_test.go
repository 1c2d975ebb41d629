package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"umroute/tun/netns/netnstest"
)

// programName makes the test binary the command itself, by its argument 0.
const programName = "umroute"

// patience bounds every wait. What is waited for takes milliseconds, or a
// second where a timer of a protocol is at work.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); name == programName || name == smcrouteName {
		main()
	}
	runAsHelper()
	if len(os.Args) == 4 && os.Args[1] == asContainerEngine {
		if err := runContainerAndRouter(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(statusFailed)
		}
	}
	netnstest.Main(m)
}

// eventually asks again and again until done says so.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v in vain: %s", patience, what)
		case <-again.C:
		}
	}
}
