package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const socketSuffix = ".sock"

// Directory is where the sockets of this user's routers lie:
// $XDG_RUNTIME_DIR/umroute, or /tmp/umroute-UID where that is not set.
func Directory() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "umroute")
	}
	return filepath.Join(os.TempDir(), "umroute-"+strconv.Itoa(os.Getuid()))
}

// SocketPath is the socket of the router with that name.
func SocketPath(name string) string {
	return filepath.Join(Directory(), name+socketSuffix)
}

// Listen opens the control socket at path for those who have access. A socket
// that a dead router left there is replaced; a living one is an error.
func Listen(path string, access Access) (*net.UnixListener, error) {
	if err := prepareDirectory(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("listen on %s: another router is running there; "+
			"give this one a name of its own with --name", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the stale socket: %w", err)
	}
	// Between bind and chmod the directory's mode alone protects the socket.
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := access.protect(path); err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}

// prepareDirectory makes the socket directory. In a directory that is open to
// everybody, such as /tmp, somebody else may have made it first: a directory
// of another owner, or one that others may write to, is refused.
func prepareDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of the control socket: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at the directory of the control socket: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return fmt.Errorf("directory of the control socket %s: not a directory", dir)
	}
	if int(owner.Uid) != os.Getuid() && owner.Uid != 0 {
		return fmt.Errorf("directory of the control socket %s: belongs to user %d; "+
			"choose another socket with --socket", dir, owner.Uid)
	}
	if info.Mode().Perm()&0o022 != 0 && info.Mode()&os.ModeSticky == 0 {
		return fmt.Errorf("directory of the control socket %s: others may write to it; "+
			"run: chmod go-w %s", dir, dir)
	}
	return nil
}

// ErrNoRouter is what Find returns where no router runs for this user.
var ErrNoRouter = errors.New("no router is running for this user; " +
	"start one with: umroute run -c FILE")

// Find gives the socket of the only router that runs for this user.
func Find() (string, error) {
	dir := Directory()
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNoRouter
	}
	if err != nil {
		return "", fmt.Errorf("look for running routers: %w", err)
	}
	var names []string
	for _, entry := range entries {
		name, isSocket := strings.CutSuffix(entry.Name(), socketSuffix)
		if isSocket && answers(filepath.Join(dir, entry.Name())) {
			names = append(names, name)
		}
	}
	switch len(names) {
	case 0:
		return "", ErrNoRouter
	case 1:
		return SocketPath(names[0]), nil
	}
	return "", fmt.Errorf("several routers are running (%s): choose one with --name",
		strings.Join(names, ", "))
}

func answers(path string) bool {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// peerListener accepts only peers that may do something.
type peerListener struct {
	*net.UnixListener
	access  Access
	refused func(uid uint32)
}

func (l peerListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		p, err := peerOf(conn)
		if err == nil && l.access.right(p, uint32(os.Getuid())) != nothing {
			return conn, nil
		}
		l.refused(p.user)
		conn.Close()
	}
}

// rightOf is what the peer of a connection may do.
func (a Access) rightOf(conn net.Conn) right {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return nothing
	}
	p, err := peerOf(socket)
	if err != nil {
		return nothing
	}
	return a.right(p, uint32(os.Getuid()))
}
