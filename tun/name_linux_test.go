package tun

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
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
	steps := []struct {
		args []string
		good bool
	}{
		{[]string{"netns", "del", "blue"}, true},
		{[]string{"netns", "del", "red"}, false},
		{[]string{"netns", "add", "red"}, false}, // another of this name
	}
	for _, step := range steps {
		runIP(t, step.args...)
		if got := name.isGood(); got != step.good {
			t.Errorf("after %v: good %v", step.args, got)
		}
	}
}

// TestFollowName follows a name that leads to a file, in a bubble's own time.
func TestFollowName(t *testing.T) {
	replace := func(path string) error {
		return errors.Join(os.WriteFile(path+".new", nil, 0o600), os.Rename(path+".new", path))
	}
	loop := func(path string) error { return errors.Join(os.Remove(path), os.Symlink(path, path)) }
	tests := []struct {
		name   string
		change func(path string) error
		ends   bool
	}{
		{"nothing", func(string) error { return nil }, false},
		{"written", func(path string) error { return os.WriteFile(path, []byte{1}, 0o600) }, false},
		{"removed", os.Remove, true},
		{"folder removed", func(path string) error { return os.RemoveAll(filepath.Dir(path)) }, true},
		{"replaced", replace, true},
		{"nowhere to be looked up", loop, false},
	}
	for _, test := range tests {
		path := filepath.Join(t.TempDir(), "netns", "red")
		t.Run(test.name, func(t *testing.T) {
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { followChange(t, path, test.change, test.ends) })
		})
	}
}

func followChange(t *testing.T, path string, change func(string) error, ends bool) {
	name, err := watchName(path)
	if err != nil {
		t.Fatal(err)
	}
	link := &Link{events: make(chan Event, eventBacklog)}
	link.watch = startWatch(link, device{netns: name}, Config{})
	time.Sleep(10*namePeriod + namePeriod/2) // of the bubble
	if len(link.events) > 0 {
		t.Fatalf("event %v before the change", (<-link.events).Type)
	}
	if err := change(path); err != nil {
		t.Fatal(err)
	}
	time.Sleep(namePeriod)
	synctest.Wait()
	if got := len(link.events) == 1 && (<-link.events).Type == EventRemoved; got != ends {
		t.Errorf("the link has ended: %v, want %v", got, ends)
	}
	link.watch.stop()
	link.watch.stop() // as Send and then Close do
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

// TestNoInstanceNeeded notices the end all the same where the user has no
// inotify instance left.
func TestNoInstanceNeeded(t *testing.T) {
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
	late := time.AfterFunc(10*time.Second, func() { link.Close() })
	defer late.Stop()
	runIP(t, "netns", "del", "red")
	if event := <-link.Events(); event.Type != EventRemoved {
		t.Errorf("event %v, want %v", event.Type, EventRemoved)
	}
	link.Close()
	if log.Len() > 0 {
		t.Errorf("log %q", log.String())
	}
}
