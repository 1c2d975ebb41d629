package router

import (
	"log/slog"
	"time"

	"umroute/cmd/umroute/internal/control"
	"umroute/cmd/umroute/internal/eventlog"
)

// keptEvents is how many records of the log can be shown later.
const keptEvents = 256

// keepEvents makes the router's log, whose last records are kept.
func (r *Router) keepEvents() {
	r.events = eventlog.New(keptEvents)
	r.log = slog.New(r.events.Handler(r.log.Handler()))
}

func (r *Router) eventDocuments() []control.Event {
	documents := []control.Event{}
	for _, e := range r.events.Events() {
		document := control.Event{Number: e.Number, Time: e.Time.Format(time.RFC3339Nano),
			Level: e.Level.String(), Message: e.Message, Attributes: make(map[string]string)}
		for _, a := range e.Attributes {
			document.Attributes[a.Key] = a.Value
		}
		documents = append(documents, document)
	}
	return documents
}
