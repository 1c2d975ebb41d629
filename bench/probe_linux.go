package bench

import (
	"context"
	"runtime"

	"umroute/bench/plan"
)

// Availability says whether an engine can run on this machine.
type Availability struct {
	Engine plan.Engine
	Err    error // why not; nil if it can
}

// Probe tries each engine: it forwards a little, from a sender to a receiver.
func Probe(ctx context.Context, engines []plan.Engine) ([]Availability, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	lab, isolation := startLab()
	if isolation != nil {
		var err error
		if lab, err = startPlainLab(); err != nil {
			return nil, err
		}
	}
	defer lab.close()
	var all []Availability
	for _, e := range engines {
		_, err := lab.prepare(ctx, preparation{Engine: e, Receivers: 1})
		if ctx.Err() != nil {
			return all, ErrInterrupted
		}
		if err != nil && isolation != nil {
			err = isolation // the reason behind
		}
		all = append(all, Availability{e, err})
	}
	return all, nil
}
