package membership

import "net/netip"

// querier is the election state of an interface (RFC 9776 section 6.6.2).
//
//	         query from a lower address
//	Querier ----------------------------> Non-Querier
//	        <----------------------------
//	        Other Querier Present timer expires
//
// A router starts as Querier. It asks only if it has an address.
type querier struct {
	queryAt      instant    // next general query; 0 while not the querier
	startupLeft  int        // startup queries still to be sent
	other        netip.Addr // the elected querier, if that is another router
	otherUntil   instant    // Other Querier Present timer
	electedUntil instant    // until then other was heard itself
}

// isQuerier reports whether the interface has won, or never met, an election.
func (l *link) isQuerier() bool {
	return !l.querier.other.IsValid() && l.config.Address.IsValid()
}

// asks reports whether general queries can be sent now.
func (l *link) asks() bool { return l.up && l.isQuerier() }

// asksGroups reports whether group-specific queries can be sent now; IGMPv1 has
// none.
func (l *link) asksGroups() bool { return l.asks() && l.version >= 2 }

// asksSources reports whether queries that name sources can be sent now; only
// IGMPv3 and MLDv2 have them.
func (l *link) asksSources() bool { return l.asks() && l.version >= 3 }

// startQuerier begins as RFC 9776 section 6.6.2 says: as the querier, with
// startup queries.
func (r *Router) startQuerier(now instant, l *link) {
	l.querier = querier{}
	r.elections++
	l.current = l.own
	if l.asks() {
		l.querier.queryAt = now
		l.querier.startupLeft = l.own.startupCount
	}
	r.wake(now, l)
}

// Elections counts what may have changed HasOtherQuerier on some interface.
func (r *Router) Elections() uint64 { return r.elections }

// HasOtherQuerier reports whether another router is the querier of an interface.
func (r *Router) HasOtherQuerier(index uint32) bool {
	l := r.links[index]
	return l != nil && l.querier.other.IsValid()
}

// retime adapts the querier to intervals that were configured anew.
func (r *Router) retime(now instant, l *link) {
	q := &l.querier
	if q.other.IsValid() {
		// Robustness and interval stay those of the elected querier.
		robustness, interval := l.current.robustness, l.current.interval
		l.current = l.own
		l.current.robustness, l.current.interval = robustness, interval
		return
	}
	l.current = l.own
	if at := now.after(l.own.interval); q.queryAt > at {
		q.queryAt = at
		r.alarms.set(l, at)
	}
}

// readdress enters the election with a new address.
func (r *Router) readdress(now instant, l *link) {
	if !l.config.Address.IsValid() {
		l.querier.queryAt, l.querier.startupLeft = 0, 0
		return
	}
	if l.querier.other.IsValid() && l.querier.other.Less(l.config.Address) {
		return
	}
	r.startQuerier(now, l)
}

// serve sends the general query that is due and ends the absence of another
// querier.
func (l *link) serve(r *Router, now instant) instant {
	q := &l.querier
	if q.otherUntil != 0 && q.otherUntil <= now {
		r.log.Info("querier changed", "if", l.config.Name, "from", q.other,
			"to", l.config.Address, "reason", "other querier present timer expired")
		*q = querier{}
		r.elections++
		l.current = l.own
		if l.asks() {
			q.queryAt = now
		}
	}
	if q.queryAt != 0 && q.queryAt <= now {
		interval, response := l.own.interval, l.own.response
		if q.startupLeft > 0 {
			response = l.own.startupResponse
			q.startupLeft--
		}
		if q.startupLeft > 0 {
			interval = l.own.startup()
		}
		r.sendGeneralQuery(now, l, response)
		// Late calls must not make queries come in bursts.
		q.queryAt = q.queryAt.after(interval)
		if q.queryAt <= now {
			q.queryAt = now.after(interval)
		}
	}
	return earliest(q.queryAt, q.otherUntil)
}

// hear takes a query of another router whose addresses were checked.
func (r *Router) hear(now instant, l *link, from netip.Addr, q *query) {
	if from == l.config.Address {
		l.ignore(OwnQuery)
		return
	}
	if from.IsUnspecified() {
		// Switches that snoop query from 0.0.0.0: RFC 4541 section 2.1.1 keeps
		// them out of the election.
		l.ignore(UnspecifiedQuerier)
		return
	}
	// RFC 9776 section 7.3.1: a version that was not configured is worth a
	// warning, rate-limited.
	if q.Version != l.version && r.mayWarn(now, l, warnVersion) {
		r.log.Warn("query of another version", "if", l.config.Name, "querier", from,
			"version", r.external(q.Version), "configured", r.external(l.version))
	}
	if l.config.Address.IsValid() && !from.Less(l.config.Address) {
		// It lost the election or does not know it yet: it has no say.
		l.ignore(LostElection)
		return
	}
	r.yield(now, l, from, q)
	if q.Group.IsValid() && !q.Suppress {
		r.lower(now, l, q)
	}
}

// yield leaves querying to a router with a lower address (RFC 9776 section
// 6.6.2) and adopts its values.
func (r *Router) yield(now instant, l *link, from netip.Addr, q *query) {
	s := &l.querier
	// Each lower address keeps this router silent; but while the lowest one is
	// heard, it stays the elected querier.
	elected := !s.other.IsValid() || !s.other.Less(from) || s.electedUntil <= now
	if elected {
		if s.other != from {
			l.counters.querierChanges++
			r.noteYield(now, l, from)
		}
		s.other, s.queryAt, s.startupLeft = from, 0, 0
		r.elections++
		l.adopt(q)
	}
	s.otherUntil = now.after(l.current.otherQuerierPresent())
	if elected {
		s.electedUntil = s.otherUntil
	}
	r.alarms.set(l, s.otherUntil)
}

// noteYield logs the loss of an election. It is rate-limited, since a host that
// forges queries can cause it.
func (r *Router) noteYield(now instant, l *link, from netip.Addr) {
	if r.mayWarn(now, l, warnQuerier) {
		r.log.Info("querier changed", "if", l.config.Name, "from", r.querierOf(l),
			"to", from, "reason", "query from a lower address")
	}
}

// adopt takes over the querier's robustness and interval (RFC 9776 section
// 4.1); zero means that it does not tell.
func (l *link) adopt(q *query) {
	l.current = l.own
	if q.Robustness != 0 {
		l.current.robustness = int(q.Robustness)
	}
	if q.Interval != 0 {
		l.current.interval = q.Interval
	}
}

// querierOf returns the address of the querier, zero if there is none.
func (r *Router) querierOf(l *link) netip.Addr {
	if l.querier.other.IsValid() {
		return l.querier.other
	}
	return l.config.Address
}
