// Package demo shows a router at work without root, without a configuration
// and without tools: three hosts, numbered streams, joins and leaves, and an
// account of what arrived.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"umroute/cmd/umroute/internal/config"
	"umroute/cmd/umroute/internal/router"
	"umroute/tun"
)

// Options says how to demonstrate.
type Options struct {
	Length   time.Duration // of the whole; at least MinLength
	InMemory bool          // simulate the hosts in this process
	Terminal bool          // Output is one: draw a picture that changes
	Output   io.Writer
	Version  string
}

// MinLength is the shortest demonstration in which each step can be seen.
const MinLength = 2 * time.Second

// refresh is how often the picture changes.
const refresh = 250 * time.Millisecond

// ErrFailed is what Run returns when something arrived that should not have,
// or did not arrive that should have.
var ErrFailed = errors.New("the demonstration failed")

// Run demonstrates. It returns nil only if what should have arrived arrived
// and nothing else did.
func Run(ctx context.Context, options Options) error {
	runtime.LockOSThread() // the hosts end with this thread
	defer runtime.UnlockOSThread()
	show, err := prepare(options)
	if err != nil {
		return err
	}
	defer show.close()
	r, err := router.New(show.settings, router.Options{
		Logger: slog.New(slog.DiscardHandler), Version: options.Version, Devices: show.devices})
	if err != nil {
		return err
	}
	routing, stop := context.WithCancel(ctx)
	defer stop()
	tasks, routing := errgroup.WithContext(routing)
	ready := make(chan struct{})
	tasks.Go(func() error { return r.Serve(routing, nil, func() { close(ready) }) })
	tasks.Go(func() error {
		defer stop()
		select {
		case <-ready:
			return show.play(routing, r, options)
		case <-routing.Done():
			return nil
		}
	})
	if err := tasks.Wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return nil
}

// show is a demonstration whose hosts are there.
type show struct {
	lab       lab
	settings  *config.Config
	devices   map[string]tun.Device
	privilege string // of the router, in words
	close     func()
}

// prepare makes the hosts, and then gives up what privilege there is.
func prepare(options Options) (*show, error) {
	s := &show{settings: config.Default(), devices: make(map[string]tun.Device),
		close: func() {}}
	s.settings.Name = "demo"
	for _, h := range hosts() {
		each := config.DefaultInterface(h.Name, h.Router...)
		each.PeerAddresses = h.Peer
		s.settings.Interfaces = append(s.settings.Interfaces, each)
	}
	if options.InMemory {
		network, devices := openMemory()
		stage, err := newStage(network)
		s.lab, s.devices, s.privilege = stage, devices, "hosts simulated in memory"
		return s, err
	}
	if err := checkMachine(); err != nil {
		return nil, err
	}
	p, err := startHosts()
	if err != nil {
		return nil, explain(err)
	}
	for i, h := range hosts() {
		s.devices[h.Name] = p.links[i]
	}
	s.lab, s.close = p, p.close
	if s.privilege, err = dropPrivilege(); err != nil {
		p.close()
		return nil, err
	}
	return s, nil
}

// play runs the schedule to its end and judges.
func (s *show) play(ctx context.Context, r *router.Router, options Options) error {
	if err := s.lab.start(ctx); err != nil {
		return err
	}
	picture := newPicture(options, s.privilege)
	clock := stopwatch{start: time.Now(), length: options.Length}
	for steps := schedule(); !clock.over() || len(steps) > 0; {
		for len(steps) > 0 && clock.due(steps[0]) {
			if err := s.lab.do(ctx, steps[0]); err != nil {
				return fmt.Errorf("%s: %w", steps[0], err)
			}
			picture.event(clock.elapsed(), steps[0].String())
			steps = steps[1:]
		}
		counted, err := s.lab.tally(ctx)
		if err != nil {
			return err
		}
		picture.draw(clock.elapsed(), counted, r.Routes())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(clock.pause(steps)):
		}
	}
	counted, err := s.lab.tally(ctx)
	if err != nil {
		return err
	}
	return picture.conclude(counted, judge(counted))
}

// stopwatch is the time of a demonstration. It stands still while the machine
// does, so that a join that is late moves its leave too.
type stopwatch struct {
	start  time.Time
	length time.Duration
}

func (w *stopwatch) elapsed() time.Duration { return time.Since(w.start) }

func (w *stopwatch) over() bool { return w.elapsed() >= w.length }

// due says whether it is time for a step, and sets the watch back if it is
// long past.
func (w *stopwatch) due(s step) bool {
	late := time.Since(s.due(w.start, w.length))
	if late > refresh/4 {
		w.start = w.start.Add(late)
	}
	return late >= 0
}

// pause is how long nothing is to be done: until the picture changes, the next
// step, or the end.
func (w *stopwatch) pause(steps []step) time.Duration {
	next := refresh
	if len(steps) > 0 {
		next = min(next, time.Until(steps[0].due(w.start, w.length)))
	} else {
		next = min(next, w.length-w.elapsed())
	}
	return max(next, 0)
}
