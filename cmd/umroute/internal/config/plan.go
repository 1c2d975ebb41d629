package config

import (
	"reflect"
	"strings"
)

// Plan is what takes a running router from one configuration to another. What
// it does not name stays as it is.
type Plan struct {
	Add     []Interface
	Remove  []Interface
	Replace []Change // the device is opened anew
	Modify  []Change // traffic goes on
	// Restart has the keys whose change only a restart takes over.
	Restart []string
}

// Change is one interface in both configurations, or an old and a new one on
// the same device.
type Change struct{ From, To Interface }

// Diff plans the way between two configurations, neither of which it changes.
// Routes and protocols are not in the plan: whoever has them compares.
func Diff(from, to *Config) Plan {
	var p Plan
	p.Restart = restartKeys(*from, *to)
	old := byName(from.Interfaces)
	for _, i := range to.Interfaces {
		before, there := old[i.Name]
		delete(old, i.Name)
		switch {
		case !there:
			p.Add = append(p.Add, i)
		case before.Equal(i):
		case before.sameDevice(i):
			p.Modify = append(p.Modify, Change{before, i})
		default:
			p.Replace = append(p.Replace, Change{before, i})
		}
	}
	for _, i := range from.Interfaces {
		if _, left := old[i.Name]; left {
			p.Remove = append(p.Remove, i)
		}
	}
	p.renamed()
	for _, i := range append(p.Add, newOf(p.Replace)...) {
		if i.FD != 0 {
			p.Restart = append(p.Restart, "interfaces."+i.Name+".fd")
		}
	}
	return p
}

// renamed makes replacements of those that come and those that go which share a
// device: it cannot be opened before it is closed.
func (p *Plan) renamed() {
	var add []Interface
	for _, i := range p.Add {
		at := -1
		for k, gone := range p.Remove {
			if gone.SharesDevice(i) {
				at = k
			}
		}
		if at < 0 {
			add = append(add, i)
			continue
		}
		p.Replace = append(p.Replace, Change{p.Remove[at], i})
		p.Remove = append(p.Remove[:at:at], p.Remove[at+1:]...)
	}
	p.Add = add
}

// restartKeys are the keys that differ beside those that a plan, the routes and
// the protocols cover. A key that is new to the configuration is among them.
func restartKeys(from, to Config) (keys []string) {
	for _, c := range []*Config{&from, &to} {
		c.Log.Level = 0
		c.Interfaces = nil
		c.Unicast.Routes = nil
		c.RPF = RPF{}
		c.Protocols = Protocols{}
		c.Domains = nil
	}
	a, b := reflect.ValueOf(from), reflect.ValueOf(to)
	for n := range a.NumField() {
		if !reflect.DeepEqual(a.Field(n).Interface(), b.Field(n).Interface()) {
			keys = append(keys, strings.ToLower(a.Type().Field(n).Name))
		}
	}
	return keys
}

// sameDevice says whether two interfaces differ in nothing that their device is
// opened or set up with.
func (i Interface) sameDevice(other Interface) bool {
	if i.Link == LinkTUN { // the next hops of a TAP's routes are the router's addresses
		i.Addresses = other.Addresses
	}
	i.TTLThreshold, i.Boundary = other.TTLThreshold, other.Boundary
	i.Domain, i.Coalesce = other.Domain, other.Coalesce
	i.SourceValidation, i.MaxFlows = other.SourceValidation, other.MaxFlows
	i.IGMP, i.MLD = other.IGMP, other.MLD
	return i.Equal(other)
}

// SharesDevice says whether two interfaces are on one device, so that the one
// must be closed before the other is opened.
func (i Interface) SharesDevice(other Interface) bool {
	return i.Netns.canonical() == other.Netns.canonical() && i.Device == other.Device &&
		i.FD == other.FD
}

func newOf(changes []Change) (interfaces []Interface) {
	for _, c := range changes {
		interfaces = append(interfaces, c.To)
	}
	return interfaces
}

func byName(interfaces []Interface) map[string]Interface {
	named := make(map[string]Interface, len(interfaces))
	for _, i := range interfaces {
		named[i.Name] = i
	}
	return named
}
