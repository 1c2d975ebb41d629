package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// inMemoryHint goes with everything that a machine may lack.
const inMemoryHint = "or see the same router with simulated hosts: umroute demo --in-memory"

const tunNode = "/dev/net/tun"

// checkMachine says what the machine lacks, before anything is made.
func checkMachine() error {
	node, err := os.OpenFile(tunNode, os.O_RDWR, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENODEV):
		return fmt.Errorf("this machine has no TUN devices: %w\n"+
			"enable them: sudo modprobe tun\n%s", err, inMemoryHint)
	case err != nil:
		return fmt.Errorf("this user may not make TUN devices: %w\n"+
			"allow it: sudo chmod 0666 %s\n%s", err, tunNode, inMemoryHint)
	}
	return node.Close()
}

// switches are the kernel's settings that forbid user namespaces, each with
// the value that does.
var switches = []struct{ path, forbids, allow string }{
	{"/proc/sys/user/max_user_namespaces", "0",
		"sudo sysctl user.max_user_namespaces=10000"},
	{"/proc/sys/kernel/unprivileged_userns_clone", "0",
		"sudo sysctl kernel.unprivileged_userns_clone=1"},
	{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
		"sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
}

// explain adds to a failure to make the hosts what forbids it, where that is
// known.
func explain(err error) error {
	for _, each := range switches {
		value, readErr := os.ReadFile(each.path)
		if readErr == nil && strings.TrimSpace(string(value)) == each.forbids {
			return fmt.Errorf("%w\nuser namespaces are restricted here (%s is %s)\n"+
				"allow them: %s\n%s", err, each.path, each.forbids, each.allow, inMemoryHint)
		}
	}
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) ||
		errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("%w\nuser namespaces seem to be forbidden here, as in many "+
			"containers\n%s", err, inMemoryHint)
	}
	return fmt.Errorf("%w\n%s", err, inMemoryHint)
}

// nobody is the user and group without any right.
const nobody = 65534

// dropPrivilege makes root nobody, since the router needs no right at all,
// and tells what is left.
func dropPrivilege() (string, error) {
	if os.Geteuid() == 0 {
		if err := becomeNobody(); err != nil {
			return "", err
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "", fmt.Errorf("read the router's capabilities: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		text, found := strings.CutPrefix(line, "CapEff:")
		if !found {
			continue
		}
		capabilities, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
		if err == nil && capabilities == 0 {
			return fmt.Sprintf("user %d, no capabilities", os.Geteuid()), nil
		}
		return fmt.Sprintf("user %d, capabilities %x", os.Geteuid(), capabilities), nil
	}
	return fmt.Sprintf("user %d", os.Geteuid()), nil
}

// becomeNobody gives up root. Where root is the only user that there is, as in
// some containers, it stays.
func becomeNobody() error {
	err := syscall.Setgroups(nil)
	if err == nil {
		err = syscall.Setgid(nobody)
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
		return nil
	}
	if err == nil {
		err = syscall.Setuid(nobody)
	}
	if err != nil {
		return fmt.Errorf("become nobody: %w", err)
	}
	return nil
}
