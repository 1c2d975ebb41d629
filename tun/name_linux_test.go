package tun

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"umroute/tun/netns/netnstest"
)

func runIP(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// makeNamed makes a named namespace that is there until the test deletes it.
func makeNamed(t *testing.T, name string) {
	t.Helper()
	runIP(t, "netns", "add", name)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
}

// TestDeletedNamespace deletes the name that a link's namespace was opened by.
func TestDeletedNamespace(t *testing.T) {
	netnstest.Require(t)
	for _, spec := range []string{"red", "/run/netns/red"} {
		t.Run(spec, func(t *testing.T) {
			makeNamed(t, "red")
			link, err := Open(Config{Netns: spec, Owner: "edge"})
			if err != nil {
				t.Fatal(err)
			}
			late := time.AfterFunc(10*time.Second, func() { link.Close() })
			defer late.Stop()
			runIP(t, "netns", "del", "red")
			_, err = readAny(link)
			want := "tun mc0: network namespace /run/netns/red was deleted"
			if err == nil || !strings.Contains(err.Error(), want) ||
				errors.Is(err, os.ErrClosed) {
				t.Errorf("Read: %v, want %s", err, want)
			}
			if _, err := link.Write([][]byte{{0x45}}); err == nil {
				t.Error("Write into a deleted namespace: no error")
			}
			if event := <-link.Events(); event.Type != EventRemoved || link.Up() {
				t.Errorf("event %v, up %v", event.Type, link.Up())
			}
			if err := link.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// readAny reads until an error comes.
func readAny(device Device) (int, error) {
	bufs, sizes := [][]byte{make([]byte, 2048)}, make([]int, 1)
	for {
		if n, err := device.Read(bufs, sizes); err != nil {
			return n, err
		}
	}
}

// TestNameWatch looks at a name after each change of its folder.
func TestNameWatch(t *testing.T) {
	netnstest.Require(t)
	makeNamed(t, "red")
	makeNamed(t, "blue")
	name, err := watchName("/run/netns/red")
	if err != nil {
		t.Fatal(err)
	}
	defer name.changes.Close()
	steps := []struct {
		args []string
		good bool
	}{
		{[]string{"netns", "del", "blue"}, true},
		{[]string{"netns", "del", "red"}, false},
		{[]string{"netns", "add", "red"}, false}, // another of this name
	}
	for i, step := range steps {
		runIP(t, step.args...)
		if got := name.isGood(); got != step.good {
			t.Errorf("after %v: good %v", step.args, got)
		}
		// What makes followName look is a deletion, also of another name.
		if got := readable(name.changes.Fd()); got != (i < 2) {
			t.Errorf("after %v: readable %v", step.args, got)
		}
		if i < 2 {
			if _, err := name.changes.Read(make([]byte, 4096)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestNamesNotWatched has names of namespaces whose end is told otherwise, or never.
func TestNamesNotWatched(t *testing.T) {
	host := netnstest.NewHost(t)
	for _, path := range []string{"", host.Netns(), "/proc/self/ns/net"} {
		name, err := watchName(path)
		if name != nil || err != nil {
			t.Errorf("%q: watch %v, error %v", path, name, err)
		}
	}
}

// TestOtherNamespaceDeleted goes on when another name goes.
func TestOtherNamespaceDeleted(t *testing.T) {
	netnstest.Require(t)
	makeNamed(t, "red")
	makeNamed(t, "blue")
	link, err := Open(Config{Netns: "red"})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	runIP(t, "netns", "del", "blue")
	runIP(t, "-n", "red", "link", "set", "mc0", "mtu", "1400")
	if event := <-link.Events(); event.Type != EventMTU {
		t.Errorf("event %v, want %v", event.Type, EventMTU)
	}
}

// TestNoWatchToBeHad opens all the same where the user has no inotify instance
// left.
func TestNoWatchToBeHad(t *testing.T) {
	netnstest.Require(t)
	makeNamed(t, "red")
	const limit = "/proc/sys/user/max_inotify_instances" // of this user namespace
	before, err := os.ReadFile(limit)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(limit, []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.WriteFile(limit, before, 0)
	var log bytes.Buffer
	link, err := Open(Config{Netns: "red", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	link.Close()
	if !strings.Contains(log.String(), "would not be noticed") {
		t.Errorf("log %q", log.String())
	}
}
