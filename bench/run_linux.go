package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"umroute/bench/plan"
	"umroute/bench/result"
)

// Options says what to measure, and for how long.
type Options struct {
	Engines  []plan.Engine
	Rows     []plan.Row
	Repeats  int           // samples of each row by each engine, 1 or more
	Duration time.Duration // that a sample, or a trial of a search, measures
	Warmup   time.Duration // before that
	Limit    time.Duration // of the whole; what is not measured then is left out. 0: none
	// Width and Trials are those of a search.Goal; 0: 0.05 and 3.
	Width  float64
	Trials int
	// Interfaces is how many each router has at least, up to plan.MaxInterfaces.
	Interfaces int

	Progress io.Writer // what is being done; nil discards it
	Live     bool      // Progress is a terminal: one line that changes
	Records  io.Writer // gets each record when it is there; nil discards them
	Version  string    // of this program, for the records
	Command  []string  // likewise
}

// Outcome is what was measured.
type Outcome struct {
	Machine result.Machine
	Samples []result.Sample
	Missing []result.Missing
	End     result.End
}

// ErrInterrupted is what Run returns where its context ends it. The outcome
// holds what was measured until then.
var ErrInterrupted = errors.New("interrupted: not everything was measured")

// session is a run under way.
type session struct {
	Options
	lab      *client
	outcome  Outcome
	started  time.Time
	longest  time.Duration   // that all engines together took for a row
	told     map[string]bool // what was left out in an earlier round
	progress *progress
	writing  error // why records can no longer be written
}

// Run measures. Where it fails the outcome holds what it had until then.
func Run(ctx context.Context, o Options) (Outcome, error) {
	if err := o.Validate(); err != nil {
		return Outcome{}, err
	}
	runtime.LockOSThread() // the lab ends with this thread
	defer runtime.UnlockOSThread()
	s := newSession(o)
	err := s.run(ctx)
	// Whatever else went wrong then did so for that reason.
	if ctx.Err() != nil {
		err = ErrInterrupted
	}
	s.end(err)
	return s.outcome, errors.Join(err, s.writing)
}

func newSession(o Options) *session {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Width == 0 {
		o.Width = 0.05
	}
	if o.Trials == 0 {
		o.Trials = 3
	}
	s := &session{Options: o, started: time.Now(), told: make(map[string]bool),
		progress: newProgress(o)}
	s.outcome.Machine = machine(o)
	return s
}

func (s *session) run(ctx context.Context) error {
	if err := s.open(); err != nil {
		return err
	}
	defer s.lab.close()
	err := s.prepare(ctx)
	// The links are known now.
	s.record(result.Record{Machine: &s.outcome.Machine})
	for i := range s.outcome.Missing {
		s.record(result.Record{Missing: &s.outcome.Missing[i]})
	}
	if err != nil {
		return err
	}
	return s.measure(ctx)
}

// record writes one. What was measured matters more than a full disk.
func (s *session) record(r result.Record) {
	if s.Records == nil || s.writing != nil {
		return
	}
	if err := result.Write(s.Records, r); err != nil {
		s.writing = fmt.Errorf("write records: %w", err)
		s.progress.say("%v\n", s.writing)
	}
}

// end says how it went.
func (s *session) end(err error) {
	s.progress.clear()
	e := result.End{Elapsed: time.Since(s.started).Seconds(), Samples: len(s.outcome.Samples),
		Interrupted: errors.Is(err, ErrInterrupted), Warnings: result.Warnings(s.outcome.Samples)}
	if err != nil {
		e.Error = err.Error()
	}
	s.outcome.End = e
	s.record(result.Record{End: &e})
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
	case o.Interfaces < 0 || o.Interfaces > plan.MaxInterfaces:
		return fmt.Errorf("interfaces %d is not from 0 to %d", o.Interfaces, plan.MaxInterfaces)
	case !(o.Width >= 0 && o.Width < 1) || o.Trials < 0:
		return fmt.Errorf("width %v, %d trials: not possible", o.Width, o.Trials)
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
	m := result.Missing{What: what, Why: why.Error()}
	s.outcome.Missing = append(s.outcome.Missing, m)
	s.progress.say("without %s: %v\n", what, why)
	if s.progress.started() {
		s.record(result.Record{Missing: &m})
	}
}

// prepare starts the engines, and leaves out those that do not work here.
func (s *session) prepare(ctx context.Context) error {
	var ready []plan.Engine
	for _, e := range s.Engines {
		p, err := s.preparation(e)
		if err != nil {
			s.leaveOut(e.String(), err)
			continue
		}
		s.progress.say("starting %s with %d receivers\n", e, p.Receivers)
		link, err := s.lab.prepare(ctx, p)
		if ctx.Err() != nil || errors.Is(err, errLab) {
			return err
		}
		if err != nil {
			s.leaveOut(e.String(), err)
			continue
		}
		s.outcome.Machine.Note(e.Link, link)
		ready = append(ready, e)
	}
	if s.Engines = ready; len(ready) == 0 {
		return errors.New("no engine can run here")
	}
	return nil
}

// preparation is what an engine needs for all rows that it can do: as many
// receivers as the widest row needs serve the others as well.
func (s *session) preparation(e plan.Engine) (preparation, error) {
	p := preparation{Engine: e, Interfaces: s.Interfaces}
	var why error
	for _, r := range s.Rows {
		err := r.Fits(e)
		if err == nil {
			p.Receivers, p.IPv6 = max(p.Receivers, r.Oifs), p.IPv6 || r.IPv6
		} else if why == nil {
			why = err
		}
	}
	if p.Receivers == 0 {
		return p, fmt.Errorf("it can do none of the rows: %w", why)
	}
	if need := result.MemoryFor(p.Receivers); s.outcome.Machine.Memory > 0 &&
		need > s.outcome.Machine.Memory {
		return p, fmt.Errorf("%d receivers need about %d MiB of memory", p.Receivers, need>>20)
	}
	return p, nil
}

// measure takes the samples: the engines in turn for each row, and then all of
// it again, so that a disturbance meets few samples of each.
func (s *session) measure(ctx context.Context) error {
	s.progress.start(s)
	for round := range s.Repeats {
		s.progress.round(round+1, len(s.Rows), len(s.Engines))
		for _, r := range s.Rows {
			if s.Limit > 0 && time.Since(s.started)+s.longest > s.Limit {
				s.leaveOut(fmt.Sprintf("the rest of round %d", round+1),
					fmt.Errorf("the time of %v is over", s.Limit))
				return nil
			}
			if err := s.compare(ctx, r, round+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare takes one sample of a row by each engine. Only what ends the run is
// an error.
func (s *session) compare(ctx context.Context, r plan.Row, round int) error {
	began := time.Now()
	for _, e := range slices.Clone(s.Engines) {
		err := r.Fits(e)
		if err == nil {
			s.progress.next(e, r)
			err = s.take(ctx, e, r, round)
		}
		if ctx.Err() != nil || errors.Is(err, errLab) {
			return err
		}
		if errors.Is(err, errEnded) {
			s.leaveOut(e.String(), err)
			s.Engines = slices.DeleteFunc(s.Engines, func(o plan.Engine) bool { return o == e })
			continue
		}
		what := fmt.Sprintf("%s, %s", e, describe(r))
		if err != nil && !s.told[what] {
			s.told[what] = true
			s.leaveOut(what, err)
		}
	}
	s.longest = max(s.longest, time.Since(began))
	if len(s.Engines) == 0 {
		return errors.New("no engine is left")
	}
	return nil
}

// take takes the samples of one round of a row by an engine. What was taken
// before an error is kept.
func (s *session) take(ctx context.Context, e plan.Engine, r plan.Row, round int) error {
	samples, err := s.lab.measure(ctx, measurement{Engine: e, Row: r, Warmup: s.Warmup,
		Duration: s.Duration, Width: s.Width, Trials: s.Trials})
	for i := range samples {
		samples[i].Round = round
		measured := samples[i].Measured()
		s.record(result.Record{Sample: &measured})
	}
	s.outcome.Samples = append(s.outcome.Samples, samples...)
	return err
}
