package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
)

// filter is what is wanted of a group: these sources, or all but these.
type filter struct {
	exclude bool
	sources []netip.Addr
}

// none says that nothing is wanted.
func (f filter) none() bool { return !f.exclude && len(f.sources) == 0 }

// union is what two want together (RFC 3376 section 3.2).
func (f filter) union(other filter) filter {
	switch {
	case f.exclude && other.exclude:
		return filter{true, slices.DeleteFunc(slices.Clone(f.sources), func(a netip.Addr) bool {
			return !slices.Contains(other.sources, a)
		})}
	case other.exclude:
		return other.union(f)
	case f.exclude:
		return filter{true, slices.DeleteFunc(slices.Clone(f.sources), func(a netip.Addr) bool {
			return slices.Contains(other.sources, a)
		})}
	}
	all := append(slices.Clone(f.sources), other.sources...)
	slices.SortFunc(all, netip.Addr.Compare)
	return filter{false, slices.Compact(all)}
}

// Member is one of those that join groups on a [Device]. What they want is
// received together.
type Member struct {
	device  *Device
	filters map[netip.Addr]filter
}

// Member makes one that has joined nothing.
func (d *Device) Member() *Member {
	return &Member{device: d, filters: make(map[netip.Addr]filter)}
}

// ErrNoPort says that no port is named for a group.
var ErrNoPort = errors.New("no port is named for it, and a socket receives one port only")

// SetFilter joins a group on the device with a source filter (RFC 3376 section
// 3.1): with exclude all sources but these are received, without only these, and
// with none of them the group is left. The kernel tells the neighbours. Where it
// cannot filter all sources that are to be excluded, some are received.
//
// A port that fails does not keep the others from working.
func (m *Member) SetFilter(group netip.Addr, exclude bool, sources []netip.Addr) error {
	f, d := filter{exclude: exclude, sources: slices.Clone(sources)}, m.device
	d.joining.Lock()
	defer d.joining.Unlock()
	if d.closed.Load() {
		return fmt.Errorf("join %s on %s: %w", group, d.name, os.ErrClosed)
	}
	ports := d.config.ports(group)
	if f.none() {
		delete(m.filters, group)
	} else {
		m.filters[group] = f
	}
	d.members[m] = true
	if len(m.filters) == 0 {
		delete(d.members, m)
	}
	if len(ports) == 0 && !f.none() {
		return fmt.Errorf("join %s on %s: %w", group, d.name, ErrNoPort)
	}
	var errs []error
	for _, port := range ports {
		errs = append(errs, d.apply(netip.AddrPortFrom(group, port)))
	}
	return errors.Join(errs...)
}

// filter is what all members want of a group.
func (d *Device) filter(group netip.Addr) (all filter) {
	for m := range d.members {
		all = all.union(m.filters[group])
	}
	return all
}

// joined are the groups that somebody wants something of.
func (d *Device) joined() map[netip.Addr]bool {
	groups := make(map[netip.Addr]bool)
	for m := range d.members {
		for group := range m.filters {
			groups[group] = true
		}
	}
	return groups
}
