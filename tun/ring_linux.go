package tun

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"umroute/tun/internal/uring"
)

// ringSize is how many packets go into one call.
const ringSize = 128

// minAsked is how many packets a reader asks for at least.
const minAsked = 4

// ring is what the reader of a link makes its calls through.
type ring struct {
	*uring.Ring
	broken   atomic.Bool
	results  [ringSize]int32
	expected int // packets that the next read may bring

	// Of a WriteBatch.

	places []int   // of the packets that are in the ring
	users  []*Link // that they go to
}

// works reports whether there is a ring and it can be used.
func (r *ring) works() bool { return r != nil && !r.broken.Load() }

// do makes the n calls that were queued. A ring that fails, as one does where
// a filter was put on the process since, is not used again.
func (r *ring) do(n int) ([]int32, error) {
	results := r.results[:n]
	err := r.Do(results)
	if err != nil {
		r.broken.Store(true)
	}
	return results, err
}

// close may be called without a ring.
func (r *ring) close() {
	if r != nil {
		_ = r.Close() // nothing is under way
	}
}

// openRing makes a ring and tries it with the device.
func openRing(fd int) (*ring, error) {
	err := ringAllowed()
	var made *uring.Ring
	if err == nil {
		made, err = uring.New(ringSize)
	}
	if err != nil {
		return nil, fmt.Errorf("io %s: %w%s", IOUring, err, ringHint(err))
	}
	r := &ring{Ring: made, expected: minAsked}
	// A read of nothing takes no packet, but tells whether the kernel can read
	// from this device without waiting.
	r.Read(fd, nil)
	results, err := r.do(1)
	if err == nil && results[0] < 0 && results[0] != -int32(unix.EAGAIN) {
		err = unix.Errno(-results[0])
	}
	if err != nil {
		r.close()
		return nil, fmt.Errorf("io %s: try the device: %w", IOUring, err)
	}
	return r, nil
}

// ringHint says what to do where that is known.
func ringHint(err error) string {
	const otherwise = "; \"io: auto\" does without"
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return " (forbidden by the sysctl kernel.io_uring_disabled or a seccomp filter" +
			otherwise + ")"
	case errors.Is(err, unix.ENOSYS):
		return " (the kernel has none, or a seccomp filter hides it" + otherwise + ")"
	case errors.Is(err, unix.ENOMEM):
		return " (see \"ulimit -l\"" + otherwise + ")"
	}
	return otherwise
}

// ringTrial is the argument that has RunHelper try io_uring.
const ringTrial = "io_uring"

// ringAllowed finds out what cannot be tried here: a seccomp filter may end a
// process for the call. So the same program tries it in another process.
var ringAllowed = sync.OnceValue(func() error {
	if !hasSeccompFilter() {
		return nil
	}
	trial := exec.Command("/proc/self/exe", HelperCommand, ringTrial)
	trial.Args[0] = os.Args[0]
	trial.Env = []string{}
	output, err := trial.CombinedOutput()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ended) && ended.Exited():
		return errors.New(strings.TrimSpace(string(output)))
	}
	return fmt.Errorf("a seccomp filter ends who uses io_uring: %w", err)
})

// runRingTrial is that other process.
func runRingTrial() int {
	made, err := uring.New(ringSize)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%v%s\n", err, ringHint(err))
		return 1
	}
	defer made.Close()
	made.Read(0, nil)
	if err := made.Do(make([]int32, 1)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// hasSeccompFilter reports whether one may be on this process.
func hasSeccompFilter() bool {
	status, err := os.ReadFile("/proc/thread-self/status")
	return err != nil || !strings.Contains(string(status), "\nSeccomp:\t0\n")
}
