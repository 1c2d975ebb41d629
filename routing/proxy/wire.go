package proxy

import (
	"net/netip"
	"time"

	"umroute/stack/igmp"
	"umroute/stack/mld"
)

// Versions are in IGMP's count: MLDv1 is 2 and MLDv2 is 3.
const (
	version1 = 1
	version2 = 2
	version3 = 3
)

// query is the membership query of either family; igmp.Query and mld.Query
// have the same fields.
type query struct {
	Version     uint8
	Group       netip.Addr // the zero Addr in a general query
	MaxResponse time.Duration
	Suppress    bool
	Robustness  uint8
	Interval    time.Duration
	Sources     []netip.Addr
}

// record is a group record of either family.
type record struct {
	kind    igmp.RecordType
	group   netip.Addr
	sources []netip.Addr
}

// wire is the format of one family.
type wire struct {
	v6 bool

	igmpQuery  igmp.Query
	mldQuery   mld.Query
	igmpReport igmp.Report
	mldReport  mld.Report
}

// heard is what a packet says to a group member: a query, or that another
// member has reported a group in an older version. At most one is set.
type heard struct {
	from  netip.Addr
	query *query
	group netip.Addr
}

// parse takes a complete IP packet apart. What is of no interest to a group
// member, and what is wrong, gives false.
func (w *wire) parse(b []byte) (heard, bool) {
	if w.v6 {
		return w.parseMLD(b)
	}
	return w.parseIGMP(b)
}

func (w *wire) parseIGMP(b []byte) (heard, bool) {
	p, err := igmp.ParsePacket(b)
	if err != nil {
		return heard{}, false
	}
	switch igmp.Type(p.Message[0]) {
	case igmp.TypeQuery:
		if w.igmpQuery.UnmarshalBinary(p.Message) != nil {
			return heard{}, false
		}
		q := query(w.igmpQuery)
		// RFC 9776 section 9.1: general queries of version 2 and 3 come to all
		// systems only.
		general := !q.Group.IsValid()
		if general && q.Version > version1 && p.Destination != igmp.AllSystems {
			return heard{}, false
		}
		return heard{from: p.Source, query: &q}, general || q.Group.IsMulticast()
	case igmp.TypeV1Report, igmp.TypeV2Report:
		var report igmp.GroupReport
		if report.UnmarshalBinary(p.Message) != nil {
			return heard{}, false
		}
		return heard{from: p.Source, group: report.Group}, p.Destination == report.Group
	}
	return heard{}, false
}

// parseMLD wants a link-local source, hop limit 1 and a Router Alert in each
// message (RFC 9777 section 6.2).
func (w *wire) parseMLD(b []byte) (heard, bool) {
	p, err := mld.ParsePacket(b)
	if err != nil || p.HopLimit != 1 || !p.RouterAlert || !p.Source.IsLinkLocalUnicast() {
		return heard{}, false
	}
	switch mld.Type(p.Message[0]) {
	case mld.TypeQuery:
		if w.mldQuery.UnmarshalBinary(p.Message) != nil {
			return heard{}, false
		}
		q := query(w.mldQuery)
		q.Version++
		return heard{from: p.Source, query: &q}, !q.Group.IsValid() || q.Group.IsMulticast()
	case mld.TypeV1Report:
		var report mld.GroupReport
		if report.UnmarshalBinary(p.Message) != nil {
			return heard{}, false
		}
		return heard{from: p.Source, group: report.Group}, p.Destination == report.Group
	}
	return heard{}, false
}

// appendJoin appends the packet of a report of version 1 or 2.
func (w *wire) appendJoin(b []byte, source, group netip.Addr, version uint8) ([]byte, error) {
	if w.v6 {
		return mld.AppendPacket(b, source, group, &mld.GroupReport{Group: group})
	}
	return igmp.AppendPacket(b, source, group, &igmp.GroupReport{Version: version, Group: group})
}

// appendLeave appends the packet of a leave or done message of version 2.
func (w *wire) appendLeave(b []byte, source, group netip.Addr) ([]byte, error) {
	if w.v6 {
		return mld.AppendPacket(b, source, mld.AllRouters, &mld.Done{Group: group})
	}
	return igmp.AppendPacket(b, source, igmp.AllRouters, &igmp.Leave{Group: group})
}

// appendReport appends the packet of a report of version 3.
func (w *wire) appendReport(b []byte, source netip.Addr, records []record) ([]byte, error) {
	if w.v6 {
		w.mldReport.Records = w.mldReport.Records[:0]
		for _, r := range records {
			w.mldReport.Records = append(w.mldReport.Records,
				mld.Record{Type: mld.RecordType(r.kind), Group: r.group, Sources: r.sources})
		}
		return mld.AppendPacket(b, source, mld.AllV2Routers, &w.mldReport)
	}
	w.igmpReport.Records = w.igmpReport.Records[:0]
	for _, r := range records {
		w.igmpReport.Records = append(w.igmpReport.Records,
			igmp.Record{Type: r.kind, Group: r.group, Sources: r.sources})
	}
	return igmp.AppendPacket(b, source, igmp.AllV3Routers, &w.igmpReport)
}

// sizes of a report: what stands before the records, one record, one source.
func (w *wire) sizes() (before, each, source int) {
	if w.v6 {
		return mld.HeaderSize + 8, 20, 16
	}
	return igmp.HeaderSize + 8, 8, 4
}
