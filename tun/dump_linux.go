package tun

import (
	"errors"

	"github.com/vishvananda/netlink"
)

// dumpTries is how often a list is asked for before an answer that changed
// underway counts as an error. Each time something else in the namespace must
// have changed within a fraction of a millisecond.
const dumpTries = 10

// whole asks for a list of the kernel's until one comes that nothing changed
// while it was made. The kernel hands long lists out in parts, and marks those
// that do not fit together (NLM_F_DUMP_INTR of netlink(7)).
func whole[List any](ask func() (List, error)) (list List, err error) {
	for range dumpTries {
		list, err = ask()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return list, err
}

// findLink looks a device of this thread's namespace up. Where the kernel
// cannot look for a name, package netlink looks through a list.
func findLink(name string) (netlink.Link, error) {
	return whole(func() (netlink.Link, error) { return netlink.LinkByName(name) })
}
