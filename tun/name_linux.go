package tun

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// nameWatch notices that the file that a namespace was opened by is removed or
// leads elsewhere, as after "ip netns del". Nothing else tells: the device's
// descriptor keeps the namespace itself alive.
type nameWatch struct {
	path    string
	ns      unix.Stat_t // the namespace that it led to
	changes *os.File    // inotify(7) of the folder
}

// watchName comes before the namespace is opened, so that a name that changes
// in between is noticed. It is nil for paths in /proc: these go with processes
// and descriptors, and inotify does not tell of them.
func watchName(path string) (*nameWatch, error) {
	if path == "" || strings.HasPrefix(path, "/proc/") {
		return nil, nil
	}
	n := &nameWatch{path: path}
	if err := unix.Stat(path, &n.ns); err != nil {
		return nil, fmt.Errorf("stat %s: %w", path, err)
	}
	// A user has fs.inotify.max_user_instances of these, 128 by default.
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make an inotify instance: %w", err)
	}
	dir := filepath.Dir(path)
	const mask = unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO
	if _, err := unix.InotifyAddWatch(fd, dir, mask); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("watch folder %s: %w", dir, err)
	}
	n.changes = os.NewFile(uintptr(fd), "inotify")
	return n, nil
}

// file is nil without a watch.
func (n *nameWatch) file() *os.File {
	if n == nil {
		return nil
	}
	return n.changes
}

// isGood reports whether the name leads where it did. That is looked up after
// every change of the folder, which are few, whichever name they are about.
func (n *nameWatch) isGood() bool {
	var now unix.Stat_t
	return unix.Stat(n.path, &now) == nil && now.Dev == n.ns.Dev && now.Ino == n.ns.Ino
}

// followName waits for the end of the namespace's name.
func (w *watch) followName() {
	buf := make([]byte, 4096)
	for {
		if _, err := w.name.changes.Read(buf); err != nil {
			return
		}
		if !w.name.isGood() {
			w.removed(fmt.Errorf("network namespace %s was deleted", w.name.path))
			return
		}
	}
}
