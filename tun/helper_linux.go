package tun

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// HelperCommand is the first argument that a program starts itself with to get
// a device out of a namespace that it may not enter. A main function that sees
// it calls [RunHelper] before anything else.
const HelperCommand = "open-device-for-parent"

// helperEnter is the helper's argument that has it join namespaces first.
const helperEnter = "enter"

// helperTimeout bounds how long a helper may take. One takes milliseconds.
const helperTimeout = 10 * time.Second

// maxRequest bounds what a helper reads: a Config in JSON.
const maxRequest = 64 << 10

// The helper's descriptors, in the order of exec.Cmd.ExtraFiles.
const (
	helperConn   = 3 + iota // a socket to the parent
	helperUserNS            // the user namespace to join
	helperNetNS             // the network namespace to join
)

// RunHelper opens the device that the parent process asks for in the namespace
// that it runs in, hands it over and returns the exit status. See
// [HelperCommand]; args are those that follow it.
func RunHelper(args []string) int {
	if len(args) == 1 && args[0] == ringTrial {
		return runRingTrial()
	}
	if err := helpParent(args); err != nil {
		fmt.Fprintln(os.Stderr, "open a device for the parent process:", err)
		return 1
	}
	return 0
}

// helpParent answers one request. Errors of the device go to the parent; those
// that it returns are of the conversation itself.
func helpParent(args []string) error {
	var enterErr error
	switch {
	case len(args) == 1 && args[0] == helperEnter:
		if enterErr = enterAndHelp(); enterErr == nil {
			return nil
		}
	case len(args) > 0:
		return fmt.Errorf("unexpected arguments %q", args)
	}
	conn, err := unixConn(os.NewFile(helperConn, "parent"))
	if err != nil {
		return fmt.Errorf("%w (only %s itself runs this command)", err, os.Args[0])
	}
	defer conn.Close()
	if enterErr != nil {
		return refuse(conn, enterErr)
	}
	var config Config
	if err := json.NewDecoder(io.LimitReader(conn, maxRequest)).Decode(&config); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	d, err := helpWith(config)
	if err != nil {
		return refuse(conn, err)
	}
	defer d.close()
	return d.send(conn)
}

// enterAndHelp has this program answer the request in the namespaces. It leaves
// the socket alone.
func enterAndHelp() error {
	status, err := runJoined(helperUserNS, helperNetNS, HelperCommand)
	if err != nil {
		return fmt.Errorf("enter the namespaces: %w", err)
	}
	if status != 0 {
		return fmt.Errorf("the helper ended with status %d", status)
	}
	return nil
}

// refuse tells the parent what went wrong.
func refuse(conn *net.UnixConn, err error) error {
	answer := notice{Version: noticeVersion, Error: err.Error()}
	errors.As(err, &answer.Errno)
	return answer.send(conn)
}

// helpWith does what Open does once it is in the namespace.
func helpWith(config Config) (device, error) {
	config, err := config.withDefaults()
	if err != nil {
		return device{}, err
	}
	return openHere(config, true)
}

// openThroughHelper opens a device in a namespace that belongs to a user
// namespace below this process's own. refusal is why the namespace could not be
// entered directly.
func openThroughHelper(config Config, path string, refusal error) (device, error) {
	files, err := helperFiles(path)
	if err != nil {
		return device{}, fmt.Errorf("%w (%w)", refusal, err)
	}
	defer closeFiles(files)
	d, err := runHelper(files, config)
	if err != nil {
		return device{}, fmt.Errorf("through a helper: %w", err)
	}
	return d, nil
}

// helperFiles opens what the helper inherits beside its socket.
func helperFiles(path string) (files []*os.File, err error) {
	ns, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	owner, err := unix.IoctlRetInt(int(ns.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		ns.Close()
		return nil, errors.New("it belongs to somebody else: needs CAP_SYS_ADMIN")
	}
	files = []*os.File{os.NewFile(uintptr(owner), "user namespace"), ns}
	if isOwnUserNamespace(owner) {
		closeFiles(files)
		return nil, errors.New("needs CAP_SYS_ADMIN")
	}
	return files, nil
}

// isOwnUserNamespace spares a helper that could do no more than this process.
func isOwnUserNamespace(fd int) bool {
	var own, other unix.Stat_t
	return unix.Stat("/proc/self/ns/user", &own) == nil && unix.Fstat(fd, &other) == nil &&
		own.Dev == other.Dev && own.Ino == other.Ino
}

// runHelper starts one helper and takes what it sends.
func runHelper(files []*os.File, config Config) (device, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return device{}, err
	}
	defer ours.Close()
	ctx, cancel := context.WithTimeout(context.Background(), helperTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", HelperCommand, helperEnter)
	cmd.Env = []string{} // it needs none of this process's secrets
	cmd.ExtraFiles = append([]*os.File{theirs}, files...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	err = cmd.Start()
	theirs.Close() // or the end of the helper would never be seen
	if err != nil {
		return device{}, fmt.Errorf("start it: %w", err)
	}
	d, err := askHelper(ours, config)
	if waitErr := cmd.Wait(); waitErr != nil && err != nil {
		// Without an answer, what it printed is all that is known.
		text := strings.TrimSpace(complaint.String())
		return device{}, fmt.Errorf("%s: %w", firstNonEmpty(text, err.Error()), waitErr)
	}
	return d, err
}

// askHelper sends the request and takes the answer.
func askHelper(conn *net.UnixConn, config Config) (device, error) {
	if err := conn.SetDeadline(time.Now().Add(helperTimeout)); err != nil {
		return device{}, err
	}
	config.Netns = "" // it runs in the namespace
	if err := json.NewEncoder(conn).Encode(config); err != nil {
		return device{}, fmt.Errorf("ask the helper: %w", err)
	}
	d, err := receiveDevice(conn, config)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return device{}, errors.New("the helper gave no answer")
	}
	return d, err
}

// socketPair makes the helper's connection. The other end is a file, since
// that is what a child inherits.
func socketPair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "helper")
	ours, err = unixConn(os.NewFile(uintptr(fds[0]), "parent"))
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// unixConn turns a file into a connection and closes the file.
func unixConn(file *os.File) (*net.UnixConn, error) {
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	if unixConn, ok := conn.(*net.UnixConn); ok {
		return unixConn, nil
	}
	conn.Close()
	return nil, fmt.Errorf("%s: not a unix socket", file.Name())
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

func firstNonEmpty(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
