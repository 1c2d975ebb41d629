package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// router is a Backend that remembers what it was asked.
type router struct {
	joined, left []MembershipChange
	cleared      []string
}

func (r *router) Show(_ context.Context, document string) (any, error) {
	if document != "groups" {
		return nil, fmt.Errorf("%w document %q", ErrUnknown, document)
	}
	return []Group{{Interface: "red", Group: "239.1.1.1", Mode: "exclude", Sources: []Source{}}}, nil
}

func (r *router) Join(_ context.Context, change MembershipChange) error {
	if change.Interface != "red" {
		return fmt.Errorf("%w interface %q", ErrUnknown, change.Interface)
	}
	r.joined = append(r.joined, change)
	return nil
}

func (r *router) Leave(_ context.Context, change MembershipChange) error {
	r.left = append(r.left, change)
	return errors.New("it broke")
}

func (r *router) Clear(_ context.Context, document string) error {
	r.cleared = append(r.cleared, document)
	return nil
}

// serve starts a server for the test and gives the path of its socket.
func serve(t *testing.T, backend Backend) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r.sock")
	listener, err := Listen(path, Access{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- Serve(ctx, listener, backend, Access{}, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return path
}

func TestClientAndServer(t *testing.T) {
	backend := &router{}
	client := Dial(serve(t, backend))

	var groups []Group
	if err := client.Show(t.Context(), "groups", &groups); err != nil {
		t.Fatal(err)
	}
	want := []Group{{Interface: "red", Group: "239.1.1.1", Mode: "exclude", Sources: []Source{}}}
	if diff := cmp.Diff(want, groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}

	change := MembershipChange{Interface: "red", Group: "232.1.1.1", Source: "10.0.0.1"}
	if err := client.Join(t.Context(), change); err != nil {
		t.Errorf("Join: %v", err)
	}
	if diff := cmp.Diff([]MembershipChange{change}, backend.joined); diff != "" {
		t.Errorf("joined (-want +got):\n%s", diff)
	}
	if err := client.Clear(t.Context(), "groups"); err != nil {
		t.Errorf("Clear: %v", err)
	}
	if diff := cmp.Diff([]string{"groups"}, backend.cleared); diff != "" {
		t.Errorf("cleared (-want +got):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	client := Dial(serve(t, &router{}))
	for _, tt := range []struct {
		name string
		do   func() error
		want string
	}{
		{"document", func() error { return client.Show(t.Context(), "horses", new(any)) },
			`unknown document "horses"`},
		{"interface", func() error {
			return client.Join(t.Context(), MembershipChange{Interface: "green"})
		}, `unknown interface "green"`},
		{"fault", func() error { return client.Leave(t.Context(), MembershipChange{}) },
			"it broke"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.do()
			if err == nil || err.Error() != tt.want {
				t.Errorf("got error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestStatus holds what programs that speak HTTP themselves rely on.
func TestStatus(t *testing.T) {
	path := serve(t, &router{})
	client := http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("unix", path)
		},
	}}
	for _, tt := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/v1/groups", "", http.StatusOK},
		{"GET", "/v1/horses", "", http.StatusNotFound},
		{"GET", "/v2/groups", "", http.StatusNotFound},
		{"POST", "/v1/join", `{"interface": "red", "group": "239.1.1.1"}`, http.StatusOK},
		{"POST", "/v1/join", `{"interface": "green"}`, http.StatusNotFound},
		{"POST", "/v1/join", `{"horse": 1}`, http.StatusBadRequest},
		{"POST", "/v1/join", `{"interface": "` + strings.Repeat("x", maxRequest) + `"}`,
			http.StatusBadRequest},
		{"POST", "/v1/leave", `{}`, http.StatusInternalServerError},
		{"DELETE", "/v1/groups", "", http.StatusMethodNotAllowed},
	} {
		request, err := http.NewRequestWithContext(t.Context(), tt.method,
			"http://umroute"+tt.path, bytes.NewBufferString(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != tt.want {
			t.Errorf("%s %s %.40s: status %d, want %d", tt.method, tt.path, tt.body,
				response.StatusCode, tt.want)
		}
	}
	client.CloseIdleConnections()
}

func TestListenReplacesStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false) // as after a crash
	dead.Close()
	listener, err := Listen(path, Access{})
	if err != nil {
		t.Fatalf("Listen where a dead router's socket lies: %v", err)
	}
	defer listener.Close()
	if _, err := Listen(path, Access{}); err == nil || !strings.Contains(err.Error(), "--name") {
		t.Errorf("Listen where a router runs: got error %v, want one that names --name", err)
	}
}

func TestDirectoryOfOthersIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(filepath.Join(dir, "r.sock"), Access{}); err == nil ||
		!strings.Contains(err.Error(), "others may write") {
		t.Errorf("Listen in a directory that all may write: got error %v", err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	if _, err := Find(); !errors.Is(err, ErrNoRouter) {
		t.Errorf("Find without a directory: got error %v, want %v", err, ErrNoRouter)
	}
	open := func(name string) {
		listener, err := Listen(SocketPath(name), Access{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
	}
	open("one")
	if path, err := Find(); err != nil || path != filepath.Join(dir, "umroute", "one.sock") {
		t.Errorf("Find with one router: got %q, %v", path, err)
	}
	open("two")
	if _, err := Find(); err == nil || !strings.Contains(err.Error(), "one, two") {
		t.Errorf("Find with two routers: got error %v, want one that names both", err)
	}
}

func TestDialWithoutRouter(t *testing.T) {
	err := Dial(filepath.Join(t.TempDir(), "none.sock")).Show(t.Context(), "groups", new(any))
	if !errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), "http:") {
		t.Errorf("got error %v, want one that wraps os.ErrNotExist and names no URL", err)
	}
}
