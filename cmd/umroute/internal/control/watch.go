package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// maxWatchers bounds the watches of a router, over all documents.
const maxWatchers = 64

// pushTimeout is how long a peer may take to read one document.
const pushTimeout = 30 * time.Second

// feeds pushes the documents of a router to those who watch them.
type feeds struct {
	show func(ctx context.Context, document string) (any, error)

	mu    sync.Mutex
	feeds map[string]*feed
	count int
}

func newFeeds(show func(context.Context, string) (any, error)) *feeds {
	return &feeds{show: show, feeds: make(map[string]*feed)}
}

var errTooManyWatchers = fmt.Errorf("%w: %d documents are watched already", ErrInvalid,
	maxWatchers)

// join adds a watcher of a document that Show knows.
func (f *feeds) join(document string) (*feed, *watcher, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count >= maxWatchers {
		return nil, nil, errTooManyWatchers
	}
	f.count++
	if f.feeds[document] == nil {
		f.feeds[document] = &feed{
			look:     func(ctx context.Context) (any, error) { return f.show(ctx, document) },
			watchers: make(map[*watcher]struct{}),
		}
	}
	return f.feeds[document], f.feeds[document].join(), nil
}

func (f *feeds) leave(feed *feed, w *watcher) {
	feed.leave(w)
	f.mu.Lock()
	f.count--
	f.mu.Unlock()
}

// serve pushes a document, one line each time that it changes, until the peer
// or the router goes.
func (f *feeds) serve(w http.ResponseWriter, r *http.Request, document string) {
	// A document that is not there is better told now than in the middle.
	if _, err := f.show(r.Context(), document); err != nil {
		respond(w, nil, err)
		return
	}
	feed, watcher, err := f.join(document)
	if err != nil {
		respond(w, nil, err)
		return
	}
	defer f.leave(feed, watcher)
	w.Header().Set("Content-Type", "application/x-ndjson")
	stream := http.NewResponseController(w)
	for {
		var line []byte
		var open bool
		select {
		case <-r.Context().Done():
			return
		case line, open = <-watcher.news:
		}
		if !open {
			line, _ = json.Marshal(failure{Error: watcher.err.Error()})
			line = append(line, '\n')
		}
		// The peer has gone when one of these fails.
		_ = stream.SetWriteDeadline(time.Now().Add(pushTimeout))
		_, writeErr := w.Write(line)
		if err := errors.Join(writeErr, stream.Flush()); err != nil || !open {
			return
		}
	}
}

// ErrEnded is what Watch returns when the router has ended.
var ErrEnded = errors.New("the router has ended")

// Watch calls each with a document, now and whenever it changes, until ctx ends,
// which is no error, or the router does.
func (c *Client) Watch(ctx context.Context, document string,
	each func(json.RawMessage) error) error {
	err := c.stream(ctx, document+"?watch=1", each)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// stream is Watch, without regard to why it ends.
func (c *Client) stream(ctx context.Context, path string, each func(json.RawMessage) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://umroute/v1/"+path, nil)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.explain(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return refusal(response)
	}
	for decoder := json.NewDecoder(response.Body); ; {
		var line json.RawMessage
		if err := decoder.Decode(&line); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return ErrEnded
			}
			return fmt.Errorf("read the router's answer: %w", err)
		}
		if problem := failed(line); problem != "" {
			return errors.New(problem)
		}
		if err := each(line); err != nil {
			return err
		}
	}
}

// failed gives the error that stands in place of a document, if it does.
func failed(line []byte) string {
	if !bytes.HasPrefix(line, []byte(`{"error":`)) {
		return ""
	}
	var problem failure
	if json.Unmarshal(line, &problem) != nil {
		return ""
	}
	return problem.Error
}
