package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// changing is a router whose documents a test changes.
type changing struct {
	router
	stats atomic.Pointer[Stats]
	looks atomic.Int32
	fault atomic.Bool
}

func (c *changing) Show(_ context.Context, document string) (any, error) {
	if document != "stats" {
		return nil, fmt.Errorf("%w document %q", ErrUnknown, document)
	}
	c.looks.Add(1)
	if c.fault.Load() {
		return nil, errors.New("it broke")
	}
	return c.stats.Load(), nil
}

// TestFeed holds what is pushed and when: changes of state soon, counters alone
// once a second, times alone never.
func TestFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &changing{}
		c.stats.Store(&Stats{Name: "a"})
		all := newFeeds(c.Show)
		feed, w, err := all.join("stats")
		if err != nil {
			t.Fatal(err)
		}
		want := func(part string) {
			t.Helper()
			synctest.Wait()
			got := ""
			select {
			case line := <-w.news:
				got = string(line)
			default:
			}
			if got == "" != (part == "") || !strings.Contains(got, part) {
				t.Errorf("pushed %q, want %q", got, part)
			}
		}
		want(`"name":"a"`)
		time.Sleep(3 * time.Second)
		want("")
		t.Log("# the time alone goes on")
		c.stats.Store(&Stats{Name: "a", Uptime: 3})
		time.Sleep(3 * time.Second)
		want("")
		t.Log("# a change of state")
		c.stats.Store(&Stats{Name: "a", Uptime: 6, Flows: 1})
		time.Sleep(stateInterval)
		want(`"flows":1`)
		t.Log("# counters alone")
		c.stats.Store(&Stats{Name: "a", Uptime: 6, Flows: 1, Misses: 5})
		time.Sleep(2 * stateInterval)
		want("")
		time.Sleep(counterInterval)
		want(`"misses":5`)
		t.Log("# who is slow gets the newest")
		for n := range 3 {
			c.stats.Store(&Stats{Name: "a", Flows: 10 + n})
			time.Sleep(2 * stateInterval)
		}
		want(`"flows":12`)
		t.Log("# who comes later gets what is known at once")
		_, second, err := all.join("stats")
		if err != nil {
			t.Fatal(err)
		}
		if line := <-second.news; !strings.Contains(string(line), `"flows":12`) {
			t.Errorf("the second got %s", line)
		}
		all.leave(feed, w)
		all.leave(feed, second)
		synctest.Wait()
		looks := c.looks.Load()
		time.Sleep(time.Minute)
		if c.looks.Load() != looks {
			t.Error("nobody watches, and yet the document is looked at")
		}
	})
}

// TestWatch follows a document over the socket, until it fails.
func TestWatch(t *testing.T) {
	c := &changing{}
	c.stats.Store(&Stats{Flows: 1})
	client := Dial(serve(t, c))
	var flows []int
	err := client.Watch(t.Context(), "stats", func(line json.RawMessage) error {
		var s Stats
		if err := json.Unmarshal(line, &s); err != nil {
			t.Error(err)
		}
		flows = append(flows, s.Flows)
		switch s.Flows {
		case 1:
			c.stats.Store(&Stats{Flows: 2})
		case 2:
			c.fault.Store(true)
		}
		return nil
	})
	if err == nil || err.Error() != "it broke" {
		t.Errorf("the watch ended with %v", err)
	}
	if diff := cmp.Diff([]int{1, 2}, flows); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
	if err := client.Watch(t.Context(), "horses", nil); err == nil ||
		err.Error() != `unknown document "horses"` {
		t.Errorf("watch of what is not there: %v", err)
	}
}

// TestWatchEnds ends the one who watches, and then the router.
func TestWatchEnds(t *testing.T) {
	c := &changing{}
	c.stats.Store(&Stats{Flows: 1})
	path := serve(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	err := Dial(path).Watch(ctx, "stats", func(json.RawMessage) error {
		cancel()
		return nil
	})
	if err != nil {
		t.Errorf("who watches has ended: %v", err)
	}
}

// TestTooManyWatchers asks for one more than there may be.
func TestTooManyWatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &changing{}
		c.stats.Store(&Stats{})
		all := newFeeds(c.Show)
		var last *watcher
		var feed *feed
		for range maxWatchers {
			var err error
			if feed, last, err = all.join("stats"); err != nil {
				t.Fatal(err)
			}
			defer all.leave(feed, last)
		}
		if _, _, err := all.join("stats"); !errors.Is(err, ErrInvalid) {
			t.Errorf("one more: %v", err)
		}
	})
}
