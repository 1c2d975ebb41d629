package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Backend is the router as the server sees it. Show gives the document of
// that name, or an error that wraps ErrUnknown; the other two change the
// static memberships of an interface.
type Backend interface {
	Show(ctx context.Context, document string) (any, error)
	Join(ctx context.Context, change MembershipChange) error
	Leave(ctx context.Context, change MembershipChange) error
	Clear(ctx context.Context, document string) error
}

// Exporter is a router that has metrics for Prometheus.
type Exporter interface {
	Metrics() http.Handler
}

var (
	// ErrUnknown marks a name that the router does not know.
	ErrUnknown = errors.New("unknown")
	// ErrInvalid marks a request that cannot be meant.
	ErrInvalid = errors.New("invalid")
)

// Invalid marks err as the fault of who asked, and leaves its text alone.
func Invalid(err error) error { return invalid{err} }

type invalid struct{ error }

func (invalid) Is(target error) bool { return target == ErrInvalid }

func (e invalid) Unwrap() error { return e.error }

// Documents lists what Show knows, in the order in which help names it.
var Documents = []string{"interfaces", "groups", "memberships", "routes",
	"protocols", "neighbors", "rib", "stats", "events"}

// maxRequest bounds the body of a request, in bytes.
const maxRequest = 1 << 16

// Serve answers requests on listener until ctx ends, and then within a second
// closes what is still open.
func Serve(ctx context.Context, listener *net.UnixListener, backend Backend, access Access,
	log *slog.Logger) error {
	server := &http.Server{
		Handler:           guard(handler(backend)),
		ReadHeaderTimeout: 5 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, access.rightOf(conn))
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
	})
	defer stop()
	refused := func(uid uint32) { log.Warn("control peer refused", "uid", uid) }
	err := server.Serve(peerListener{listener, access, refused})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the control socket: %w", err)
}

func handler(backend Backend) http.Handler {
	mux := http.NewServeMux()
	watched := newFeeds(backend.Show)
	mux.HandleFunc("GET /v1/{document}", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("watch") {
			watched.serve(w, r, r.PathValue("document"))
			return
		}
		document, err := backend.Show(r.Context(), r.PathValue("document"))
		respond(w, document, err)
	})
	if explainer, ok := backend.(Explainer); ok {
		mux.HandleFunc("GET /v1/explain", explain(explainer))
	}
	if exporter, ok := backend.(Exporter); ok {
		mux.Handle("GET /metrics", exporter.Metrics())
	}
	mux.HandleFunc("GET /v1/openapi.yaml", serveDescription)
	mux.HandleFunc("POST /v1/join", changer(backend.Join))
	mux.HandleFunc("POST /v1/leave", changer(backend.Leave))
	mux.HandleFunc("POST /v1/{document}/clear", func(w http.ResponseWriter, r *http.Request) {
		respond(w, struct{}{}, backend.Clear(r.Context(), r.PathValue("document")))
	})
	if routes, ok := backend.(RouteBackend); ok {
		handleRoutes(mux, routes)
	}
	handleAttach(mux, backend)
	handleReload(mux, backend)
	return mux
}

func changer(apply func(context.Context, MembershipChange) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body MembershipChange
		err := decode(w, r, &body)
		if err == nil {
			err = apply(r.Context(), body)
		}
		respond(w, struct{}{}, err)
	}
}

// decode reads the body of a request, in which every key must be known.
func decode(w http.ResponseWriter, r *http.Request, body any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(body); err != nil {
		return fmt.Errorf("%w request: %v", ErrInvalid, err)
	}
	return nil
}

func respond(w http.ResponseWriter, document any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(status(err))
		answer := failure{Error: err.Error()}
		if forbidden, ok := errors.AsType[*Forbidden](err); ok {
			answer.Device = &forbidden.Device
		}
		document = answer
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	// The peer has gone when this fails: there is nobody left to tell.
	_ = encoder.Encode(document)
}

func status(err error) int {
	switch {
	case errors.Is(err, ErrUnknown):
		return http.StatusNotFound
	case errors.Is(err, ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, errForbidden):
		return http.StatusForbidden
	}
	if _, forbidden := errors.AsType[*Forbidden](err); forbidden {
		return http.StatusForbidden
	}
	if _, wrong := errors.AsType[*WrongConfiguration](err); wrong {
		return http.StatusUnprocessableEntity
	}
	return http.StatusInternalServerError
}
