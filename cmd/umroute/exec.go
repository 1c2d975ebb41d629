package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"umroute/cmd/umroute/internal/control"
)

// execHelper is the first argument that this program starts itself with in a
// new namespace, to wait there until that is attached.
const execHelper = "execute-when-attached"

// execGate is the descriptor of the pipe that the helper waits at.
const execGate = 3

// exitStatus is an error that is nothing but the status to exit with.
type exitStatus int

func (s exitStatus) Error() string { return "exit status " + strconv.Itoa(int(s)) }

func execCommand() *cli.Command {
	return &cli.Command{
		Name: "exec", ArgsUsage: "[--] COMMAND [ARGUMENT]...",
		Usage: "run a command in a new network namespace that is attached to a running router",
		Description: "It needs no privilege. The exit status is the command's, 128 and its number " +
			"if a signal\nended it. The interface is removed with the command.",
		Flags: routerFlags(append([]cli.Flag{
			&cli.StringFlag{Name: "as", Usage: "the `NAME` of the interface (default: exec-PID)"},
			&cli.BoolFlag{Name: "root", Usage: "be root in the namespace, with every right there"},
		}, addressFlags()...)...),
		Action: func(c *cli.Context) error {
			if !c.Args().Present() {
				return usagef("exec: give a COMMAND, behind the flags")
			}
			client, err := dial(c)
			if err != nil {
				return err
			}
			return execAttached(c, client)
		},
	}
}

// execAttached starts the command, attaches its namespace and waits for its end.
func execAttached(c *cli.Context, client *control.Client) error {
	runtime.LockOSThread() // the command ends with the thread that started it
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP,
		unix.SIGUSR1, unix.SIGUSR2)
	defer signal.Stop(signals)
	cmd, gate, err := startGated(c.Args().Slice(), c.Bool("root"))
	if err != nil {
		return err
	}
	defer gate.Close()
	name := c.String("as")
	if name == "" {
		name = fmt.Sprintf("exec-%d", cmd.Process.Pid)
	}
	if _, err := attachTo(c, client, name, fmt.Sprintf("pid:%d", cmd.Process.Pid)); err != nil {
		gate.Close() // which ends the helper
		_ = cmd.Wait()
		return err
	}
	// The command may end before the router notices.
	defer func() { _ = client.Detach(context.WithoutCancel(c.Context), name) }()
	go forwardSignals(signals, cmd.Process)
	if _, err := gate.Write([]byte{1}); err != nil {
		return fmt.Errorf("start the command: %w", err)
	}
	gate.Close()
	err = cmd.Wait()
	ended, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case !exited:
		return err
	case ended.Sys().(syscall.WaitStatus).Signaled():
		return exitStatus(128 + ended.Sys().(syscall.WaitStatus).Signal())
	}
	return exitStatus(ended.ExitCode())
}

// startGated starts a process in new namespaces that becomes the command once a
// byte is written to gate, and ends if that is closed before.
func startGated(command []string, root bool) (cmd *exec.Cmd, gate *os.File, err error) {
	if _, err := exec.LookPath(command[0]); err != nil {
		return nil, nil, fmt.Errorf("exec: %w", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer read.Close()
	cmd = exec.Command("/proc/self/exe", append([]string{execHelper}, command...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{read}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET,
		Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		inNewUserNamespace(cmd.SysProcAttr, root)
	}
	if err := cmd.Start(); err != nil {
		write.Close()
		return nil, nil, fmt.Errorf("make a network namespace: %w", err)
	}
	return cmd, write, nil
}

// inNewUserNamespace gives the right to make a network namespace. The user stays
// who it is, unless it is to be root.
func inNewUserNamespace(attr *syscall.SysProcAttr, root bool) {
	uid, gid := os.Geteuid(), os.Getegid()
	if root {
		uid, gid = 0, 0
	}
	attr.Cloneflags |= unix.CLONE_NEWUSER
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: os.Getegid(), Size: 1}}
}

// forwardSignals hands signals on to the command. Those of the terminal's keys
// it gets by itself.
func forwardSignals(signals <-chan os.Signal, command *os.Process) {
	_, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS)
	terminal := err == nil
	for s := range signals {
		if terminal && (s == unix.SIGINT || s == unix.SIGQUIT) {
			continue
		}
		_ = command.Signal(s) // it may have ended
	}
}

// runWhenAttached is the helper: it waits and becomes the command.
func runWhenAttached(command []string) int {
	gate := os.NewFile(execGate, "gate")
	if _, err := io.ReadFull(gate, make([]byte, 1)); err != nil {
		return statusFailed // who asked has said why
	}
	gate.Close()
	path, err := exec.LookPath(command[0])
	if err == nil {
		err = syscall.Exec(path, command, os.Environ())
	}
	fmt.Fprintf(os.Stderr, "umroute: exec %s: %v\n", command[0], err)
	return statusFailed
}
