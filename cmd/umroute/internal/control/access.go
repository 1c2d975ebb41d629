package control

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Access says who may use a control socket besides the router's own user and
// root, who may do everything. The zero Access is nobody.
type Access struct {
	group  string // its members may look
	number uint32
}

// NewAccess lets the members of a group look, and nobody where its name is "".
func NewAccess(group string) (Access, error) {
	if group == "" {
		return Access{}, nil
	}
	found, err := user.LookupGroup(group)
	if err != nil {
		return Access{}, fmt.Errorf("let a group look (key control.read-group): %w", err)
	}
	number, err := strconv.ParseUint(found.Gid, 10, 32)
	if err != nil {
		return Access{}, fmt.Errorf("let group %s look: %w", group, err)
	}
	return Access{group: group, number: uint32(number)}, nil
}

// protect gives the socket its mode and, where a group may look, its group.
func (a Access) protect(path string) error {
	mode := os.FileMode(0o600)
	if a.group != "" {
		mode = 0o660
		if err := a.open(path); err != nil {
			return err
		}
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("protect the control socket: %w", err)
	}
	return nil
}

// open gives the socket to the group, and lets it through the directory where
// that is the router's own.
func (a Access) open(path string) error {
	own := []string{path}
	if dir := filepath.Dir(path); dir == Directory() {
		own = append(own, dir)
	}
	for _, each := range own {
		if err := os.Chown(each, -1, int(a.number)); err != nil {
			return fmt.Errorf("let group %s look (key control.read-group): %w; "+
				"the router's user must be a member of it", a.group, err)
		}
	}
	if len(own) < 2 {
		return nil
	}
	if err := os.Chmod(own[1], 0o710); err != nil {
		return fmt.Errorf("let group %s look (key control.read-group): %w", a.group, err)
	}
	return nil
}

// right is what a peer may do.
type right uint8

const (
	nothing right = iota
	look
	change
)

// peer is the other end of a connection, as the kernel knows it.
type peer struct {
	user   uint32
	groups []uint32
}

// right is what a peer of a router with this user may do.
func (a Access) right(p peer, self uint32) right {
	switch {
	case p.user == 0 || p.user == self:
		return change
	case a.group != "" && slices.Contains(p.groups, a.number):
		return look
	}
	return nothing
}

// peerOf asks the kernel who has connected (SO_PEERCRED and SO_PEERGROUPS of
// unix(7) and socket(7)).
func peerOf(conn *net.UnixConn) (p peer, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return p, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		var credentials *unix.Ucred
		credentials, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err == nil {
			p.user, p.groups = credentials.Uid, []uint32{credentials.Gid}
			p.groups = append(p.groups, moreGroups(fd)...)
		}
	})
	if err := errors.Join(controlErr, err); err != nil {
		return p, fmt.Errorf("ask who the peer is: %w", err)
	}
	return p, nil
}

// moreGroups are the supplementary groups of a peer, none before Linux 4.13.
func moreGroups(fd uintptr) []uint32 {
	for groups := make([]uint32, 64); ; {
		size := uint32(4 * len(groups))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET,
			unix.SO_PEERGROUPS, uintptr(unsafe.Pointer(&groups[0])),
			uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4]
		case errno != unix.ERANGE || int(size/4) <= len(groups):
			return nil
		}
		groups = make([]uint32, size/4)
	}
}

// peerKey is where a request's context has what its peer may do.
type peerKey struct{}

// guard lets only those who may change the router do more than look.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mayChange := r.Context().Value(peerKey{}) == change
		if !mayChange && r.Method != http.MethodGet && r.Method != http.MethodHead {
			respond(w, nil, errForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

var errForbidden = errors.New("only the router's user and root may change it")
