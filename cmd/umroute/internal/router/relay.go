package router

import (
	"math"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"umroute/cmd/umroute/internal/config"
	"umroute/cmd/umroute/internal/control"
	"umroute/routing/relay"
	"umroute/tun"
)

// relays runs routing/relay. It is no client of a Multicast Group Manager: what it
// carries is not forwarded.
type relays struct {
	router     *Router
	relay      *relay.Relay // the loop's
	interfaces map[uint32]*iface
	rules      []relay.Rule
	received   map[uint32][]netip.AddrPort // by sockets of the host
	filter     atomic.Pointer[relay.Filter]
	missed     atomic.Uint64 // packets that the loop was too busy for
}

func newRelays(r *Router) *relays {
	s := &relays{router: r, interfaces: make(map[uint32]*iface),
		received: make(map[uint32][]netip.AddrPort)}
	s.relay = relay.New(relay.Config{Sender: s, Routes: r.rib,
		Logger: r.log.With("protocol", "relay")})
	r.loop.relay = s.relay.Handle
	return s
}

// ethernetHeaderLen is what stands before the packets of a TAP.
const ethernetHeaderLen = 14

// offer takes a packet that is not forwarded, of which it keeps nothing, and hands
// it to the loop if it may be for the relay. Workers call it.
func (s *relays) offer(i *iface, frame []byte) {
	filter := s.filter.Load()
	if filter == nil {
		return
	}
	if i.device.Kind() == tun.KindTAP {
		frame = frame[min(len(frame), ethernetHeaderLen):]
	}
	if !filter.Wants(i.index, frame) {
		return
	}
	if !s.router.loop.offer(i.index, frame) {
		s.missed.Add(1)
	}
}

// Send implements relay.Sender.
func (s *relays) Send(index uint32, packet []byte) error {
	i := s.interfaces[index]
	if i == nil || i.host == nil {
		return s.router.stack.Send(index, packet)
	}
	frame := append(make([]byte, tun.VirtioHeaderLen, tun.VirtioHeaderLen+len(packet)), packet...)
	_, err := i.host.Write([][]byte{frame})
	return err
}

// Configure implements protocol.
func (s *relays) Configure(_ time.Time, settings *config.Protocols) error {
	s.rules = nil
	for _, each := range settings.Relay {
		s.rules = append(s.rules, relay.Rule(each))
	}
	s.relay.SetRules(s.rules)
	for _, i := range s.interfaces {
		s.divert(i)
	}
	s.refilter()
	return nil
}

// AddInterface implements protocol.
func (s *relays) AddInterface(_ time.Time, i *iface) {
	s.interfaces[i.index] = i
	link := relay.Link{Index: i.index, Name: i.config.Name, MTU: i.device.MTU()}
	for _, p := range i.config.Addresses {
		link.Addresses = append(link.Addresses, p.Addr())
	}
	if i.host != nil {
		link.Replaces, link.MTU = true, math.MaxUint16 // the kernel fragments
	} else if local := s.router.stack.LinkLocal(i.index); local.IsValid() {
		link.Addresses = append(link.Addresses, local)
	}
	s.relay.AddLink(link)
	s.divert(i)
	s.refilter()
}

// RemoveInterface implements protocol.
func (s *relays) RemoveInterface(_ time.Time, i *iface) {
	s.relay.RemoveLink(i.index)
	delete(s.interfaces, i.index)
	delete(s.received, i.index)
	s.refilter()
}

// SetLink implements protocol.
func (s *relays) SetLink(_ time.Time, i *iface, up bool) { s.relay.SetUp(i.index, up) }

// refilter has the workers know what is relayed; nil is nothing.
func (s *relays) refilter() {
	if len(s.rules) == 0 {
		s.filter.Store(nil)
		return
	}
	s.filter.Store(s.relay.Filter())
}

// divert has an interface bring what is relayed: groups that would be forwarded are
// not, and the host's sockets receive theirs.
func (s *relays) divert(i *iface) {
	groups := s.relay.Groups(i.config.Name)
	var punted []netip.Prefix
	for _, group := range groups {
		punted = append(punted, netip.PrefixFrom(group.Addr(), group.Addr().BitLen()))
	}
	before := i.state.punted.Swap(&punted)
	if len(punted) > 0 || before != nil && len(*before) > 0 {
		if err := s.router.forwarder.UpdateInterface(i.forwarding()); err != nil {
			s.router.log.Error("groups not relayed", "if", i.config.Name, "err", err)
		}
	}
	if i.host != nil {
		s.receive(i, groups)
	}
}

// receive has the host's sockets receive these groups, and no others for the relay.
func (s *relays) receive(i *iface, groups []netip.AddrPort) {
	for _, group := range s.received[i.index] {
		if !slices.Contains(groups, group) {
			s.set(i, group, false)
		}
	}
	for _, group := range groups {
		if !slices.Contains(s.received[i.index], group) {
			s.set(i, group, true)
		}
	}
	s.received[i.index] = groups
}

func (s *relays) set(i *iface, group netip.AddrPort, on bool) {
	if err := i.host.SetReceived(group, on); err != nil {
		s.router.log.Error("group not relayed from the host's network", "if", i.config.Name,
			"group", group, "err", err)
	}
}

// Advance implements machine.
func (s *relays) Advance(now time.Time) { s.relay.Advance(now) }

// Deadline implements machine.
func (s *relays) Deadline() (time.Time, bool) { return s.relay.Deadline() }

// Stop implements protocol. No neighbour needs a word.
func (s *relays) Stop(time.Time) {}

// Status implements protocol.
func (s *relays) Status(time.Time) []control.Protocol {
	if len(s.rules) == 0 {
		return nil
	}
	status := s.relay.Status()
	document := control.Protocol{Name: "relay", Interfaces: []string{},
		Alerts: map[string]uint64{},
		Relay:  &control.Relay{Relayed: status.Relayed, Dropped: status.Dropped}}
	if n := s.missed.Load(); n > 0 {
		document.Relay.Dropped["queue"] = n
	}
	for _, rule := range status.Rules {
		each := control.RelayRule{Groups: []string{}, Interfaces: rule.Interfaces,
			Rate: rule.Rate, Received: rule.Received, Relayed: rule.Relayed}
		for _, group := range rule.Groups {
			each.Groups = append(each.Groups, group.String())
		}
		document.Relay.Rules = append(document.Relay.Rules, each)
		for _, name := range rule.Interfaces {
			if !slices.Contains(document.Interfaces, name) {
				document.Interfaces = append(document.Interfaces, name)
			}
		}
	}
	return []control.Protocol{document}
}
