package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// namedDir is where iproute2 keeps the namespaces that have names.
const namedDir = "/run/netns"

// Resolve turns the name of a network namespace into a path for [Do]: a name
// under /run/netns, an absolute path, "pid:N", and "" or "self" for the
// namespace of this process, whose path is "". It reports a namespace that
// does not exist and a path that leads to something else; whether the caller
// may enter is seen only on entering.
func Resolve(spec string) (string, error) {
	path, hint, err := locate(spec)
	if err != nil || path == "" {
		return "", err
	}
	if err := check(path); err != nil {
		if hint != "" && errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("network namespace %q: %s: %w (%s)", spec, path, err, hint)
		}
		return "", fmt.Errorf("network namespace %q: %s: %w", spec, path, err)
	}
	return path, nil
}

// locate maps a name to a path, and says what to do where nothing is there.
func locate(spec string) (path, hint string, err error) {
	switch {
	case spec == "" || spec == "self":
		return "", "", nil
	case strings.HasPrefix(spec, "pid:"):
		pid, err := PID(spec)
		if err != nil {
			return "", "", err
		}
		return fmt.Sprintf("/proc/%d/ns/net", pid), fmt.Sprintf("is process %d running?", pid), nil
	case filepath.IsAbs(spec):
		return spec, "", nil
	case strings.ContainsRune(spec, '/') || spec == "." || spec == "..":
		return "", "", fmt.Errorf("network namespace %q: "+
			"want a name under %s, an absolute path, pid:N or self", spec, namedDir)
	}
	return filepath.Join(namedDir, spec), "ip netns add " + spec + " makes it", nil
}

// PID is the N of "pid:N", and 0 for every other form of name. It fails where
// N is not a positive number.
func PID(spec string) (int, error) {
	digits, ok := strings.CutPrefix(spec, "pid:")
	if !ok {
		return 0, nil
	}
	pid, err := strconv.Atoi(digits)
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("network namespace %q: want a process ID, as in pid:4711", spec)
	}
	return pid, nil
}

// errNotNamespace says that a path exists and is something else.
var errNotNamespace = errors.New("not a network namespace")

// check opens what a path leads to and asks the kernel which kind of namespace
// it is.
func check(path string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return err
	}
	// A name whose mount is gone is an empty file of another file system.
	if stat.Type != unix.NSFS_MAGIC {
		return errNotNamespace
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	if err != nil || kind != unix.CLONE_NEWNET {
		return errNotNamespace
	}
	return nil
}
