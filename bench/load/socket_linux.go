package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a UDP socket for one group. Its methods are safe against a
// concurrent close.
type socket struct {
	file  *os.File
	raw   syscall.RawConn
	group netip.AddrPort
	iface string // "": the kernel chooses by its routes
}

// openSocket makes a socket in the network namespace of this thread.
func openSocket(group netip.AddrPort, iface string) (*socket, error) {
	if !group.Addr().IsMulticast() || group.Addr().Is4In6() || group.Port() == 0 {
		return nil, fmt.Errorf("group %s is not a multicast group with a port", group)
	}
	// RFC 4291 section 2.7: the same group of a scope up to link-local is
	// another one on each link.
	if group.Addr().Is6() && group.Addr().As16()[1]&0x0f <= 2 && iface == "" {
		return nil, fmt.Errorf("group %s is different on each link: name a device with --interface",
			group.Addr())
	}
	domain := unix.AF_INET
	if group.Addr().Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open socket for %s: %w", group.Addr(), err)
	}
	s := &socket{file: os.NewFile(uintptr(fd), group.String()), group: group, iface: iface}
	if s.raw, err = s.file.SyscallConn(); err != nil {
		s.close()
		return nil, fmt.Errorf("open socket for %s: %w", group.Addr(), err)
	}
	return s, nil
}

func (s *socket) close() error { return s.file.Close() }

// control calls f with the descriptor, unless the socket is closed.
func (s *socket) control(f func(fd int) error) error {
	var err error
	if closed := s.raw.Control(func(fd uintptr) { err = f(int(fd)) }); closed != nil {
		return os.ErrClosed
	}
	return err
}

// interruptible makes ctx end a wait, until the returned function is called.
func (s *socket) interruptible(ctx context.Context) (undo func()) {
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(fired)
		// It fails on a closed socket only, which ends the wait as well.
		_ = s.file.SetDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-fired
		}
		_ = s.file.SetDeadline(time.Time{})
	}
}

// read calls f, which is done where it could read, whenever there may be
// something to read. The error is os.ErrDeadlineExceeded or os.ErrClosed.
func (s *socket) read(f func(fd uintptr) bool) error { return waitError(s.raw.Read(f)) }

// write is read's counterpart.
func (s *socket) write(f func(fd uintptr) bool) error { return waitError(s.raw.Write(f)) }

// waitError gives the poller's error for a closed file its public name.
func waitError(err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return os.ErrClosed
}

// ended says whether a wait ended as its caller wanted.
func ended(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed)
}

// level returns the protocol level of the options.
func (s *socket) level() int {
	if s.group.Addr().Is4() {
		return unix.IPPROTO_IP
	}
	return unix.IPPROTO_IPV6
}

// option is one integer option for each family.
type option struct {
	name       string
	ipv4, ipv6 int
	value      int
}

func (s *socket) setOptions(options ...option) error {
	return s.control(func(fd int) error {
		for _, o := range options {
			name := o.ipv6
			if s.group.Addr().Is4() {
				name = o.ipv4
			}
			if err := unix.SetsockoptInt(fd, s.level(), name, o.value); err != nil {
				return fmt.Errorf("set %s of %s: %w", o.name, s.group.Addr(), err)
			}
		}
		return nil
	})
}

// index looks the interface up in the socket's own namespace, wherever the
// calling thread is; 0 stands for the kernel's choice.
func (s *socket) index() (int, error) {
	if s.iface == "" {
		return 0, nil
	}
	request, err := unix.NewIfreq(s.iface)
	if err != nil {
		return 0, fmt.Errorf("device name %q is too long", s.iface)
	}
	err = s.control(func(fd int) error {
		return unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request)
	})
	return int(request.Uint32()), err
}

// address returns a socket address; only a link-local scope needs the index.
func (s *socket) address(addr netip.AddrPort, index int) unix.Sockaddr {
	if addr.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	return &unix.SockaddrInet6{
		Port: int(addr.Port()), Addr: addr.Addr().As16(), ZoneId: uint32(index),
	}
}

// wrap names the operation and the group, and says what to do where known.
func (s *socket) wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	object := s.group.Addr().String()
	if s.iface != "" {
		object += " on " + s.iface
	}
	if hint := s.hint(operation, err); hint != "" {
		return fmt.Errorf("%s %s: %w (%s)", operation, object, err, hint)
	}
	return fmt.Errorf("%s %s: %w", operation, object, err)
}

func (s *socket) hint(operation string, err error) string {
	group, all := s.group.Addr(), "224.0.0.0/4"
	if group.Is6() {
		all = "ff00::/8"
	}
	noRoute := errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENETUNREACH)
	switch {
	case errors.Is(err, unix.EADDRNOTAVAIL) && strings.HasPrefix(operation, "send from"):
		return "no device here has this address"
	case noRoute && s.iface == "":
		return fmt.Sprintf("no route to %s: name a device with --interface, or add a route for %s",
			group, all)
	case strings.HasPrefix(operation, "join") && errors.Is(err, unix.ENOBUFS) && group.Is4():
		return "raise net.ipv4.igmp_max_memberships for more groups, " +
			"net.ipv4.igmp_max_msf for more sources"
	case strings.HasPrefix(operation, "join") && errors.Is(err, unix.ENOBUFS):
		return "raise net.ipv6.mld_max_msf for more sources"
	case strings.HasPrefix(operation, "join") && errors.Is(err, unix.ENOMEM):
		return "raise net.core.optmem_max"
	case errors.Is(err, unix.ENETUNREACH):
		return "the device may be down or lack an address"
	}
	return ""
}

// groupRequest returns a struct group_req or, with a source, group_source_req.
func groupRequest(index int, group, source netip.Addr) string {
	// The addresses, of 128 bytes each, are aligned to 8.
	b := binary.NativeEndian.AppendUint32(nil, uint32(index))
	b = append(b, 0, 0, 0, 0)
	b = appendStorage(b, group)
	if source.IsValid() {
		b = appendStorage(b, source)
	}
	return string(b)
}

// appendStorage appends a struct sockaddr_storage.
func appendStorage(b []byte, addr netip.Addr) []byte {
	var storage [128]byte
	if addr.Is4() {
		a := addr.As4()
		binary.NativeEndian.PutUint16(storage[:], unix.AF_INET)
		copy(storage[4:], a[:]) // after the port
	} else {
		a := addr.As16()
		binary.NativeEndian.PutUint16(storage[:], unix.AF_INET6)
		copy(storage[8:], a[:]) // after the port and the flow label
	}
	return append(b, storage[:]...)
}
