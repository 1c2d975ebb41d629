package router

import (
	"time"

	"umroute/cmd/umroute/internal/control"
	"umroute/routing/proxy"
)

// Status implements protocol.
func (p *proxies) Status(now time.Time) []control.Protocol {
	var documents []control.Protocol
	for _, instance := range p.instances {
		for _, member := range instance.members {
			if !instance.serves(member.family) {
				continue
			}
			document := member.client.document(p.router.list())
			upstream, downstream := member.Interfaces()
			groups := make(map[uint32]int)
			for _, request := range member.Requests() {
				groups[request.Upstream]++
			}
			for _, index := range upstream {
				document.Upstream = append(document.Upstream,
					p.upstreamDocument(now, member, index, groups[index]))
			}
			for _, index := range downstream {
				document.Downstream = append(document.Downstream, p.router.nameOf(index))
			}
			documents = append(documents, document)
		}
	}
	return documents
}

func (p *proxies) upstreamDocument(now time.Time, member *proxyFamily, index uint32,
	groups int) control.ProxyUpstream {
	document := control.ProxyUpstream{Interface: p.router.nameOf(index), Groups: groups,
		Received: map[string]uint64{}, Sent: map[string]uint64{}}
	side := member.sides[index]
	if side == nil {
		return document
	}
	status := side.Status(now)
	document.Up, document.Version = status.Up, status.Version
	document.Querier = text(status.Querier)
	document.QuerierHeard = seconds(status.QuerierHeard)
	c := status.Counters
	document.Sent = map[string]uint64{"report": c.Reports, "leave": c.Leaves,
		"error": c.Errors, "suppressed": c.Suppressed}
	document.Received = map[string]uint64{"query_v1": c.Queries[1], "query_v2": c.Queries[2],
		"query_v3": c.Queries[3]}
	return document
}

// groups are the rows of "show groups" that say what the router asks for itself.
func (p *proxies) groups(now time.Time) []control.Group {
	var documents []control.Group
	for _, instance := range p.instances {
		for _, member := range instance.members {
			for _, request := range member.Requests() {
				documents = append(documents, p.groupDocument(now, member, request))
			}
		}
	}
	return documents
}

func (p *proxies) groupDocument(now time.Time, member *proxyFamily,
	request proxy.Request) control.Group {
	document := control.Group{
		Interface: p.router.nameOf(request.Upstream), Group: request.Group.String(),
		Mode: request.Filter.Mode.String(), Reporters: []string{},
		Uptime: seconds(now.Sub(request.Since)), Sources: []control.Source{},
		Upstream: true,
	}
	if side := member.sides[request.Upstream]; side != nil {
		document.Version = side.Version(now)
	}
	for _, source := range request.Filter.Sources {
		document.Sources = append(document.Sources, control.Source{
			Address: source.String(), Forwarding: request.Filter.Accepts(source),
		})
	}
	return document
}
