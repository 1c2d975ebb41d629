package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"umroute/cmd/umroute/internal/control"
)

// api is a router's control socket, with its description.
type api struct {
	t      *testing.T
	client *http.Client
	find   func(*http.Request) (*openapi3filter.RequestValidationInput, error)
}

func newAPI(t *testing.T, p *process) *api {
	t.Helper()
	description, err := openapi3.NewLoader().LoadFromData(control.Description)
	if err != nil {
		t.Fatal(err)
	}
	paths, err := gorillamux.NewRouter(description)
	if err != nil {
		t.Fatal(err)
	}
	find := func(r *http.Request) (*openapi3filter.RequestValidationInput, error) {
		route, parameters, err := paths.FindRoute(r)
		return &openapi3filter.RequestValidationInput{Request: r, PathParams: parameters,
			Route: route}, err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", p.socket)
	}
	return &api{t: t, find: find,
		client: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// do sends a request and holds the answer against the description.
func (a *api) do(method, path, body string, want int) string {
	a.t.Helper()
	request, err := http.NewRequestWithContext(a.t.Context(), method, "http://umroute"+path,
		strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	described, err := a.find(request)
	if err != nil {
		a.t.Errorf("%s %s is not described: %v", method, path, err)
		return ""
	}
	response, err := a.client.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != want {
		a.t.Errorf("%s %s: %s, %v, want %d: %s", method, path, response.Status, err, want, answer)
		return ""
	}
	input := &openapi3filter.ResponseValidationInput{RequestValidationInput: described,
		Status: response.StatusCode, Header: response.Header}
	input.SetBodyBytes(answer)
	if err := openapi3filter.ValidateResponse(a.t.Context(), input); err != nil {
		a.t.Errorf("%s %s: the answer is not as described: %v\n%s", method, path, err, answer)
	}
	return string(answer)
}

// TestAPI asks a router that has something of everything for all documents, and
// holds the answers against openapi.yaml.
//
//	red ──mc0── router ──mc0── blue
//	sends                      has joined
func TestAPI(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	p := startRouter(t, configure(stations...))
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	conn := blue.join(group, red.v4)
	p.awaitJoined("blue", group.Addr())
	red.send(group, "hello", anyTTL)
	expect(t, conn, "hello", red.v4)
	a := newAPI(t, p)
	for _, document := range control.Documents {
		a.do("GET", "/v1/"+document, "", http.StatusOK)
	}
	text := a.do("GET", "/v1/openapi.yaml", "", http.StatusOK)
	if text != string(control.Description) {
		t.Error("openapi.yaml is another one")
	}
	a.do("GET", "/metrics", "", http.StatusOK)
	const explain = "/v1/explain?interface=blue&group=239.1.1.1&source="
	a.do("GET", explain+"10.0.1.2", "", http.StatusOK)
	a.do("GET", explain+"10.0.9.9", "", http.StatusOK)
	a.do("GET", explain+"horse", "", http.StatusBadRequest)
	a.do("GET", explain+"10.0.1.2&wait=1h", "", http.StatusBadRequest)
	membership := `{"interface": "blue", "group": "239.7.7.7"}`
	a.do("POST", "/v1/join", membership, http.StatusOK)
	a.do("POST", "/v1/leave", membership, http.StatusOK)
	a.do("POST", "/v1/leave", membership, http.StatusBadRequest)
	a.do("POST", "/v1/join", `{"interface": "green", "group": "239.7.7.7"}`, http.StatusNotFound)
	a.do("POST", "/v1/join", `{"horse": 1}`, http.StatusBadRequest)
	a.do("POST", "/v1/groups/clear", "", http.StatusOK)
	p.stop()
}

// TestAPIExamples sends what docs/api.md shows.
func TestAPIExamples(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	stations := newStations(t, "red", "blue")
	p := startRouter(t, configure(stations...))
	a := newAPI(t, p)
	example := regexp.MustCompile(`(?m)^\$ curl .*--unix-socket \$S (.*)$`)
	examples := example.FindAllSubmatch(data, -1)
	if len(examples) < 8 {
		t.Fatalf("only %d examples", len(examples))
	}
	for _, each := range examples {
		arguments := each[1]
		url := regexp.MustCompile(`http://umroute([^' ]*)`).FindSubmatch(arguments)
		body := regexp.MustCompile(`-d '([^']*)'`).FindSubmatch(arguments)
		switch {
		case bytes.Contains(url[1], []byte("watch=1")):
			continue // it does not end
		case body != nil:
			a.do("POST", string(url[1]), string(body[1]), http.StatusOK)
		case bytes.Contains(arguments, []byte("-X POST")):
			a.do("POST", string(url[1]), "", http.StatusOK)
		default:
			a.do("GET", string(url[1]), "", http.StatusOK)
		}
	}
}
