package stack

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	netstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"umroute/tun"
)

// Errors that callers tell apart.
var (
	ErrUnknownInterface = errors.New("no such interface")
	ErrDown             = errors.New("interface is down")
	ErrClosed           = errors.New("stack is closed")
)

const (
	minimumMTU = 68 // RFC 791 §3.2
	maximumMTU = math.MaxUint16
)

// InterfaceConfig describes one link of the router.
type InterfaceConfig struct {
	Index        uint32           // 1 to 2147483647, the caller's
	Name         string           // unique
	Device       tun.Device       // stays the caller's, who closes it after RemoveInterface
	HardwareAddr net.HardwareAddr // the router's MAC address; needed for a TAP, unused elsewhere
	MTU          int              // of IP packets, 68 to 65535; 0 means the device's
	// Addresses are the router's. Without an IPv6 link-local one, the interface
	// gets a stable one of its own, if its MTU lets it speak IPv6.
	Addresses []netip.Prefix
}

// iface is one interface. Its fields are guarded by Stack.mu; the counters are
// atomic.
type iface struct {
	name      string
	link      *link
	addresses []netip.Prefix // all, with the link-local one
	linkLocal netip.Addr     // invalid where IPv6 is off
	up        bool

	validation SourceValidation

	counters   counters
	unresolved window // packets that begin to wait for a MAC address
}

func (i *iface) nic() tcpip.NICID { return tcpip.NICID(i.link.index) }

// has says whether an address is the interface's. There are few: a walk is as fast
// as a map.
func (i *iface) has(a netip.Addr) bool {
	for k := range i.addresses {
		if i.addresses[k].Addr() == a {
			return true
		}
	}
	return false
}

// onLink says whether an address lies in one of the interface's subnets.
func (i *iface) onLink(a netip.Addr) bool {
	for k := range i.addresses {
		if i.addresses[k].Contains(a) {
			return true
		}
	}
	return false
}

// AddInterface takes a link into the stack, up. On an error nothing changes.
func (s *Stack) AddInterface(config InterfaceConfig) error {
	if err := s.addInterface(config); err != nil {
		return fmt.Errorf("add interface %s: %w", config.Name, err)
	}
	s.log.Debug("interface added to the stack", "if", config.Name, "index", config.Index)
	return nil
}

func (s *Stack) addInterface(config InterfaceConfig) error {
	l, err := newLink(config)
	if err != nil {
		return err
	}
	i := &iface{name: config.Name, link: l, up: true}
	l.counters = &i.counters
	addresses, linkLocal, err := s.withLinkLocal(i, config.Addresses)
	if err != nil {
		return err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	for index, other := range s.interfaces {
		if index == l.index || other.name == config.Name {
			return fmt.Errorf("index %d is interface %s already", index, other.name)
		}
	}
	options := netstack.NICOptions{Name: i.name}
	if err := s.net.CreateNICWithOptions(i.nic(), l, options); err != nil {
		return failure("create interface", err)
	}
	s.interfaces[l.index] = i
	if err := s.assign(i, addresses, linkLocal); err != nil {
		s.detach(l.index)
		s.refresh()
		return err
	}
	s.refresh()
	return nil
}

// RemoveInterface takes a link out of the stack. When it returns, no packet of
// the link is inside the stack, and nothing new is written to its device.
func (s *Stack) RemoveInterface(index uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.interfaces[index]
	if !ok {
		return fmt.Errorf("remove interface %d: %w", index, ErrUnknownInterface)
	}
	s.detach(index)
	s.refresh()
	s.log.Debug("interface removed from the stack", "if", i.name, "index", index)
	return nil
}

// detach takes an interface out of gVisor and of the maps, with mu locked. The
// caller refreshes what is derived from them.
func (s *Stack) detach(index uint32) {
	i := s.interfaces[index]
	delete(s.interfaces, index)
	// It fails for an unknown interface only. It ends the interface's timers.
	_ = s.net.RemoveNIC(i.nic())
	for r := range s.installed {
		if r.Index == index {
			delete(s.installed, r) // gVisor has dropped them with the interface
		}
	}
}

// SetAddresses replaces an interface's addresses, with the rules of
// InterfaceConfig.Addresses. An address that stays is not disturbed.
func (s *Stack) SetAddresses(index uint32, addresses []netip.Prefix) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.interfaces[index]
	if !ok {
		return fmt.Errorf("set addresses of interface %d: %w", index, ErrUnknownInterface)
	}
	all, linkLocal, err := s.withLinkLocal(i, addresses)
	if err == nil {
		err = s.assign(i, all, linkLocal)
	}
	s.refresh()
	if err != nil {
		return fmt.Errorf("set addresses of interface %s: %w", i.name, err)
	}
	return nil
}

// withLinkLocal checks addresses, drops repetitions, and adds a link-local one
// where there is none and the link can carry IPv6.
func (s *Stack) withLinkLocal(i *iface, wanted []netip.Prefix) ([]netip.Prefix, netip.Addr, error) {
	var own netip.Addr
	mtu := int(i.link.MTU())
	all := make([]netip.Prefix, 0, len(wanted)+1)
	for _, p := range wanted {
		if err := checkAddress(p, mtu); err != nil {
			return nil, netip.Addr{}, err
		}
		if slices.ContainsFunc(all, func(q netip.Prefix) bool { return q.Addr() == p.Addr() }) {
			return nil, netip.Addr{}, fmt.Errorf("address %s: given twice", p)
		}
		all = append(all, p)
		if p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() && !own.IsValid() {
			own = p.Addr()
		}
	}
	if !own.IsValid() && mtu >= ipv6MinimumMTU {
		own = linkLocal(s.name, i.name)
		all = append(all, netip.PrefixFrom(own, 64))
	}
	return all, own, nil
}

// assign brings gVisor's addresses of an interface to those wanted. Old ones go
// first: one whose prefix length alone changes is the same address to gVisor. On an
// error i.addresses holds what gVisor has.
func (s *Stack) assign(i *iface, wanted []netip.Prefix, linkLocal netip.Addr) error {
	kept := i.addresses[:0:0]
	for _, p := range i.addresses {
		if slices.Contains(wanted, p) {
			kept = append(kept, p)
			continue
		}
		if err := s.net.RemoveAddress(i.nic(), toAddress(p.Addr())); err != nil {
			return failure("remove address "+p.String(), err)
		}
	}
	i.addresses = kept
	for _, p := range wanted {
		if slices.Contains(kept, p) {
			continue
		}
		err := s.net.AddProtocolAddress(i.nic(), toProtocolAddress(p), netstack.AddressProperties{})
		if err != nil {
			return failure("add address "+p.String(), err)
		}
		i.addresses = append(i.addresses, p)
	}
	i.linkLocal = linkLocal
	return nil
}

// SetUp tells the stack whether a link is up. While it is down, the stack sends
// nothing on it and forgets its neighbors; its addresses and routes stay. An
// unknown index is no error: a link's events may outlive it.
func (s *Stack) SetUp(index uint32, up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.interfaces[index]
	if !ok || i.up == up {
		return
	}
	i.up = up
	var err tcpip.Error
	if up {
		err = s.net.EnableNIC(i.nic())
	} else {
		err = s.net.DisableNIC(i.nic())
	}
	s.refresh()
	if err != nil {
		s.log.Error("interface state not set", "if", i.name, "up", up, "err", err.String())
	}
}

// LinkLocal returns the interface's IPv6 link-local address, the source of its
// MLD queries (RFC 9777 §5.1.14); the zero Addr where the index is unknown, or
// the link's MTU too small for IPv6.
func (s *Stack) LinkLocal(index uint32) netip.Addr {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i, ok := s.interfaces[index]; ok {
		return i.linkLocal
	}
	return netip.Addr{}
}

// Join makes the stack a member of a group on one link, so that it answers what
// is sent to the group, an echo to 224.0.0.2 for one. Nothing is reported on the
// link. Taps need no membership. Joins are counted.
func (s *Stack) Join(index uint32, group netip.Addr) error {
	return s.changeMembership("join", index, group, s.net.JoinGroup)
}

// Leave takes back one Join.
func (s *Stack) Leave(index uint32, group netip.Addr) error {
	return s.changeMembership("leave", index, group, s.net.LeaveGroup)
}

// changeMembership locks out packets like any change. gVisor keeps the count of
// joins, and drops it with the interface.
func (s *Stack) changeMembership(operation string, index uint32, group netip.Addr,
	change func(tcpip.NetworkProtocolNumber, tcpip.NICID, tcpip.Address) tcpip.Error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.interfaces[index]
	if !ok {
		return fmt.Errorf("%s %s on interface %d: %w", operation, group, index, ErrUnknownInterface)
	}
	if !group.IsMulticast() || group.Is4In6() {
		return fmt.Errorf("%s %s on %s: not a multicast group", operation, group, i.name)
	}
	if err := change(family(group), i.nic(), toAddress(group)); err != nil {
		return failure(fmt.Sprintf("%s %s on %s", operation, group, i.name), err)
	}
	return nil
}

// refresh derives what packets are tested against from the interfaces.
func (s *Stack) refresh() {
	s.local = newLocalAddresses(s.interfaces)
	s.installRoutes()
}

// newLink checks what can't be changed later.
func newLink(config InterfaceConfig) (*link, error) {
	if config.Index == 0 || config.Index > math.MaxInt32 {
		return nil, fmt.Errorf("index %d: not 1 to %d", config.Index, math.MaxInt32)
	}
	if config.Name == "" {
		return nil, errors.New("it has no name")
	}
	if config.Device == nil {
		return nil, errors.New("it has no device")
	}
	mtu := config.MTU
	if mtu == 0 {
		mtu = config.Device.MTU()
	}
	if mtu < minimumMTU || mtu > maximumMTU {
		return nil, fmt.Errorf("mtu %d: not %d to %d", mtu, minimumMTU, maximumMTU)
	}
	l := &link{index: config.Index, device: config.Device, mtu: uint32(mtu)}
	l.headers = tun.OffloadOf(config.Device) != tun.OffloadNone
	if !config.Device.Kind().Ethernet() {
		return l, nil
	}
	address := tcpip.LinkAddress(config.HardwareAddr)
	if len(address) != header.EthernetAddressSize ||
		!header.IsValidUnicastEthernetAddress(address) {
		return nil, fmt.Errorf("hardware address %q: not a unicast MAC address",
			config.HardwareAddr.String())
	}
	l.hardware = address
	return l, nil
}
