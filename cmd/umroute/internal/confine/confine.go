// Package confine takes from a running router what it does not need any more:
// capabilities, the way to get new ones, and system calls that no router makes.
//
// It is the last wall, for the case that somebody else's packets or documents
// take control of the process. So it applies to all threads and to every child,
// and cannot be undone.
package confine

import (
	"errors"
	"fmt"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// needed are the capabilities that a router which has them keeps: it opens
// devices (NET_ADMIN), also of interfaces that exist (NET_RAW), in namespaces
// that it enters (SYS_ADMIN) through processes that live there (SYS_PTRACE),
// binds the host's ports (NET_BIND_SERVICE) and locks rings (IPC_LOCK).
var needed = []cap.Value{cap.NET_ADMIN, cap.NET_RAW, cap.SYS_ADMIN, cap.SYS_PTRACE,
	cap.NET_BIND_SERVICE, cap.IPC_LOCK}

// Process confines this process. What the system does not have is an error, and
// everything else is done all the same.
func Process() error {
	return errors.Join(dropCapabilities(), filterCalls())
}

// dropCapabilities keeps the needed capabilities, of those that there are. No
// program that this one executes gets more, but in a user namespace below.
func dropCapabilities() error {
	have := cap.GetProc()
	keep := cap.NewSet()
	bound := cap.IABGetProc()
	for value := range cap.MaxBits() {
		permitted, err := have.GetFlag(cap.Permitted, value)
		if err != nil {
			return fmt.Errorf("drop capabilities: %w", err)
		}
		if permitted && isNeeded(value) {
			err = errors.Join(keep.SetFlag(cap.Permitted, true, value),
				keep.SetFlag(cap.Effective, true, value))
		} else if !isNeeded(value) {
			err = bound.SetVector(cap.Bound, true, value)
		}
		if err != nil {
			return fmt.Errorf("drop capabilities: %w", err)
		}
	}
	mayBound, err := have.GetFlag(cap.Effective, cap.SETPCAP)
	if err == nil && mayBound {
		err = bound.SetProc()
	}
	if err := errors.Join(err, keep.SetProc()); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}

func isNeeded(value cap.Value) bool {
	for _, each := range needed {
		if each == value {
			return true
		}
	}
	return false
}

// forbidden are system calls that neither a router nor its helper makes, and
// that lead out of a process or into the kernel. It is a list of what is
// forbidden, since a list of what is allowed would break with the next version
// of the Go runtime.
var forbidden = []string{
	"acct", "add_key", "adjtimex", "bpf", "chroot", "clock_adjtime", "clock_settime",
	"delete_module", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module",
	"kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mount", "mount_setattr",
	"move_mount", "name_to_handle_at", "open_by_handle_at", "open_tree", "perf_event_open",
	"personality", "pidfd_getfd", "pivot_root", "process_madvise", "process_vm_readv",
	"process_vm_writev", "ptrace", "quotactl", "reboot", "request_key", "setdomainname",
	"setgid", "setgroups", "sethostname", "setregid", "setresgid", "setresuid",
	"setreuid", "settimeofday", "setuid", "swapoff", "swapon", "syslog", "umount2",
	"userfaultfd", "vhangup",
}

// filterCalls has the kernel refuse the forbidden calls, and new privileges by
// executing a program, in all threads.
func filterCalls() error {
	filter := seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionAllow,
			Syscalls: []seccomp.SyscallGroup{
				{Action: seccomp.ActionErrno, Names: forbidden},
			},
		},
	}
	if err := seccomp.LoadFilter(filter); err != nil {
		return fmt.Errorf("filter system calls: %w", err)
	}
	return nil
}
