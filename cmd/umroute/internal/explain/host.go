package explain

import (
	"fmt"
	"net/netip"
	"strings"
)

// Host is what is special of an interface to the host's own network.
type Host struct {
	// Address is the host's, of the group's family: the source of all that is sent.
	Address netip.Addr
	// Ports are those of the group that are received.
	Ports []uint16
}

// notJoined: the host's kernel takes only what a socket has joined.
func notJoined(f *Facts) *Verdict {
	if f.In.Host == nil || len(f.In.Host.Ports) > 0 {
		return nil
	}
	return because(NotJoined, "the keys ports and join",
		"name the group's port under ports of "+f.In.Name+", and have the group joined: by "+
			"protocols.proxy with "+f.In.Name+" as upstream, or by the key join",
		"%s is the host's network, where no socket receives %s", f.In.Name, f.Group)
}

// sentFrom tells what becomes of the source.
func (f *Facts) sentFrom() string {
	if f.Out.Host == nil {
		return ""
	}
	return fmt.Sprintf("; there the source is the host's address, %s", f.Out.Host.Address)
}

// portsOnly tells that sockets receive some ports and not all.
func (f *Facts) portsOnly() string {
	if f.In.Host == nil {
		return ""
	}
	var ports []string
	for _, port := range f.In.Host.Ports {
		ports = append(ports, fmt.Sprint(port))
	}
	return "; of the group only these ports are received there: " + strings.Join(ports, ", ")
}
