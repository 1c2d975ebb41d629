package tun

import (
	"errors"

	"github.com/vishvananda/netlink"
)

// dumpTries is how often a list is asked for before one that changed underway
// has to do. Where much changes all the time, a long list is never whole.
const dumpTries = 10

// whole asks for a list of the kernel's until one comes that nothing changed
// while it was made. The kernel hands long lists out in parts, and marks those
// that do not fit together (NLM_F_DUMP_INTR of netlink(7)). Without complete,
// entries may be missing from the list.
func whole[List any](ask func() (List, error)) (list List, complete bool, err error) {
	for range dumpTries {
		list, err = ask()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return list, err == nil, err
		}
	}
	return list, false, nil
}

// findLink looks a device of this thread's namespace up. Where the kernel
// cannot look for a name, package netlink looks through a list.
func findLink(name string) (netlink.Link, error) {
	link, _, err := whole(func() (netlink.Link, error) { return netlink.LinkByName(name) })
	return link, err
}
