package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// quiet is how long no change may come before the routes are read: most
	// changes come in flocks.
	quiet = 5 * time.Millisecond
	// patience is how long a flock may keep them from being read.
	patience = 100 * time.Millisecond
)

// Follow calls take with all routes, and again whenever they differ, until ctx
// ends. The slice is take's. The error says why the kernel cannot be followed;
// it is nil once ctx has ended.
//
// It does not look into the notices, but reads the table: the kernel tells
// nothing of IPv4 routes that go with their device, and drops notices where too
// many come.
func Follow(ctx context.Context, take func([]Route)) error {
	socket, err := subscribe()
	if err != nil {
		return fmt.Errorf("follow the kernel's routes: %w", err)
	}
	notices := make(chan struct{}, 1)
	notices <- struct{}{} // the first reading
	ended := make(chan error, 1)
	go func() { ended <- listen(socket, notices) }()
	defer func() {
		socket.Close()
		<-ended
	}()
	var last []Route
	for first := true; ; {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			ended <- err
			return fmt.Errorf("follow the kernel's routes: %w", err)
		case <-notices:
		}
		settle(ctx, notices)
		routes, err := List()
		if err != nil {
			return err
		}
		if first || !slices.Equal(routes, last) {
			first, last = false, slices.Clone(routes)
			take(routes)
		}
	}
}

// settle waits for the end of a flock of changes.
func settle(ctx context.Context, notices <-chan struct{}) {
	limit := time.After(patience)
	for {
		select {
		case <-ctx.Done():
			return
		case <-limit:
			return
		case <-time.After(quiet):
			return
		case <-notices:
		}
	}
}

// subscribe opens a socket that gets the kernel's notices of links and routes.
func subscribe() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK,
		unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// listen passes on that something has come, until the socket is closed.
func listen(socket *os.File, notices chan<- struct{}) error {
	buffer := make([]byte, 1<<16)
	for {
		_, err := socket.Read(buffer)
		// Notices were dropped: that is one, too.
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
		select {
		case notices <- struct{}{}:
		default:
		}
	}
}
