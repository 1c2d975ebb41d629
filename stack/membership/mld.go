package membership

import (
	"errors"
	"io"
	"net/netip"

	"umroute/stack/igmp"
	"umroute/stack/mld"
)

// handleMLD takes an IPv6 packet with MLD apart. RFC 9777 sections 6.2 and 7.4
// want a link-local source, hop limit 1 and a Router Alert in each message; a
// report may come from :: (section 5.2).
func (r *Router) handleMLD(now instant, l *link, b []byte) {
	p, err := mld.ParsePacket(b)
	switch {
	case errors.Is(err, mld.ErrChecksum):
		l.ignore(BadChecksum)
	case err != nil:
		l.ignore(Malformed)
	case p.HopLimit != 1:
		l.ignore(BadHopLimit)
	case !p.RouterAlert:
		l.ignore(NoRouterAlert)
	case !p.Source.IsLinkLocalUnicast() && !p.Source.IsUnspecified():
		l.ignore(OffLink)
	default:
		err = r.handleMLDMessage(now, l, p.Source, p.Message)
	}
	// The packet was whole: what ends too early is the message in it.
	if errors.Is(err, io.ErrUnexpectedEOF) && p.Message != nil || errors.Is(err, mld.ErrLength) {
		l.ignore(Malformed)
	}
}

func (r *Router) handleMLDMessage(now instant, l *link, host netip.Addr, b []byte) error {
	switch mld.Type(b[0]) {
	case mld.TypeQuery:
		if err := r.mldQuery.UnmarshalBinary(b); err != nil {
			return err
		}
		q := query(r.mldQuery)
		l.counters.received.countQuery(q.Version)
		q.Version++
		r.hear(now, l, host, &q)
	case mld.TypeV1Report:
		var report mld.GroupReport
		if err := report.UnmarshalBinary(b); err != nil {
			return err
		}
		l.counters.received.countReport(1)
		r.receive(now, l, &record{host: host, kind: igmp.IsExclude,
			group: report.Group, version: 2})
	case mld.TypeDone:
		var done mld.Done
		if err := done.UnmarshalBinary(b); err != nil {
			return err
		}
		l.counters.received.Leaves++
		r.receive(now, l, &record{host: host, kind: igmp.ToInclude,
			group: done.Group, version: 2})
	case mld.TypeV2Report:
		if err := r.mldReport.UnmarshalBinary(b); err != nil {
			return err
		}
		l.counters.received.countReport(2)
		for i := range r.mldReport.Records {
			rec := &r.mldReport.Records[i]
			r.receive(now, l, &record{host: host, kind: igmp.RecordType(rec.Type),
				group: rec.Group, sources: rec.Sources, version: 3})
		}
	default:
		l.ignore(UnknownType)
	}
	return nil
}
