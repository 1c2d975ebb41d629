package metrics

import (
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"umroute/cmd/umroute/internal/control"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// documents is a router whose documents never change.
type documents map[string]any

func (d documents) Show(_ context.Context, document string) (any, error) {
	value, there := d[document]
	if !there {
		return nil, errors.New("no " + document)
	}
	return value, nil
}

// rich is a router that has something of everything.
func rich() documents {
	igmp := control.Querying{Enabled: true, Version: 3, IsQuerier: true, Groups: 2,
		Sent:     map[string]uint64{"general_query": 4},
		Received: map[string]uint64{"report_v3": 5}, Ignored: map[string]uint64{"off_link": 1}}
	return documents{
		"stats": control.Stats{Name: "edge", Version: "1.2.3", Flows: 3, Negative: 1, Misses: 7,
			Punted: 8, ControlEventsDropped: 9, Dropped: map[string]uint64{"ttl": 2},
			JoinDelay: control.Delays{Count: 4, Sum: 0.5, Buckets: []control.DelayBucket{
				{UpTo: 0.001, Count: 1}, {UpTo: 0.002, Count: 3}, {UpTo: 0.004}}}},
		"interfaces": []control.Interface{
			{Name: "red", Link: "tun", Netns: "self", Device: "mc0", IO: "plain", Up: true, IGMP: igmp,
				RxPackets: 10, RxBytes: 11, TxPackets: 12, TxBytes: 13,
				Drops: map[string]uint64{"ttl": 2}},
			{Name: "blue", Link: "tap", Netns: "pid:7", Device: "mc1", IO: "vectored"},
		},
		"protocols": []control.Protocol{{Name: "igmp", Family: "ipv4", Memberships: 2}},
		"neighbors": []control.Neighbor{{Protocol: "pim", Interface: "red"},
			{Protocol: "pim", Interface: "red"}},
		"routes": []control.Route{{Source: "10.0.1.2", Group: "239.1.1.1", IIF: "red", Packets: 5,
			Bytes: 500, OIFs: []control.OIF{{Interface: "blue", Packets: 4}}}},
	}
}

// gather asks for metrics as Prometheus does.
func gather(t *testing.T, router Router, flows bool) (status int, text string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	Handler(router, flows, slog.New(slog.DiscardHandler)).ServeHTTP(recorder,
		httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(recorder.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return recorder.Code, string(body)
}

// ours is the router's own part of the metrics.
func ours(text string) string {
	var own strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, "umroute_") {
			own.WriteString(line)
		}
	}
	return own.String()
}

func TestMetrics(t *testing.T) {
	status, text := gather(t, rich(), true)
	if status != 200 || !strings.Contains(text, "go_goroutines") {
		t.Errorf("status %d, without the metrics of the process", status)
	}
	const golden = "testdata/metrics.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(ours(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), ours(text)); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// TestFlowsOnRequest holds that there is no series for a flow unless asked.
func TestFlowsOnRequest(t *testing.T) {
	if _, text := gather(t, rich(), false); strings.Contains(text, "umroute_flow") {
		t.Error("series for flows")
	}
}

// TestHalfAnAnswer has a router that does not give one of its documents.
func TestHalfAnAnswer(t *testing.T) {
	router := rich()
	delete(router, "interfaces")
	if status, text := gather(t, router, false); status != 500 ||
		!strings.Contains(text, "no interfaces") {
		t.Errorf("status %d: %s", status, text)
	}
}
