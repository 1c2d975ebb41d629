package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// StaticRoute is a static multicast route: the body of POST and DELETE
// /v1/routes, and what "show protocols" lists. Of a route to delete, Source,
// Group and In are read.
type StaticRoute struct {
	Source    string   `json:"source"`        // an address, a prefix, or "*" and "" for any
	Group     string   `json:"group"`         // an address or a prefix
	In        string   `json:"in"`            // "": where the source is expected
	Out       []string `json:"out"`           // outgoing interfaces
	Threshold uint8    `json:"ttl_threshold"` // a TTL must be above it

	Configured bool     `json:"configured"` // it is in the configuration
	Waiting    []string `json:"waiting"`    // interfaces that it lacks
	Flows      int      `json:"flows"`      // that it serves
}

// HostGroup is a group that the router joins on a link as a host does: the body
// of POST and DELETE /v1/host-groups, and what "show protocols" lists.
type HostGroup struct {
	Interface  string `json:"interface"`
	Group      string `json:"group"`
	Source     string `json:"source"` // "" for any
	Configured bool   `json:"configured"`
}

// Compare orders by interface, group and source.
func (g HostGroup) Compare(other HostGroup) int {
	return cmp.Or(cmp.Compare(g.Interface, other.Interface), cmp.Compare(g.Group, other.Group),
		cmp.Compare(g.Source, other.Source))
}

// RouteBackend is a router that has static multicast routes.
type RouteBackend interface {
	AddRoute(ctx context.Context, route StaticRoute) error
	DeleteRoute(ctx context.Context, route StaticRoute) error
	// FlushRoutes has all flows of static routes looked up again.
	FlushRoutes(ctx context.Context) error
	// JoinAsHost and LeaveAsHost join and leave a group on a link as a host does.
	JoinAsHost(ctx context.Context, group HostGroup) error
	LeaveAsHost(ctx context.Context, group HostGroup) error
}

// handleRoutes adds the requests of a RouteBackend.
func handleRoutes(mux *http.ServeMux, backend RouteBackend) {
	mux.HandleFunc("POST /v1/routes", decoding(backend.AddRoute))
	mux.HandleFunc("DELETE /v1/routes", decoding(backend.DeleteRoute))
	mux.HandleFunc("POST /v1/host-groups", decoding(backend.JoinAsHost))
	mux.HandleFunc("DELETE /v1/host-groups", decoding(backend.LeaveAsHost))
	mux.HandleFunc("POST /v1/routes/flush", func(w http.ResponseWriter, r *http.Request) {
		respond(w, struct{}{}, backend.FlushRoutes(r.Context()))
	})
}

// decoding applies the body of a request, which knows no other keys than T.
func decoding[T any](apply func(context.Context, T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body T
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&body); err != nil {
			respond(w, nil, fmt.Errorf("%w request: %v", ErrInvalid, err))
			return
		}
		respond(w, struct{}{}, apply(r.Context(), body))
	}
}

// AddRoute adds a static route, or replaces the one with the same source, group
// and incoming interface.
func (c *Client) AddRoute(ctx context.Context, route StaticRoute) error {
	return c.do(ctx, http.MethodPost, "routes", route, nil)
}

// DeleteRoute removes a static route.
func (c *Client) DeleteRoute(ctx context.Context, route StaticRoute) error {
	return c.do(ctx, http.MethodDelete, "routes", route, nil)
}

// JoinAsHost joins a group on a link as a host does.
func (c *Client) JoinAsHost(ctx context.Context, group HostGroup) error {
	return c.do(ctx, http.MethodPost, "host-groups", group, nil)
}

// LeaveAsHost leaves it.
func (c *Client) LeaveAsHost(ctx context.Context, group HostGroup) error {
	return c.do(ctx, http.MethodDelete, "host-groups", group, nil)
}

// FlushRoutes has all flows of static routes looked up again.
func (c *Client) FlushRoutes(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "routes/flush", nil, nil)
}
