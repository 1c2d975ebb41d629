package router

import (
	"context"
	"errors"
	"fmt"
	"time"

	"umroute/cmd/umroute/internal/control"
)

// Clear forgets what the router has learnt or counted. Hosts are asked again at
// once, routes come back with the next packets.
func (r *Router) Clear(ctx context.Context, document string) error {
	switch document {
	case "groups":
		return r.clearGroups(ctx)
	case "routes":
		for _, f := range r.families() {
			f.manager.ForgetAll()
		}
		return nil
	case "stats":
		return r.clearStats(ctx)
	}
	return fmt.Errorf("clear %s: %w", document, errors.ErrUnsupported)
}

func (r *Router) clearGroups(ctx context.Context) error {
	if !r.loop.run(ctx, func(now time.Time) {
		for _, f := range r.families() {
			for _, i := range r.list() {
				f.membership.Clear(now, i.index)
			}
		}
	}) {
		return errStopped
	}
	return nil
}

// clearStats has the counters of interfaces and router begin at zero. Those of
// routes go with the routes.
func (r *Router) clearStats(ctx context.Context) error {
	documents, err := r.countedInterfaces(ctx)
	if err != nil {
		return err
	}
	for n, i := range r.list() {
		if n < len(documents) && documents[n].Index == i.index {
			i.state.cleared.Store(&documents[n])
		}
	}
	stats := r.countedStats()
	r.cleared.Store(&stats)
	if !r.loop.run(ctx, func(time.Time) {
		for _, f := range r.families() {
			f.membership.ClearCounters()
		}
	}) {
		return errStopped
	}
	return nil
}

// Interfaces describes the links, with what they have counted since the
// counters were cleared.
func (r *Router) Interfaces(ctx context.Context) ([]control.Interface, error) {
	documents, err := r.countedInterfaces(ctx)
	if err != nil {
		return nil, err
	}
	for n := range documents {
		i := r.byIndex(documents[n].Index)
		if i == nil {
			continue
		}
		base := i.state.cleared.Load()
		if base == nil {
			continue
		}
		d := &documents[n]
		d.RxPackets -= base.RxPackets
		d.RxBytes -= base.RxBytes
		d.TxPackets -= base.TxPackets
		d.TxBytes -= base.TxBytes
		subtract(d.Drops, base.Drops)
	}
	return documents, nil
}

// Stats describes the router as a whole, since the counters were cleared.
func (r *Router) Stats() control.Stats {
	document := r.countedStats()
	base := r.cleared.Load()
	if base == nil {
		return document
	}
	document.Misses -= base.Misses
	document.Punted -= base.Punted
	document.ControlEventsDropped -= base.ControlEventsDropped
	subtract(document.Dropped, base.Dropped)
	return document
}

// subtract takes base from counts, which lack what is zero.
func subtract(counts, base map[string]uint64) {
	for reason, n := range base {
		if counts[reason] -= n; counts[reason] == 0 {
			delete(counts, reason)
		}
	}
}
