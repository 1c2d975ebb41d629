package control

import (
	"context"
	"net/http"
)

// Reload is the answer to POST /v1/reload: the interfaces, by what was done.
type Reload struct {
	Added    []string `json:"added"`
	Removed  []string `json:"removed"`
	Replaced []string `json:"replaced"` // opened anew
	Modified []string `json:"modified"` // while they went on
}

// WrongConfiguration says that the configuration is at fault. Nothing was
// changed.
type WrongConfiguration struct{ Err error }

func (w *WrongConfiguration) Error() string { return w.Err.Error() }

// Unwrap gives what is wrong.
func (w *WrongConfiguration) Unwrap() error { return w.Err }

// Reloader is a Backend with a configuration that can be read again.
type Reloader interface {
	Reload(ctx context.Context) (Reload, error)
}

func handleReload(mux *http.ServeMux, backend Backend) {
	reloader, can := backend.(Reloader)
	if !can {
		return
	}
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, r *http.Request) {
		document, err := reloader.Reload(r.Context())
		respond(w, document, err)
	})
}

// Reload has the router read its configuration again.
func (c *Client) Reload(ctx context.Context) (document Reload, err error) {
	err = c.do(ctx, http.MethodPost, "reload", nil, &document)
	return document, err
}
