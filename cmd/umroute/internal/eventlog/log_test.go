package eventlog

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestEvents keeps records that the log itself does not show, and with all
// attributes.
func TestEvents(t *testing.T) {
	var text bytes.Buffer
	events := New(3)
	log := slog.New(events.Handler(slog.NewTextHandler(&text,
		&slog.HandlerOptions{Level: slog.LevelWarn})))
	log.Info("forgotten")
	log.Debug("never kept")
	log.With("if", "red").WithGroup("peer").Info("up", "from", "down", slog.Group("g", "n", 1))
	log.Warn("down", "reason", "gone")
	log.Error("broken")
	want := []Event{
		{Number: 2, Level: slog.LevelInfo, Message: "up",
			Attributes: []Attribute{{"if", "red"}, {"peer.from", "down"}, {"peer.g.n", "1"}}},
		{Number: 3, Level: slog.LevelWarn, Message: "down",
			Attributes: []Attribute{{"reason", "gone"}}},
		{Number: 4, Level: slog.LevelError, Message: "broken"},
	}
	if diff := cmp.Diff(want, events.Events(), cmpopts.IgnoreFields(Event{}, "Time"),
		cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if lines := strings.Count(text.String(), "\n"); lines != 2 {
		t.Errorf("the log itself shows %d lines:\n%s", lines, text.String())
	}
}

// TestHandler holds the handler against what the library asks of one.
func TestHandler(t *testing.T) {
	var text bytes.Buffer
	handler := New(4).Handler(slog.NewJSONHandler(&text, nil))
	err := slogtest.TestHandler(handler, func() []map[string]any {
		return decode(t, text.Bytes())
	})
	if err != nil {
		t.Error(err)
	}
}

// decode reads a record from each line.
func decode(t *testing.T, text []byte) (records []map[string]any) {
	t.Helper()
	for decoder := json.NewDecoder(bytes.NewReader(text)); decoder.More(); {
		var record map[string]any
		if err := decoder.Decode(&record); err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	return records
}
