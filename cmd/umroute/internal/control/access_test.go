package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestRight(t *testing.T) {
	const self = 1000
	some := Access{group: "some", number: 7}
	tests := []struct {
		name   string
		access Access
		peer   peer
		want   right
	}{
		{"the same user", Access{}, peer{user: self}, change},
		{"root", Access{}, peer{user: 0}, change},
		{"somebody else", Access{}, peer{user: 1001, groups: []uint32{0, 7}}, nothing},
		{"the same user in the group", some, peer{user: self, groups: []uint32{7}}, change},
		{"by the first group", some, peer{user: 1001, groups: []uint32{7}}, look},
		{"by another group", some, peer{user: 1001, groups: []uint32{1, 2, 7}}, look},
		{"not in the group", some, peer{user: 1001, groups: []uint32{0, 1}}, nothing},
	}
	for _, test := range tests {
		if got := test.access.right(test.peer, self); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestUnknownGroup(t *testing.T) {
	if _, err := NewAccess("no-such-group"); err == nil ||
		!strings.Contains(err.Error(), "control.read-group") {
		t.Errorf("error %v", err)
	}
	if access, err := NewAccess(""); err != nil || access != (Access{}) {
		t.Errorf("no group: %+v, %v", access, err)
	}
}

// The users of TestReadGroup, who need not exist.
const (
	stranger = 54321
	member   = 54322
)

// TestReadGroup has users of all kinds look and change. It needs root, to become
// them.
func TestReadGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become other users")
	}
	access := Access{group: "looking", number: 54323}
	dir, err := os.MkdirTemp("", "umroute-test-") // others can't enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "r.sock")
	listener, err := Listen(path, access)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	backend := &router{}
	go func() {
		served <- Serve(ctx, listener, backend, access, slog.New(slog.DiscardHandler))
	}()
	defer func() {
		cancel()
		<-served
	}()
	if err := asUser(path, 0, 0, nil, mayChange); err != nil {
		t.Errorf("root: %v", err)
	}
	if err := asUser(path, member, 1, []int{2, 54323}, mayOnlyLook); err != nil {
		t.Errorf("member: %v", err)
	}
	if err := asUser(path, stranger, 1, []int{2}, mayNothing); err != nil {
		t.Errorf("stranger: %v", err)
	}
	// The mode keeps strangers out; so does the server where it does not.
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := asUser(path, stranger, 1, []int{2}, mayNothing); err != nil {
		t.Errorf("stranger who got in: %v", err)
	}
	if len(backend.joined) != 1 {
		t.Errorf("joined %v", backend.joined)
	}
}

// asUser connects as another user and has try say what is wrong. Users belong to
// threads; this one ends with the goroutine.
func asUser(path string, user, group int, more []int, try func(*Client) error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		conn, err := connectAs(path, user, group, more)
		if err != nil {
			result <- try(refusedClient(err))
			return
		}
		defer conn.Close()
		client := &Client{path: path, http: http.Client{Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				return conn, nil
			}}}}
		result <- try(client)
	}()
	return <-result
}

func connectAs(path string, user, group int, more []int) (net.Conn, error) {
	if user != 0 {
		list := make([]uint32, 0, len(more))
		for _, g := range more {
			list = append(list, uint32(g))
		}
		if err := setUser(user, group, list); err != nil {
			return nil, err
		}
	}
	return net.Dial("unix", path)
}

// setUser changes the user of this thread alone.
func setUser(user, group int, more []uint32) error {
	for _, call := range [][3]uintptr{
		{unix.SYS_SETGROUPS, uintptr(len(more)), uintptr(unsafe.Pointer(&more[0]))},
		{unix.SYS_SETRESGID, uintptr(group), uintptr(group)},
		{unix.SYS_SETRESUID, uintptr(user), uintptr(user)},
	} {
		if _, _, errno := unix.RawSyscall(call[0], call[1], call[2], call[1]); errno != 0 {
			return errno
		}
	}
	return nil
}

func refusedClient(err error) *Client {
	return &Client{http: http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, err },
	}}}
}

var aChange = MembershipChange{Interface: "red", Group: "239.1.1.1"}

func mayChange(c *Client) error { return c.Join(context.Background(), aChange) }

func mayOnlyLook(c *Client) error {
	if err := c.Show(context.Background(), "groups", new(any)); err != nil {
		return err
	}
	err := c.Join(context.Background(), aChange)
	if err == nil || err.Error() != errForbidden.Error() {
		return fmt.Errorf("change: %v", err)
	}
	return nil
}

func mayNothing(c *Client) error {
	err := c.Show(context.Background(), "groups", new(any))
	if err == nil {
		return errors.New("it may look")
	}
	return nil
}
