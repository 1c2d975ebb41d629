package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umroute/cmd/umroute/internal/control"
	"umroute/tun/netns/netnstest"
)

// user is somebody without any privilege, in a user namespace.
type user struct {
	t       testing.TB
	program string // umroute
	init    int    // a process that holds the user namespace
}

// newUser makes a user for the test.
func newUser(t testing.TB) *user {
	t.Helper()
	netnstest.Require(t)
	u := &user{t: t, program: filepath.Join(t.TempDir(), programName)}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, u.program); err != nil {
		t.Fatal(err)
	}
	holder := exec.Command("sleep", "600")
	holder.SysProcAttr = powerless()
	u.init = start(t, holder)
	return u
}

// start starts a command that ends with the test.
func start(t testing.TB, cmd *exec.Cmd) (pid int) {
	t.Helper()
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", cmd, output.String())
		}
	})
	return cmd.Process.Pid
}

// command is a command that the user runs.
func (u *user) command(name string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--user", "--preserve-credentials",
		"--target", strconv.Itoa(u.init), "--", name}, args...)...)
}

// startRouter has the user run a router.
func (u *user) startRouter(args ...string) *process {
	u.t.Helper()
	socket := filepath.Join(u.t.TempDir(), "router.sock")
	p := &process{t: u.t, socket: socket, control: control.Dial(socket),
		ended: make(chan struct{})}
	p.cmd = u.command(u.program, append([]string{"run", "--socket", socket}, args...)...)
	p.cmd.Stderr = &p.log
	p.begin()
	p.awaitReady()
	p.checkPowerless()
	return p
}

// run runs a umroute command as the user; it must succeed.
func (u *user) run(args ...string) (stdout string) {
	u.t.Helper()
	cmd := u.command(u.program, args...)
	cmd.Stderr = u.t.Output()
	output, err := cmd.Output()
	if err != nil {
		u.t.Fatalf("umroute %q: %v", args, err)
	}
	return string(output)
}

// container is a process with a network namespace of its own.
type container struct {
	pid int
	end func()
}

// engines start containers as the user, in the ways that there are.
var engines = map[string]func(*user) container{
	"unshare": func(u *user) container {
		return u.contain(u.command("unshare", "--user", "--map-root-user", "--net",
			"sleep", "600"))
	},
	"unshare as oneself": func(u *user) container {
		return u.contain(u.command("unshare", "--user", "--map-current-user", "--net",
			"sleep", "600"))
	},
	"bubblewrap": func(u *user) container {
		return u.contain(u.command("bwrap", "--unshare-user", "--unshare-net", "--die-with-parent",
			"--dev-bind", "/", "/", "sleep", "600"))
	},
	"podman": (*user).podman,
}

// contain starts a command and finds the process in the new namespace.
func (u *user) contain(cmd *exec.Cmd) container {
	u.t.Helper()
	if _, err := exec.LookPath(cmd.Args[6]); err != nil {
		u.t.Skip(err)
	}
	pid := start(u.t, cmd)
	end := func() { _ = cmd.Process.Kill() }
	return container{pid: u.inner(pid), end: end}
}

// inner finds the process, pid or a child of it, that is in another network
// namespace than this one.
func (u *user) inner(pid int) (found int) {
	u.t.Helper()
	eventually(u.t, "the container runs", func() bool {
		for _, candidate := range append(children(pid), pid) {
			var here, there unix.Stat_t
			path := fmt.Sprintf("/proc/%d/ns/net", candidate)
			if unix.Stat(path, &there) == nil && unix.Stat("/proc/self/ns/net", &here) == nil &&
				here.Ino != there.Ino {
				found = candidate
				return true
			}
		}
		return false
	})
	return found
}

// children are the processes that a process has started.
func children(pid int) (pids []int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	for _, field := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}

// podman starts a container from a root filesystem that has one program.
func (u *user) podman() container {
	u.t.Helper()
	root, home := u.dir(), u.dir()
	if err := copyWithLibraries(root, "sleep"); err != nil {
		u.t.Skip(err)
	}
	pidFile := filepath.Join(u.dir(), "pid")
	cmd := u.commandWithCgroups("podman", "--cgroup-manager=cgroupfs", "--root", home+"/store",
		"--runroot", home+"/run", "--storage-driver", "vfs", "run", "--cgroups=disabled",
		"--network=none", "--pidfile", pidFile, "--rootfs", root, "/bin/sleep", "600")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_RUNTIME_DIR="+home)
	if _, err := exec.LookPath("podman"); err != nil {
		u.t.Skip(err)
	}
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	u.t.Cleanup(func() { _ = cmd.Process.Kill() })
	pid := 0
	eventually(u.t, "the container runs", func() bool {
		select {
		case err := <-ended:
			u.t.Skipf("podman can't run here: %v: %s", err, output.String())
		default:
		}
		text, err := os.ReadFile(pidFile)
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err == nil
	})
	end := func() { _ = unix.Kill(pid, unix.SIGKILL) }
	u.t.Cleanup(end)
	return container{pid: pid, end: end}
}

// dir is a directory that processes of podman may still write to when the test
// is over. /run is the tests' own and goes with them.
func (u *user) dir() string {
	u.t.Helper()
	dir, err := os.MkdirTemp("/run", "podman-")
	if err != nil {
		u.t.Fatal(err)
	}
	return dir
}

// commandWithCgroups is a command that sees version 2 of the control groups
// alone: container engines refuse a mixture. Its home is empty, and goes with
// the last process.
func (u *user) commandWithCgroups(name string, args ...string) *exec.Cmd {
	const script = `mount -t cgroup2 none /sys/fs/cgroup && mount -t tmpfs none "$HOME" &&
		mount -t tmpfs none /dev/shm && chmod 777 "$HOME" /dev/shm && exec "$@"`
	inner := u.command(name, args...)
	return exec.Command("unshare", append([]string{"--mount", "--cgroup", "--",
		"sh", "-c", script, "sh"}, inner.Args...)...)
}

// copyWithLibraries puts a program and what it is linked with into a root
// filesystem.
func copyWithLibraries(root, name string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	output, err := exec.Command("ldd", path).Output()
	if err != nil {
		return fmt.Errorf("ldd %s: %w", path, err)
	}
	files := map[string]string{path: "/bin/" + name}
	for field := range strings.FieldsSeq(string(output)) {
		if filepath.IsAbs(field) {
			files[field] = field
		}
	}
	for from, to := range files {
		text, err := os.ReadFile(from)
		to = filepath.Join(root, to)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o755),
			os.WriteFile(to, text, 0o755))
		if err != nil {
			return err
		}
	}
	for _, dir := range []string{"proc", "dev", "sys", "tmp", "etc", "run", "var/tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	return nil
}
