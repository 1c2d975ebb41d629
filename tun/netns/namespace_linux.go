package netns

import (
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace without a name. It lives until it is
// closed and nothing else (a process, a socket, a device's descriptor) holds
// it. Its methods may be called by any number of goroutines.
type Namespace struct {
	file *os.File
}

// New makes a network namespace. It is empty but for a loopback device that is
// down. It needs CAP_SYS_ADMIN in the caller's user namespace.
func New() (*Namespace, error) {
	var fd int
	err := onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		fd, err = unix.Open(ownPath, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open the new network namespace: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &Namespace{file: os.NewFile(uintptr(fd), "network namespace")}, nil
}

// Path is a path for [Do] and for every setting that names a namespace. It is
// good in this process and until Close.
func (n *Namespace) Path() string {
	return fmt.Sprintf("/proc/self/fd/%d", n.file.Fd())
}

// Do runs f inside, as the function [Do] does.
func (n *Namespace) Do(f func() error) error { return Do(n.Path(), f) }

// Start starts cmd inside, as the function [Start] does.
func (n *Namespace) Start(cmd *exec.Cmd) error { return Start(n.Path(), cmd) }

// Close lets go of the namespace. What is still open in it keeps it alive.
func (n *Namespace) Close() error { return n.file.Close() }
