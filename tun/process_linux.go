package tun

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"umroute/tun/netns"
)

// errProcessExited says that the process that a namespace was named after is
// gone. The device may go on in a namespace without anybody in it.
var errProcessExited = errors.New("the process whose network namespace it is in has exited")

// openProcess opens a pidfd where a namespace is named pid:N. It is nil for
// other names, and on kernels without pidfds (before 5.3).
func openProcess(spec string) (*os.File, error) {
	pid, err := netns.PID(spec)
	if err != nil || pid == 0 {
		return nil, err
	}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	return os.NewFile(uintptr(fd), spec), nil
}

// hasExited reports whether the process of a pidfd has ended.
func hasExited(process *os.File) bool { return readable(process.Fd()) }

// readable polls without waiting.
func readable(fd uintptr) bool {
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(polled, 0)
	return err == nil && n > 0
}
