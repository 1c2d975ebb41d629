package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"umroute/bench/plan"
	"umroute/bench/result"
)

// Options says what to measure, and for how long.
type Options struct {
	Engines  []plan.Engine
	Rows     []plan.Row
	Repeats  int           // samples of each row by each engine, 1 or more
	Duration time.Duration // that a sample measures
	Warmup   time.Duration // before that
	Limit    time.Duration // of the whole; what is not measured then is left out. 0: none
	Progress io.Writer     // what is being done; nil discards it
}

// Outcome is what was measured.
type Outcome struct {
	Samples []result.Sample
	Facts   []result.Fact
	Missing []Missing
}

// Missing is something that was not measured.
type Missing struct{ What, Why string }

// ErrInterrupted is what Run returns where its context ends it. The outcome
// holds what was measured until then.
var ErrInterrupted = errors.New("interrupted: not everything was measured")

// session is a run under way.
type session struct {
	Options
	lab     *client
	outcome Outcome
	started time.Time
	longest time.Duration   // that all engines together took for a row
	told    map[string]bool // what was left out in an earlier round
}

// Run measures. Where it fails the outcome holds what it had until then.
func Run(ctx context.Context, o Options) (Outcome, error) {
	if err := o.Validate(); err != nil {
		return Outcome{}, err
	}
	runtime.LockOSThread() // the lab ends with this thread
	defer runtime.UnlockOSThread()
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	s := &session{Options: o, started: time.Now(), told: make(map[string]bool)}
	s.outcome.Facts = facts()
	if err := s.open(); err != nil {
		return s.outcome, err
	}
	defer s.lab.close()
	err := s.prepare(ctx)
	if err == nil {
		err = s.measure(ctx)
	}
	// Whatever else went wrong then did so for that reason.
	if ctx.Err() != nil {
		err = ErrInterrupted
	}
	return s.outcome, err
}

// Validate says what cannot be measured like that.
func (o Options) Validate() error {
	switch {
	case len(o.Engines) == 0 || len(o.Rows) == 0:
		return errors.New("nothing to measure: no engine or no row")
	case o.Repeats < 1:
		return fmt.Errorf("%d repeats: at least 1", o.Repeats)
	case o.Duration < time.Millisecond || o.Warmup < 0 || o.Limit < 0:
		return fmt.Errorf("duration %v, warm-up %v, limit %v: not all are possible",
			o.Duration, o.Warmup, o.Limit)
	}
	for _, r := range o.Rows {
		if err := r.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// open starts the lab, if need be without namespaces of its own.
func (s *session) open() (err error) {
	if s.lab, err = startLab(); err == nil {
		return nil
	}
	s.leaveOut("user namespaces", err)
	s.lab, err = startPlainLab()
	return err
}

// leaveOut tells at once what will be missing.
func (s *session) leaveOut(what string, why error) {
	s.outcome.Missing = append(s.outcome.Missing, Missing{what, why.Error()})
	fmt.Fprintf(s.Progress, "without %s: %v\n", what, why)
}

// prepare starts the engines, and leaves out those that do not work here.
func (s *session) prepare(ctx context.Context) error {
	var ready []plan.Engine
	for _, e := range s.Engines {
		p := preparation{Engine: e}
		// As many receivers as the widest row needs serve the others as well.
		for _, r := range s.Rows {
			if err := r.Fits(e); err == nil {
				p.Receivers, p.IPv6 = max(p.Receivers, r.Oifs), p.IPv6 || r.IPv6
			}
		}
		if p.Receivers == 0 {
			s.leaveOut(e.String(), errors.New("it can do none of the rows"))
			continue
		}
		fmt.Fprintf(s.Progress, "starting %s with %d receivers\n", e, p.Receivers)
		err := s.lab.prepare(ctx, p)
		if ctx.Err() != nil || errors.Is(err, errLab) {
			return err
		}
		if err != nil {
			s.leaveOut(e.String(), err)
			continue
		}
		ready = append(ready, e)
	}
	if s.Engines = ready; len(ready) == 0 {
		return errors.New("no engine can run here")
	}
	return nil
}

// measure takes the samples: the engines in turn for each row, and then all of
// it again, so that a disturbance meets few samples of each.
func (s *session) measure(ctx context.Context) error {
	for round := range s.Repeats {
		fmt.Fprintf(s.Progress, "round %d of %d: %d rows, %d engines, %.0f s so far\n", round+1,
			s.Repeats, len(s.Rows), len(s.Engines), time.Since(s.started).Seconds())
		for _, r := range s.Rows {
			if s.Limit > 0 && time.Since(s.started)+s.longest > s.Limit {
				s.leaveOut(fmt.Sprintf("the rest of round %d", round+1),
					fmt.Errorf("the time of %v is over", s.Limit))
				return nil
			}
			if err := s.compare(ctx, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare takes one sample of a row by each engine. Only what ends the run is
// an error.
func (s *session) compare(ctx context.Context, r plan.Row) error {
	began := time.Now()
	for _, e := range s.Engines {
		err := r.Fits(e)
		if err == nil {
			err = s.take(ctx, e, r)
		}
		if ctx.Err() != nil || errors.Is(err, errLab) {
			return err
		}
		what := fmt.Sprintf("%s, %s", e, describe(r))
		if err != nil && !s.told[what] {
			s.told[what] = true
			s.leaveOut(what, err)
		}
	}
	s.longest = max(s.longest, time.Since(began))
	return nil
}

// take takes one sample.
func (s *session) take(ctx context.Context, e plan.Engine, r plan.Row) error {
	sample, err := s.lab.measure(ctx, measurement{
		Engine: e, Row: r, Warmup: s.Warmup, Duration: s.Duration,
	})
	if err != nil {
		return err
	}
	s.outcome.Samples = append(s.outcome.Samples, sample)
	return nil
}

// describe names a row in a sentence.
func describe(r plan.Row) string {
	text := fmt.Sprintf("%d B to %d, %d flows, %s to %s",
		r.Size, r.Oifs, r.Flows, r.Sender, r.Receiver)
	if r.IPv6 {
		text += ", IPv6"
	}
	if r.Rate > 0 {
		text += fmt.Sprintf(", %g/s", r.Rate)
	}
	return text
}
