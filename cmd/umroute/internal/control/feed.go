package control

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"time"
)

// How often documents are looked at for those who watch them.
const (
	// stateInterval is between looks. A change of state is pushed that soon.
	stateInterval = 100 * time.Millisecond
	// counterInterval is the least time between pushes of counters alone.
	counterInterval = time.Second
	// idleShare is how many times longer than a look the pause after it is: so a
	// document that takes long to make takes a tenth of a processor at most.
	idleShare = 10
)

// feed pushes one document to all who watch it. While somebody does, one
// goroutine looks at it; nobody's slowness delays another.
type feed struct {
	look func(context.Context) (any, error)

	mu       sync.Mutex
	watchers map[*watcher]struct{}
	stop     context.CancelFunc // of the goroutine; nil where none runs
	last     []byte             // what was pushed last, nil where nothing was
}

// watcher is one who watches. Of what it did not take in time it gets the newest.
type watcher struct {
	news chan []byte // one line of JSON
	err  error       // why news was closed
}

// join adds a watcher, which gets the document as it is.
func (f *feed) join() *watcher {
	w := &watcher{news: make(chan []byte, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers[w] = struct{}{}
	if f.stop == nil {
		ctx, cancel := context.WithCancel(context.Background())
		f.stop, f.last = cancel, nil
		go f.run(ctx)
		return w
	}
	if f.last != nil {
		w.put(f.last)
	}
	return w
}

// leave ends a watch. The last one to go ends the goroutine.
func (f *feed) leave(w *watcher) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.watchers, w)
	if len(f.watchers) == 0 && f.stop != nil {
		f.stop()
		f.stop = nil
	}
}

// put hands a line over in place of one that was not taken.
func (w *watcher) put(line []byte) {
	for {
		select {
		case w.news <- line:
			return
		default:
		}
		select {
		case <-w.news:
		default:
		}
	}
}

// run looks at the document until ctx ends.
func (f *feed) run(ctx context.Context) {
	var before seen
	for {
		begin := time.Now()
		document, err := f.look(ctx)
		now := time.Now()
		if err != nil {
			f.fail(ctx, err)
			return
		}
		line, next := describe(document, now)
		if next.news(before) {
			before = next
			f.push(ctx, line)
		}
		pause := max(stateInterval, idleShare*now.Sub(begin))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// push hands a line to everybody.
func (f *feed) push(ctx context.Context, line []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil {
		return // another goroutine has taken over
	}
	f.last = line
	for w := range f.watchers {
		w.put(line)
	}
}

// fail ends all watches.
func (f *feed) fail(ctx context.Context, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	f.stop()
	f.stop = nil
	for w := range f.watchers {
		w.err = err
		close(w.news)
	}
	clear(f.watchers)
}

// seen is a document as it was pushed: what it says apart from times, and apart
// from times and counters.
type seen struct {
	at           time.Time
	whole, state string
}

// news says whether s is worth a push after before.
func (s seen) news(before seen) bool {
	if before.at.IsZero() || s.state != before.state {
		return true
	}
	return s.whole != before.whole && s.at.Sub(before.at) >= counterInterval
}

// describe gives a document as one line, and what of it counts as news.
func describe(document any, now time.Time) ([]byte, seen) {
	line, err := json.Marshal(document)
	if err != nil {
		line, _ = json.Marshal(failure{Error: err.Error()}) // a string always encodes
	}
	line = append(line, '\n')
	return line, seen{at: now, whole: without(line, isTime),
		state: without(line, func(key string) bool { return isTime(key) || counters[key] })}
}

// isTime says whether a key tells how long something has lasted or will: it
// changes although nothing happens.
func isTime(key string) bool { return len(key) > 8 && key[len(key)-8:] == "_seconds" }

// counters are the keys whose changes alone are told once in counterInterval.
var counters = map[string]bool{
	"rx_packets": true, "rx_bytes": true, "tx_packets": true, "tx_bytes": true, "drops": true,
	"packets": true, "bytes": true, "wrong_if": true, "queue_overflow": true,
	"ttl_too_low": true, "frag_needed": true, "discards": true, "sent": true,
	"received": true, "ignored": true, "misses": true, "punted": true, "dropped": true,
	"control_events_dropped": true, "join_delay": true, "alerts": true, "counters": true,
}

// without gives a document without some of its keys.
func without(line []byte, drop func(key string) bool) string {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return string(line)
	}
	prune(value, drop)
	pruned, err := json.Marshal(value)
	if err != nil {
		return string(line)
	}
	return string(pruned)
}

// prune removes keys at any depth.
func prune(value any, drop func(key string) bool) {
	switch value := value.(type) {
	case []any:
		for _, each := range value {
			prune(each, drop)
		}
	case map[string]any:
		for key, each := range value {
			if drop(key) {
				delete(value, key)
			} else {
				prune(each, drop)
			}
		}
	}
}
