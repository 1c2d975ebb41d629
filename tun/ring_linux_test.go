package tun_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

// What a seccomp filter can do with io_uring, and what is said then.
var confinements = map[string]struct {
	call   uint32 // that is filtered
	action uint32
	say    string // by Open; "" where it works
}{
	"refused":       {unix.SYS_IO_URING_SETUP, seccompErrno | uint32(unix.EPERM), "seccomp filter"},
	"hidden":        {unix.SYS_IO_URING_SETUP, seccompErrno | uint32(unix.ENOSYS), "kernel has none"},
	"no memory":     {unix.SYS_IO_URING_SETUP, seccompErrno | uint32(unix.ENOMEM), "ulimit -l"},
	"deadly":        {unix.SYS_IO_URING_SETUP, seccompKill, "ends who uses io_uring"},
	"deadly later":  {unix.SYS_IO_URING_ENTER, seccompKill, "ends who uses io_uring"},
	"refused later": {unix.SYS_IO_URING_ENTER, seccompErrno | uint32(unix.EPERM), "not permitted"},
}

// Of linux/seccomp.h.
const (
	seccompSetFilter = 1
	seccompAllThread = 1 // SECCOMP_FILTER_FLAG_TSYNC
	seccompKill      = 0x80000000
	seccompErrno     = 0x00050000
	seccompAllow     = 0x7fff0000
)

// TestConfinedRing asks for io_uring where a filter forbids it in one way or
// another: the answer is an error, and "auto" works.
func TestConfinedRing(t *testing.T) {
	needIO(t, tun.IOUring)
	netnstest.Require(t)
	for name := range confinements {
		t.Run(name, func(t *testing.T) {
			output, err := exec.Command(os.Args[0], asConfined, name).CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, output)
			}
		})
	}
}

// useConfinedRing is the process with the filter.
func useConfinedRing(name string) error {
	if name == "" {
		return loseRing()
	}
	c := confinements[name]
	if err := confine(c.call, c.action); err != nil {
		return err
	}
	config := tun.Config{Name: "confined0", IO: tun.IOUring}
	link, err := tun.Open(config)
	if err == nil {
		link.Close()
		return errors.New("io_uring works")
	}
	if !strings.Contains(err.Error(), c.say) {
		return fmt.Errorf("open: %w: want one with %q", err, c.say)
	}
	config.IO = "auto"
	if link, err = tun.Open(config); err != nil {
		return err
	}
	defer link.Close()
	if link.IO() != tun.IOVectored {
		return fmt.Errorf("io %q, want %q", link.IO(), tun.IOVectored)
	}
	return nil
}

// confine has the kernel do something else than a system call.
func confine(call, action uint32) error {
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: call},
		{Code: unix.BPF_RET | unix.BPF_K, K: action},
		{Code: unix.BPF_RET | unix.BPF_K, K: seccompAllow},
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, seccompSetFilter, seccompAllThread,
		uintptr(unsafe.Pointer(&filter)))
	if errno != 0 {
		return fmt.Errorf("set the filter: %w", errno)
	}
	return nil
}

// TestRingIsForbiddenLater has a filter come when the ring is in use: packets
// go on, in another way.
func TestRingIsForbiddenLater(t *testing.T) {
	needIO(t, tun.IOUring)
	netnstest.Require(t)
	output, err := exec.Command(os.Args[0], asConfined, "").CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, output)
	}
}

// loseRing is the process that this happens to.
func loseRing() error {
	link, err := tun.Open(tun.Config{Name: "confined0", IO: tun.IOUring, PeerRoutes: true,
		PeerAddresses: []netip.Prefix{netip.MustParsePrefix("10.0.1.2/24")}})
	if err != nil {
		return err
	}
	defer link.Close()
	receiver, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 0, 1, 2), Port: 5000})
	if err != nil {
		return err
	}
	defer receiver.Close()
	if err := receiver.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	from, to := netip.MustParseAddrPort("10.0.1.9:5000"), netip.MustParseAddrPort("10.0.1.2:5000")
	for _, text := range []string{"with a ring", "without"} {
		if text == "without" {
			err := confine(unix.SYS_IO_URING_ENTER, seccompErrno|uint32(unix.EPERM))
			if err != nil {
				return err
			}
		}
		batch := []tun.Packet{{To: link, Data: udp4(from, to, 8, text)}}
		link.WriteBatch(batch)
		if batch[0].Err != nil {
			return fmt.Errorf("write %s: %w", text, batch[0].Err)
		}
		buf := make([]byte, 100)
		n, err := receiver.Read(buf)
		if err != nil || string(buf[:n]) != text {
			return fmt.Errorf("received %q, %w: want %q", buf[:n], err, text)
		}
		if _, err := receiver.WriteToUDPAddrPort([]byte("answer"), from); err != nil {
			return err
		}
		if _, err := readFrom(link, "answer"); err != nil {
			return err
		}
	}
	if link.IO() != tun.IOVectored {
		return fmt.Errorf("io %q in the end, want %q", link.IO(), tun.IOVectored)
	}
	return nil
}
