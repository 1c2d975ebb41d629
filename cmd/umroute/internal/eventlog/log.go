// Package eventlog keeps the last records of a log, so that they can be shown to
// who comes later.
package eventlog

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Level is the lowest level that is kept, whatever the log itself shows.
const Level = slog.LevelInfo

// Event is one record.
type Event struct {
	Number     uint64 // counted from 1
	Time       time.Time
	Level      slog.Level
	Message    string
	Attributes []Attribute
}

// Attribute is a key of a record with its value. Groups stand in front of the
// key, with dots.
type Attribute struct{ Key, Value string }

// Log keeps records. Its methods are safe for concurrent use.
type Log struct {
	size int

	mu     sync.Mutex
	events []Event
	last   uint64
}

// New makes a log that keeps the last records, size of them.
func New(size int) *Log { return &Log{size: size} }

// Events gives what is kept, the oldest first.
func (l *Log) Events() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

func (l *Log) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	e.Number = l.last
	if len(l.events) == l.size {
		l.events = slices.Delete(l.events, 0, 1)
	}
	l.events = append(l.events, e)
}

// Handler gives a handler that keeps records and hands them to next.
func (l *Log) Handler(next slog.Handler) slog.Handler { return &handler{log: l, next: next} }

type handler struct {
	log    *Log
	next   slog.Handler
	with   []Attribute // of loggers made by With
	prefix string      // of groups
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= Level || h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= Level {
		e := Event{Time: r.Time, Level: r.Level, Message: r.Message,
			Attributes: slices.Clone(h.with)}
		r.Attrs(func(a slog.Attr) bool {
			e.Attributes = appendAttribute(e.Attributes, h.prefix, a)
			return true
		})
		h.log.add(e)
	}
	if h.next.Enabled(ctx, r.Level) {
		return h.next.Handle(ctx, r)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attributes []slog.Attr) slog.Handler {
	more := *h
	more.next = h.next.WithAttrs(attributes)
	more.with = slices.Clone(h.with)
	for _, a := range attributes {
		more.with = appendAttribute(more.with, h.prefix, a)
	}
	return &more
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	more := *h
	more.next = h.next.WithGroup(name)
	if name != "" {
		more.prefix = h.prefix + name + "."
	}
	return &more
}

// appendAttribute adds an attribute, or those of a group.
func appendAttribute(list []Attribute, prefix string, a slog.Attr) []Attribute {
	value := a.Value.Resolve()
	if value.Kind() != slog.KindGroup {
		return append(list, Attribute{prefix + a.Key, value.String()})
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, each := range value.Group() {
		list = appendAttribute(list, prefix, each)
	}
	return list
}
