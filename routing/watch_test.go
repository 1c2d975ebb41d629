package routing

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"umroute/mgm"
)

// TestWatch looks at what a watch of one flow counts, and what it leaves alone.
func TestWatch(t *testing.T) {
	r := threeLinks(t, Config{})
	watch, ok := r.Watch(flow4)
	if !ok {
		t.Fatal("the flow cannot be watched")
	}
	r.deliver(1, data(1, "!"), data(1, "!"), numbered(1))
	r.set(mfe(flow4, 1, 2, 3))
	r.deliver(1, data(9, "a"))
	r.deliver(3, data(9, "x"))
	r.wantSent(2, "a")
	want := []Sighting{{1, "ttl", 2}, {3, "wrong_if", 1}}
	if diff := cmp.Diff(want, watch.Sightings()); diff != "" {
		t.Errorf("sightings (-want +got):\n%s", diff)
	}
	r.StopWatch(watch)
	r.StopWatch(watch) // does no harm
	r.deliver(3, data(9, "x"))
	if diff := cmp.Diff(want, watch.Sightings()); diff != "" {
		t.Errorf("after the end (-want +got):\n%s", diff)
	}
	r.wantDrops(3, DropWrongIf, 2)
}

// TestWatchLimit asks for more watches than there may be.
func TestWatchLimit(t *testing.T) {
	r := threeLinks(t, Config{})
	if _, ok := r.Watch(mgm.Flow{Source: flow4.Source, Group: flow4.Source}); ok {
		t.Error("what is no flow is watched")
	}
	var watches []*Watch
	for range maxWatches {
		watch, ok := r.Watch(flow4)
		if !ok {
			t.Fatalf("only %d watches", len(watches))
		}
		watches = append(watches, watch)
	}
	if _, ok := r.Watch(flow4); ok {
		t.Error("one watch more than there may be")
	}
	for _, watch := range watches {
		r.StopWatch(watch)
	}
	if r.watches.Load() != nil {
		t.Error("something is still watched")
	}
}
