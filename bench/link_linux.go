package bench

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/bench/result"
	"umroute/bench/topology"
)

// offloads are those that ethtool's older requests can ask for.
var offloads = []struct {
	name    string
	request uint32
}{
	{"rx-csum", unix.ETHTOOL_GRXCSUM}, {"tx-csum", unix.ETHTOOL_GTXCSUM},
	{"sg", unix.ETHTOOL_GSG}, {"tso", unix.ETHTOOL_GTSO}, {"gso", unix.ETHTOOL_GGSO},
	{"gro", unix.ETHTOOL_GGRO},
}

// linkFacts looks at the device of a host.
func linkFacts(h topology.Host) (facts result.LinkFacts, err error) {
	err = h.Namespace.Do(func() error {
		link, err := netlink.LinkByName(topology.Device)
		if err != nil {
			return fmt.Errorf("find %s: %w", topology.Device, err)
		}
		facts.QueueLen = int64(link.Attrs().TxQLen)
		facts.Offloads, err = offloadsOf(topology.Device)
		return err
	})
	return facts, err
}

// offloadsOf names the offloads of a device that are on. What it does not know
// it leaves out.
func offloadsOf(device string) (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("ask for offloads: %w", err)
	}
	defer unix.Close(fd)
	var on []string
	for _, o := range offloads {
		value := struct{ request, data uint32 }{request: o.request}
		request := struct {
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [16]byte
		}{data: unsafe.Pointer(&value)}
		copy(request.name[:unix.IFNAMSIZ-1], device)
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL,
			uintptr(unsafe.Pointer(&request)))
		if errno == 0 && value.data != 0 {
			on = append(on, o.name)
		}
	}
	return strings.Join(on, " "), nil
}
