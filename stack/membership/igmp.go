package membership

import (
	"errors"
	"io"
	"net/netip"

	"umroute/stack/igmp"
)

// handleIGMP takes an IPv4 packet with IGMP apart.
func (r *Router) handleIGMP(now instant, l *link, b []byte) {
	p, err := igmp.ParsePacket(b)
	switch {
	case errors.Is(err, igmp.ErrChecksum):
		l.ignore(BadChecksum)
	case errors.Is(err, igmp.ErrFragment):
		l.ignore(Fragment)
	case err != nil:
		l.ignore(Malformed)
	case l.config.RequireRouterAlert && !p.RouterAlert:
		l.ignore(NoRouterAlert)
	case !l.isOnLink(p.Source):
		l.ignore(OffLink)
	default:
		err = r.handleIGMPMessage(now, l, p.Source, p.Message)
	}
	// The packet was whole: what ends too early is the message in it.
	if errors.Is(err, io.ErrUnexpectedEOF) && p.Message != nil || errors.Is(err, igmp.ErrLength) {
		l.ignore(Malformed)
	}
}

func (r *Router) handleIGMPMessage(now instant, l *link, host netip.Addr, b []byte) error {
	switch igmp.Type(b[0]) {
	case igmp.TypeQuery:
		if err := r.igmpQuery.UnmarshalBinary(b); err != nil {
			return err
		}
		q := query(r.igmpQuery)
		l.counters.received.countQuery(q.Version)
		r.hear(now, l, host, &q)
	case igmp.TypeV1Report, igmp.TypeV2Report:
		var report igmp.GroupReport
		if err := report.UnmarshalBinary(b); err != nil {
			return err
		}
		l.counters.received.countReport(report.Version)
		r.receive(now, l, &record{host: host, kind: igmp.IsExclude,
			group: report.Group, version: report.Version})
	case igmp.TypeLeave:
		var leave igmp.Leave
		if err := leave.UnmarshalBinary(b); err != nil {
			return err
		}
		l.counters.received.Leaves++
		r.receive(now, l, &record{host: host, kind: igmp.ToInclude,
			group: leave.Group, version: 2})
	case igmp.TypeV3Report:
		if err := r.igmpReport.UnmarshalBinary(b); err != nil {
			return err
		}
		l.counters.received.countReport(3)
		for i := range r.igmpReport.Records {
			rec := &r.igmpReport.Records[i]
			r.receive(now, l, &record{host: host, kind: rec.Type,
				group: rec.Group, sources: rec.Sources, version: 3})
		}
	default:
		l.ignore(UnknownType)
	}
	return nil
}
