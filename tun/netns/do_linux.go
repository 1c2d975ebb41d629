package netns

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// ownPath is the namespace of the calling thread. /proc/self would name the
// one of the main thread.
const ownPath = "/proc/thread-self/ns/net"

// Do runs f inside the network namespace that path leads to, on a thread of
// its own, and returns its error. With path "" it calls f where it is.
//
// Entering needs CAP_SYS_ADMIN in the user namespace that owns the network
// namespace and in the caller's own; without it the error is [unix.EPERM]. The
// namespace that the process is in already needs none.
func Do(path string, f func() error) error {
	if path == "" {
		return f()
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", path, err)
	}
	defer unix.Close(fd)
	return onThread(func() error {
		if isCurrent(fd) {
			return f() // which anyone may
		}
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", path, err)
		}
		return f()
	})
}

// isCurrent reports whether a namespace is the one of the calling thread.
func isCurrent(fd int) bool {
	var there, here unix.Stat_t
	return unix.Fstat(fd, &there) == nil && unix.Stat(ownPath, &here) == nil &&
		there.Dev == here.Dev && there.Ino == here.Ino
}

// Start starts cmd inside the network namespace that path leads to. Only its
// first process is placed; what that starts is in the same namespace.
func Start(path string, cmd *exec.Cmd) error {
	return Do(path, cmd.Start)
}

// errExited says that a function ended its goroutine: runtime.Goexit, or
// FailNow of a test that was called off the test's own goroutine.
var errExited = errors.New("the function ended its goroutine inside a network namespace")

// onThread runs f, which may change the thread's network namespace, on a
// locked thread and then brings that thread back. A thread that cannot be
// brought back is never used again.
func onThread(f func() error) error {
	result := make(chan error, 1)
	go runLocked(f, result)
	return <-result
}

func runLocked(f func() error, result chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread is what /proc/PID/ns/net shows to everyone else, and
		// it could not end. While it is kept here, no other goroutine has it.
		result <- onThread(f)
		runtime.UnlockOSThread()
		return
	}
	err := errExited
	defer func() { result <- err }()
	home, openErr := unix.Open(ownPath, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if openErr != nil {
		err = fmt.Errorf("open this thread's network namespace: %w", openErr)
		runtime.UnlockOSThread()
		return
	}
	defer unix.Close(home)
	defer func() {
		// Still locked when the goroutine ends means that the thread ends too.
		if unix.Setns(home, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}()
	err = f()
}
