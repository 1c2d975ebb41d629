package netnstest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"umroute/tun/netns"
)

// What the environment tells. The last three are Main's own: how far the
// way into the namespaces has come, what is prepared there, and why it ended.
const (
	requireVar = "UMROUTE_REQUIRE_NETNS"
	userVar    = "UMROUTE_TEST_USER"
	stageVar   = "UMROUTE_NETNSTEST_STAGE"
	dirVar     = "UMROUTE_NETNSTEST_DIR"
	reasonVar  = "UMROUTE_NETNSTEST_REASON"
)

// The stages, in order. The two in the middle are for root alone.
const (
	stageMounts = "mounts" // in a mount namespace, still as root
	stageUser   = "user"   // as the user that UMROUTE_TEST_USER names
	stageInside = "inside" // in all namespaces
	stageReady  = "ready"  // and these are furnished
)

// exitNoProc says that a PID namespace is no use here, since /proc cannot be
// mounted for it.
const exitNoProc = 121

// The user and group that nobody has everywhere.
const nobodyID = 65534

const tunNode = "/dev/net/tun"

// Main runs a package's tests in namespaces of their own and exits with their
// status. Where that cannot be, it runs them where they are, and Require skips
// those that need more.
func Main(m *testing.M) {
	// The next process lives as long as this thread (see netns.Isolate).
	runtime.LockOSThread()
	code, err := enter(os.Getenv(stageVar))
	switch {
	case errors.Is(err, errArrived):
		code = m.Run()
	case err != nil && os.Getenv(stageVar) == "":
		os.Setenv(reasonVar, err.Error())
		code = m.Run()
	case err != nil:
		fmt.Fprintln(os.Stderr, "netnstest:", err)
		code = 1
	}
	os.Exit(code)
}

// errArrived says that this process is the one to run the tests.
var errArrived = errors.New("in the namespaces")

// enter takes one step: it starts the next process and waits for it.
func enter(stage string) (code int, err error) {
	switch stage {
	case "":
		if os.Geteuid() == 0 {
			return asRoot()
		}
		return isolated()
	case stageMounts:
		if err := prepare(os.Getenv(dirVar)); err != nil {
			fmt.Fprintln(os.Stderr, "netnstest: tests as ordinary users may fail:", err)
		}
		if os.Getenv(userVar) != "" {
			return rerun(stageUser, &syscall.SysProcAttr{
				Credential: &syscall.Credential{Uid: nobodyID, Gid: nobodyID},
				Pdeathsig:  syscall.SIGKILL,
			})
		}
		return isolated()
	case stageUser:
		return isolated()
	case stageInside:
		if err := netns.Furnish(); err != nil {
			if os.Getpid() == 1 {
				return exitNoProc, nil
			}
			return 0, err
		}
		os.Setenv(stageVar, stageReady)
	}
	return 0, errArrived
}

// asRoot goes by a mount namespace, where root prepares what only root can.
func asRoot() (int, error) {
	if user := os.Getenv(userVar); user != "" && user != "nobody" {
		fmt.Fprintf(os.Stderr, "netnstest: %s=%s: only nobody is known\n", userVar, user)
		return 2, nil
	}
	dir, err := os.MkdirTemp("", "netnstest-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(dir) // what is in it goes with its mount
	os.Setenv(dirVar, dir)
	return rerun(stageMounts, &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	})
}

// prepare puts this program and a TUN node where every user can use them, as
// they could on most machines.
func prepare(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	program := filepath.Join(dir, filepath.Base(os.Args[0]))
	if err := copyProgram(program); err != nil {
		return err
	}
	os.Args[0] = program
	node := filepath.Join(dir, "tun")
	// Documentation/admin-guide/devices.txt of Linux: misc device 200.
	if err := unix.Mknod(node, unix.S_IFCHR|0o666, int(unix.Mkdev(10, 200))); err != nil {
		return fmt.Errorf("make a TUN node: %w", err)
	}
	if err := os.Chmod(node, 0o666); err != nil {
		return err
	}
	if err := unix.Mount(node, tunNode, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("put the TUN node in place: %w", err)
	}
	return nil
}

// copyProgram copies what this process runs. The go command builds tests where
// only their owner can reach them.
func copyProgram(path string) error {
	source, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// isolated goes into the namespaces, without a PID namespace where that fails.
func isolated() (code int, err error) {
	for _, pids := range []bool{true, false} {
		cmd := &exec.Cmd{}
		if err := netns.Isolate(cmd, pids); err != nil {
			return 0, err
		}
		code, err = rerun(stageInside, cmd.SysProcAttr)
		if err == nil && code != exitNoProc {
			return code, nil
		}
	}
	return code, err
}

// rerun runs this program again, as the next stage, and returns its status.
func rerun(stage string, attr *syscall.SysProcAttr) (int, error) {
	cmd := exec.Command(os.Args[0])
	cmd.Args = arguments()
	cmd.Env = append(os.Environ(), stageVar+"="+stage)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start the tests in namespaces: %w", err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code, nil
	}
	return 1, nil // ended by a signal
}

// arguments are this program's own, without the log that the go command keeps
// its test cache by: another user could not write it.
func arguments() []string {
	var args []string
	for _, arg := range os.Args {
		if os.Getenv(userVar) == "" || !strings.HasPrefix(arg, "-test.testlogfile=") {
			args = append(args, arg)
		}
	}
	return args
}

// Require skips a test that needs namespaces and TUN devices where they cannot
// be had, and fails it where UMROUTE_REQUIRE_NETNS is 1.
func Require(t testing.TB) {
	t.Helper()
	// Read here, both are part of what a cached result depends on.
	required, _ := os.Getenv(requireVar), os.Getenv(userVar)
	err := missing()
	switch {
	case err == nil:
	case required == "1":
		t.Fatalf("%s=1: %v", requireVar, err)
	default:
		t.Skip(err)
	}
}

// missing says what keeps a test from running.
func missing() error {
	if os.Getenv(stageVar) != stageReady {
		reason := os.Getenv(reasonVar)
		if reason == "" {
			reason = "the package's TestMain does not call netnstest.Main"
		}
		return fmt.Errorf("no namespaces for tests: %s", reason)
	}
	fd, err := unix.Open(tunNode, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("no TUN devices for tests: open %s: %w", tunNode, err)
	}
	return unix.Close(fd)
}
