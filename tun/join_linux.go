package tun

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// joinFailed and more is the exit status of a process that could not become the
// helper in the namespaces: the system's error number follows.
const joinFailed = 64

// joining is what a process needs that joins namespaces and then executes a
// program. All of it is made before the process is.
type joining struct {
	user, net  uintptr // descriptors of the namespaces
	path       *byte
	argv, envv []*byte
	header     unix.CapUserHeader
	caps       [2]unix.CapUserData
}

// runJoined runs this program with the arguments args in the namespaces of two
// descriptors, with every capability there, and returns its exit status.
//
// A user namespace may be entered only by a process with one thread, which a Go
// program never is. One that was forked off is, until it executes a program.
// Executing takes the capabilities away from everybody but root, and the user
// may be anybody inside; ambient ones stay (capabilities(7)).
func runJoined(user, net int, args ...string) (status int, err error) {
	j := joining{user: uintptr(user), net: uintptr(net)}
	if j.path, err = syscall.BytePtrFromString("/proc/self/exe"); err != nil {
		return 0, err
	}
	argv := append([]string{os.Args[0]}, args...)
	if j.argv, err = syscall.SlicePtrFromStrings(argv); err != nil {
		return 0, err
	}
	if j.envv, err = syscall.SlicePtrFromStrings(os.Environ()); err != nil {
		return 0, err
	}
	j.header.Version = unix.LINUX_CAPABILITY_VERSION_3
	for i := range j.caps {
		all := uint32(1<<32 - 1)
		j.caps[i] = unix.CapUserData{Effective: all, Permitted: all, Inheritable: all}
	}
	j.caps[1] = capabilitiesAbove32(j.caps[1])
	runtime.LockOSThread() // whose death would be the end of the other process
	defer runtime.UnlockOSThread()
	syscall.ForkLock.Lock()
	pid, errno := j.fork()
	syscall.ForkLock.Unlock()
	runtime.KeepAlive(&j)
	if errno != 0 {
		return 0, fmt.Errorf("fork: %w", errno)
	}
	return waitFor(int(pid))
}

// capabilitiesAbove32 are those that the kernel has: it takes no others.
func capabilitiesAbove32(all unix.CapUserData) unix.CapUserData {
	const above = uint32(1<<(unix.CAP_LAST_CAP-31) - 1)
	return unix.CapUserData{Effective: all.Effective & above, Permitted: all.Permitted & above,
		Inheritable: all.Inheritable & above}
}

func waitFor(pid int) (status int, err error) {
	for {
		var s unix.WaitStatus
		_, err := unix.Wait4(pid, &s, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, fmt.Errorf("wait for the helper: %w", err)
		case s.ExitStatus() >= joinFailed:
			return 0, unix.Errno(s.ExitStatus() - joinFailed)
		case s.Signaled():
			return 0, fmt.Errorf("the helper was ended by %v", s.Signal())
		default:
			return s.ExitStatus(), nil
		}
	}
}

// fork makes the process. In that there is neither scheduler nor collector: it
// may allocate nothing, grow no stack, and only call the kernel.
//
//go:norace
//go:noinline
func (j *joining) fork() (pid uintptr, errno syscall.Errno) {
	const none = 0
	pid, _, errno = syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD),
		none, none, none, none, none)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	_, _, errno = syscall.RawSyscall(unix.SYS_SETNS, j.user, unix.CLONE_NEWUSER, none)
	if errno == 0 {
		_, _, errno = syscall.RawSyscall(unix.SYS_SETNS, j.net, unix.CLONE_NEWNET, none)
	}
	if errno == 0 {
		_, _, errno = syscall.RawSyscall(unix.SYS_CAPSET,
			uintptr(unsafe.Pointer(&j.header)), uintptr(unsafe.Pointer(&j.caps[0])), none)
	}
	for _, capability := range [...]uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW,
		unix.CAP_SYS_ADMIN} {
		if errno == 0 {
			_, _, errno = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT,
				unix.PR_CAP_AMBIENT_RAISE, capability, none, none, none)
		}
	}
	if errno == 0 {
		_, _, errno = syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(j.path)),
			uintptr(unsafe.Pointer(&j.argv[0])), uintptr(unsafe.Pointer(&j.envv[0])))
	}
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, joinFailed+uintptr(errno), none, none)
	}
}
