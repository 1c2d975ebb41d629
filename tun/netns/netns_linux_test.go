package netns_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"umroute/tun/netns"
	"umroute/tun/netns/netnstest"
)

// lookForMainThread is the first argument for another run of this program.
const lookForMainThread = "test-look-for-main-thread"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == lookForMainThread {
		os.Exit(useThreads())
	}
	netnstest.Main(m)
}

// current is the inode of the calling thread's network namespace.
func current() (uint64, error) {
	var stat unix.Stat_t
	err := unix.Stat("/proc/thread-self/ns/net", &stat)
	return stat.Ino, err
}

func mustNew(t *testing.T) *netns.Namespace {
	t.Helper()
	netnstest.Require(t)
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

func TestResolve(t *testing.T) {
	ns := mustNew(t)
	if out, err := exec.Command("ip", "netns", "add", "red").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", "red").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	if err := os.WriteFile("/run/netns/stale", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	own := fmt.Sprintf("pid:%d", os.Getpid())
	tests := []struct {
		spec, path string
		want       string // of the error; "" for none
		is         error
	}{
		{spec: "", path: ""},
		{spec: "self", path: ""},
		{spec: "red", path: "/run/netns/red"},
		{spec: "/run/netns/red", path: "/run/netns/red"},
		{spec: own, path: fmt.Sprintf("/proc/%d/ns/net", os.Getpid())},
		{spec: ns.Path(), path: ns.Path()},
		{spec: "blue", want: "ip netns add blue", is: fs.ErrNotExist},
		{spec: "stale", want: "not a network namespace"},
		{spec: "/absent", want: "/absent", is: fs.ErrNotExist},
		{spec: "/proc/self/ns/uts", want: "not a network namespace"},
		{spec: "/proc/self/status", want: "not a network namespace"},
		{spec: "pid:4194304", want: "is process 4194304 running?", is: fs.ErrNotExist},
		{spec: "pid:", want: "want a process ID"},
		{spec: "pid:0", want: "want a process ID"},
		{spec: "pid:1x", want: "want a process ID"},
		{spec: "a/b", want: "want a name under /run/netns"},
		{spec: "..", want: "want a name under /run/netns"},
	}
	for _, test := range tests {
		t.Run(test.spec, func(t *testing.T) {
			path, err := netns.Resolve(test.spec)
			switch {
			case test.want == "" && (err != nil || path != test.path):
				t.Errorf("%q, %v; want %q", path, err, test.path)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v does not say %q", err, test.want)
			case test.is != nil && !errors.Is(err, test.is):
				t.Errorf("error %v is not %v", err, test.is)
			}
		})
	}
}

func FuzzResolve(f *testing.F) {
	for _, spec := range []string{"", "red", "pid:1", "/proc/self/ns/net", "../x", "a\x00b"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		path, err := netns.Resolve(spec)
		if err != nil && path != "" {
			t.Errorf("%q: path %q and error %v", spec, path, err)
		}
		if path != "" && !strings.HasPrefix(path, "/") {
			t.Errorf("%q: relative path %q", spec, path)
		}
	})
}

// TestDoStaysInside runs many at a time, nested and not, and wants every thread
// to be where it belongs.
func TestDoStaysInside(t *testing.T) {
	a, b := mustNew(t), mustNew(t)
	home, err := current()
	if err != nil {
		t.Fatal(err)
	}
	inside := func(ns *netns.Namespace) (inode uint64) {
		err := ns.Do(func() (err error) {
			inode, err = current()
			return err
		})
		if err != nil {
			t.Error(err)
		}
		return inode
	}
	inA, inB := inside(a), inside(b)
	if inA == inB || inA == home || inB == home {
		t.Fatalf("namespaces %d, %d and %d are not three", home, inA, inB)
	}
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for range 20 {
				err := a.Do(func() error {
					if got := inside(b); got != inB {
						t.Errorf("in %d, want %d", got, inB)
					}
					got, err := current()
					if got != inA {
						t.Errorf("after a nested Do in %d, want %d", got, inA)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
				if got, _ := current(); got != home {
					t.Errorf("outside in %d, want %d", got, home)
				}
			}
		})
	}
	workers.Wait()
}

// TestDoLeavesTheMainThread runs a process whose main goroutine leaves the main
// thread, which stands for the whole process in /proc, to everyone.
func TestDoLeavesTheMainThread(t *testing.T) {
	netnstest.Require(t)
	if out, err := exec.Command(os.Args[0], lookForMainThread).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func useThreads() int {
	ns, err := netns.New()
	for i := 0; err == nil && i < 100; i++ {
		err = ns.Do(func() error {
			if unix.Gettid() == unix.Getpid() {
				return errors.New("in a namespace on the main thread")
			}
			return nil
		})
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func TestDoErrors(t *testing.T) {
	ns := mustNew(t)
	mine := errors.New("mine")
	if err := ns.Do(func() error { return mine }); err != mine {
		t.Errorf("error %v, want the function's own", err)
	}
	if err := netns.Do("", func() error { return mine }); err != mine {
		t.Errorf("error %v, want the function's own", err)
	}
	if err := ns.Do(func() error { runtime.Goexit(); return nil }); err == nil {
		t.Error("no error from a function that did not return")
	}
	called := func() error { t.Error("called"); return nil }
	if err := netns.Do("/absent", called); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent namespace: %v", err)
	}
	if err := netns.Do("/proc/self/ns/uts", called); !errors.Is(err, unix.EINVAL) {
		t.Errorf("another kind of namespace: %v", err)
	}
}

// TestSocketsStay opens a socket inside and uses it outside.
func TestSocketsStay(t *testing.T) {
	ns := mustNew(t)
	var conn net.PacketConn
	err := ns.Do(func() (err error) {
		if err := netns.RaiseLoopback(); err != nil {
			return err
		}
		conn, err = net.ListenPacket("udp4", "127.0.0.1:5000")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The same address is free outside, and what is sent to it there stays there.
	other, err := net.ListenPacket("udp4", "127.0.0.1:5000")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, c := range []net.PacketConn{conn, other} {
		text := fmt.Sprintf("%p", c)
		if _, err := c.WriteTo([]byte(text), c.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, _, err := c.ReadFrom(buf)
		if err != nil || string(buf[:n]) != text {
			t.Errorf("received %q, %v; want %q", buf[:n], err, text)
		}
	}
}

func TestStart(t *testing.T) {
	ns := mustNew(t)
	var want uint64
	err := ns.Do(func() (err error) {
		want, err = current()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var output strings.Builder
	cmd := exec.Command("readlink", "/proc/self/ns/net")
	cmd.Stdout = &output
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("net:[%d]", want); strings.TrimSpace(output.String()) != got {
		t.Errorf("command in %s, want %s", output.String(), got)
	}
}

func TestRaiseLoopbackTwice(t *testing.T) {
	ns := mustNew(t)
	for range 2 {
		if err := ns.Do(netns.RaiseLoopback); err != nil {
			t.Fatal(err)
		}
	}
	err := ns.Do(func() error {
		lo, err := net.InterfaceByName("lo")
		if err == nil && lo.Flags&net.FlagUp == 0 {
			t.Error("loopback is down")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
