package flood

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"umroute/bench/topology"
)

// perSocket is how many groups one socket may be a member of as kernels come
// (net.ipv4.igmp_max_memberships).
const perSocket = 20

// Members makes hosts members of groups until it is closed.
type Members struct{ sockets []int }

// Join makes the first n receivers of t members of groups. It returns when
// their kernels know; what a router knows by then is another question.
func Join(t *topology.Topology, n int, groups []netip.Addr) (*Members, error) {
	m := new(Members)
	for _, h := range t.Receivers()[:n] {
		err := h.Namespace.Do(func() error {
			device, err := net.InterfaceByName(topology.Device)
			if err != nil {
				return fmt.Errorf("find %s: %w", topology.Device, err)
			}
			for at := 0; at < len(groups) && err == nil; at += perSocket {
				err = m.join(device, groups[at:min(at+perSocket, len(groups))])
			}
			return err
		})
		if err != nil {
			m.Close()
			return nil, err
		}
	}
	return m, nil
}

func (m *Members) join(device *net.Interface, groups []netip.Addr) error {
	fd, err := udpSocket(groups[0].Is6())
	if err != nil {
		return err
	}
	m.sockets = append(m.sockets, fd)
	for _, g := range groups {
		if err := join(fd, g, device.Index); err != nil {
			return fmt.Errorf("receive on %s: %w", device.Name, err)
		}
	}
	return nil
}

// Close ends the memberships.
func (m *Members) Close() {
	for _, fd := range m.sockets {
		unix.Close(fd)
	}
	m.sockets = nil
}
