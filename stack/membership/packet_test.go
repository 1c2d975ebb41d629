package membership

import (
	"encoding"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"umroute/stack/igmp"
	"umroute/stack/mld"
)

// packet sends "HOST KIND GROUP SOURCE..." to the router. KIND is a record type,
// v1 or v2 for the report of that version, leave, or query with settings.
func (b *bench) packet(words []string) {
	b.tb.Helper()
	host := addr(words[0])
	kind, settings, _ := strings.Cut(words[1], ",")
	group := netip.Addr{}
	if words[2] != "*" {
		group = addr(words[2])
	}
	var sources []netip.Addr
	for _, w := range words[3:] {
		sources = append(sources, addr(w))
	}
	if kind == "query" {
		b.hearQuery(host, b.query(settings, group, sources))
		return
	}
	b.router.Handle(b.now, 1, b.report(host, kind, group, sources))
}

var recordTypes = map[string]igmp.RecordType{
	"IS_IN": igmp.IsInclude, "IS_EX": igmp.IsExclude, "TO_IN": igmp.ToInclude,
	"TO_EX": igmp.ToExclude, "ALLOW": igmp.Allow, "BLOCK": igmp.Block,
}

func (b *bench) report(
	host netip.Addr, kind string, group netip.Addr, sources []netip.Addr,
) []byte {
	b.tb.Helper()
	if b.family == MLD {
		switch kind {
		case "v1":
			return b.mldPacket(host, group, &mld.GroupReport{Group: group})
		case "leave":
			return b.mldPacket(host, mld.AllRouters, &mld.Done{Group: group})
		}
		return b.mldPacket(host, mld.AllV2Routers, &mld.Report{Records: []mld.Record{
			{Type: mld.RecordType(recordTypes[kind]), Group: group, Sources: sources}}})
	}
	switch kind {
	case "v1":
		return b.igmpPacket(host, group, &igmp.GroupReport{Version: 1, Group: group})
	case "v2":
		return b.igmpPacket(host, group, &igmp.GroupReport{Version: 2, Group: group})
	case "leave":
		return b.igmpPacket(host, igmp.AllRouters, &igmp.Leave{Group: group})
	}
	return b.igmpPacket(host, igmp.AllV3Routers, &igmp.Report{Records: []igmp.Record{
		{Type: recordTypes[kind], Group: group, Sources: sources}}})
}

func (b *bench) igmpPacket(from, to netip.Addr, m encoding.BinaryAppender) []byte {
	b.tb.Helper()
	p, err := igmp.AppendPacket(nil, from, to, m)
	if err != nil {
		b.tb.Fatal(err)
	}
	return p
}

func (b *bench) mldPacket(from, to netip.Addr, m encoding.BinaryAppender) []byte {
	b.tb.Helper()
	p, err := mld.AppendPacket(nil, from, to, m)
	if err != nil {
		b.tb.Fatal(err)
	}
	return p
}

// query reads settings like "v2,max=1s,qrv=3,qqi=60s,S".
func (b *bench) query(settings string, group netip.Addr, sources []netip.Addr) query {
	q := query{Version: uint8(b.family.newest()), Group: group, MaxResponse: 10 * time.Second,
		Robustness: 2, Interval: 125 * time.Second, Sources: sources}
	for s := range strings.SplitSeq(settings, ",") {
		key, value, _ := strings.Cut(s, "=")
		switch key {
		case "v1", "v2", "v3":
			q.Version = key[1] - '0'
		case "max":
			q.MaxResponse, _ = time.ParseDuration(value)
		case "qrv":
			n, _ := strconv.Atoi(value)
			q.Robustness = uint8(n)
		case "qqi":
			q.Interval, _ = time.ParseDuration(value)
		case "S":
			q.Suppress = true
		}
	}
	return q
}

func (b *bench) hearQuery(from netip.Addr, q query) {
	b.tb.Helper()
	if b.family == MLD {
		m := mld.Query(q)
		b.router.Handle(b.now, 1, b.mldPacket(from, mld.AllNodes, &m))
		return
	}
	m := igmp.Query(q)
	b.router.Handle(b.now, 1, b.igmpPacket(from, igmp.AllSystems, &m))
}
