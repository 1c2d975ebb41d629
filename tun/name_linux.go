package tun

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// namePeriod is how often a link looks where its namespace's name leads. That
// takes a microsecond or two. To be told instead, each link would hold an
// inotify instance, of which a user has 128 for all programs together.
const namePeriod = 2 * time.Second

// nameWatch notices that the file that a namespace was opened by is removed or
// leads elsewhere, as after "ip netns del". Nothing else tells: the device's
// descriptor keeps the namespace itself alive.
type nameWatch struct {
	path string
	ns   unix.Stat_t // the namespace that it led to
}

// watchName comes before the namespace is opened, so that a name that changes
// in between is noticed. It is nil for paths in /proc: these go with processes
// and descriptors, whose end is told otherwise or means nothing.
func watchName(path string) (*nameWatch, error) {
	if path == "" || strings.HasPrefix(path, "/proc/") {
		return nil, nil
	}
	n := &nameWatch{path: path}
	if err := unix.Stat(path, &n.ns); err != nil {
		return nil, fmt.Errorf("stat %s: %w", path, err)
	}
	return n, nil
}

// isGood reports whether the name leads where it did. One that may not be
// looked up for now is not known to lead elsewhere.
func (n *nameWatch) isGood() bool {
	var now unix.Stat_t
	if err := unix.Stat(n.path, &now); err != nil {
		return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR)
	}
	return now.Dev == n.ns.Dev && now.Ino == n.ns.Ino
}

// followName waits for the end of the namespace's name.
func (w *watch) followName() {
	tick := time.NewTicker(namePeriod)
	defer tick.Stop()
	for w.name.isGood() {
		select {
		case <-tick.C:
		case <-w.halted:
			return
		}
	}
	w.removed(fmt.Errorf("network namespace %s was deleted", w.name.path))
}
