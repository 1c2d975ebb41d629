package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"umroute/cmd/umroute/internal/control"
)

// Options say where to show the router.
type Options struct {
	Client   *control.Client
	Output   io.Writer
	Terminal bool          // Output is one, and takes keys
	Length   time.Duration // how long; 0: until somebody ends it
}

// Run shows the router until ctx ends, the router does, or somebody quits.
func Run(ctx context.Context, o Options) error {
	if o.Length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Length)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.Terminal {
		return o.screen(ctx)
	}
	return o.lines(ctx)
}

// screen fills the terminal.
func (o Options) screen(ctx context.Context) error {
	program := tea.NewProgram(newModel(), tea.WithContext(ctx), tea.WithOutput(o.Output))
	var following sync.WaitGroup
	following.Go(func() {
		if err := follow(ctx, o.Client, func(u update) { program.Send(u) }); err != nil {
			program.Send(ended{err})
		}
	})
	final, err := program.Run()
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("show the screen: %w", err)
	}
	return final.(*model).err
}

// follow watches all documents until ctx ends. What fails first is the error.
func follow(ctx context.Context, client *control.Client, apply func(update)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watches := []func() error{
		func() error {
			return watch(ctx, client, "stats", apply, func(s *State, v control.Stats) { s.Stats = v })
		},
		func() error {
			return watch(ctx, client, "interfaces", apply,
				func(s *State, v []control.Interface) { s.Interfaces = v })
		},
		func() error {
			return watch(ctx, client, "groups", apply,
				func(s *State, v []control.Group) { s.Groups = v })
		},
		func() error {
			return watch(ctx, client, "routes", apply,
				func(s *State, v []control.Route) { s.Routes = v })
		},
		func() error {
			return watch(ctx, client, "events", apply,
				func(s *State, v []control.Event) { s.Events = v })
		},
	}
	failed := make(chan error, len(watches))
	for _, each := range watches {
		go func() { failed <- each() }()
	}
	var first error
	for range watches {
		if err := <-failed; first == nil && err != nil {
			first = err
			cancel()
		}
	}
	return first
}

// watch hands each version of a document on.
func watch[T any](ctx context.Context, client *control.Client, document string,
	apply func(update), set func(*State, T)) error {
	return client.Watch(ctx, document, func(line json.RawMessage) error {
		var value T
		if err := json.Unmarshal(line, &value); err != nil {
			return fmt.Errorf("read %s: %w", document, err)
		}
		at := time.Now()
		apply(func(s *State) {
			set(s, value)
			s.arrive(document, at)
		})
		return nil
	})
}

// lines prints a line each second, and one for each event, for what is no
// terminal.
func (o Options) lines(ctx context.Context) error {
	updates := make(chan update)
	failed := make(chan error, 1)
	go func() {
		failed <- follow(ctx, o.Client, func(u update) {
			select {
			case updates <- u:
			case <-ctx.Done():
			}
		})
	}()
	p := printer{out: o.Output}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return errors.Join(err, p.err)
		case u := <-updates:
			u(&p.state)
			p.events()
		case now := <-ticker.C:
			p.second(now)
		}
		if p.err != nil {
			return fmt.Errorf("print: %w", p.err)
		}
	}
}

// printer writes lines.
type printer struct {
	out   io.Writer
	state State
	shown uint64 // the number of the last event shown
	err   error
}

func (p *printer) print(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

// events prints those that are new.
func (p *printer) events() {
	for _, e := range p.state.Events {
		if e.Number > p.shown {
			p.shown = e.Number
			p.print("%s event level=%s msg=%q %s", clock(e), e.Level, e.Message, attributes(e))
		}
	}
}

// second prints how fast each interface is.
func (p *printer) second(now time.Time) {
	p.state.Sample(now)
	at := now.Format("15:04:05.000")
	p.print("%s router flows=%d groups=%d", at, len(p.state.Routes), len(p.state.Groups))
	for _, i := range p.state.Interfaces {
		p.print("%s interface if=%s up=%v rx=%s/s tx=%s/s drops=%s/s", at, i.Name, i.Up,
			short(p.state.rate("rx", i.Name)), short(p.state.rate("tx", i.Name)),
			short(p.state.rate("drops", i.Name)))
	}
}
