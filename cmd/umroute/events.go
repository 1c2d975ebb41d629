package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"umroute/cmd/umroute/internal/control"
)

func eventTable(row func(...any), events []control.Event) {
	row("Time", "Level", "Event", "Attributes")
	for _, e := range events {
		at := e.Time
		if moment, err := time.Parse(time.RFC3339Nano, e.Time); err == nil {
			at = moment.Local().Format("15:04:05.000")
		}
		var attributes []string
		for _, key := range slices.Sorted(maps.Keys(e.Attributes)) {
			attributes = append(attributes, key+"="+e.Attributes[key])
		}
		row(at, e.Level, e.Message, dash(strings.Join(attributes, " ")))
	}
}
