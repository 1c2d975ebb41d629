package netns

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Isolate sets cmd up to run in new user, network and mount namespaces, and
// with pids also in a new PID namespace, as their root: with every capability
// there, and with no right outside that the caller does not have. It is how an
// ordinary user gets namespaces and devices. cmd dies with the thread that
// starts it, so that thread should be locked; with pids, everything that cmd
// has started dies with cmd. The new program calls [Furnish] first.
//
// Root keeps the users that it can be; others are root alone.
func Isolate(cmd *exec.Cmd, pids bool) error {
	attr := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	}
	if pids {
		attr.Cloneflags |= unix.CLONE_NEWPID
	}
	var err error
	if attr.UidMappings, err = mappings("/proc/self/uid_map", os.Geteuid()); err != nil {
		return err
	}
	if attr.GidMappings, err = mappings("/proc/self/gid_map", os.Getegid()); err != nil {
		return err
	}
	// user_namespaces(7): without CAP_SETGID outside, setgroups must be denied
	// before the group map may be written; and what this namespace denies, one
	// inside may not allow.
	attr.GidMappingsEnableSetgroups = os.Geteuid() == 0 && !setgroupsDenied()
	cmd.SysProcAttr = attr
	return nil
}

func setgroupsDenied() bool {
	text, err := os.ReadFile("/proc/self/setgroups")
	return err == nil && strings.TrimSpace(string(text)) == "deny"
}

// mappings maps what root may be to itself, and everyone else to root.
func mappings(path string, id int) ([]syscall.SysProcIDMap, error) {
	if os.Geteuid() != 0 {
		return []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var rows []syscall.SysProcIDMap
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var inside, outside, size int
		if _, err := fmt.Sscan(lines.Text(), &inside, &outside, &size); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		rows = append(rows, syscall.SysProcIDMap{ContainerID: inside, HostID: inside, Size: size})
	}
	return rows, lines.Err()
}

// Furnish makes the namespaces that [Isolate] gave this program fit to live
// in: no mount leaves them, /run is private and empty but for the directory
// that "ip netns add" uses, /proc shows the new PID namespace if there is one,
// and loopback is up.
func Furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount a private /run: %w", err)
	}
	if err := os.Mkdir(namedDir, 0o755); err != nil {
		return fmt.Errorf("make room for named namespaces: %w", err)
	}
	// The old /proc would number processes as the old PID namespace does.
	if os.Getpid() == 1 {
		if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			return fmt.Errorf("mount /proc: %w", err)
		}
	}
	return RaiseLoopback()
}

// RaiseLoopback brings up the loopback device of the calling thread's
// namespace, which is down in a new one.
func RaiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	if request.Uint16()&unix.IFF_UP != 0 {
		return nil
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	return nil
}
