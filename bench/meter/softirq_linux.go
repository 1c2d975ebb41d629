package meter

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// How softirqs are tried: some windows of some datagrams over loopback.
const (
	trialWindows   = 40
	trialDatagrams = 100
	// mostlyOurs is the part of a window that is a thread's own time where
	// softirqs are counted with it. Where they are not, it is at most 0.8.
	mostlyOurs = 0.9
)

// softIRQsApart finds out whether this kernel counts the time of softirqs
// apart from that of the thread they interrupt (CONFIG_IRQ_TIME_ACCOUNTING),
// which no file says on every machine. A thread that sends over loopback spends
// a good part of its time in softirqs. Others can only take from the thread's
// part of a window, so the largest part of all counts.
func softIRQsApart() (bool, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, err := loopbackSocket()
	if err != nil {
		return false, fmt.Errorf("try how softirqs are counted: %w", err)
	}
	defer unix.Close(fd)
	most := 0.0
	for range trialWindows {
		part, err := ownPart(fd)
		if err != nil {
			return false, fmt.Errorf("try how softirqs are counted: %w", err)
		}
		most = max(most, part)
	}
	return most < mostlyOurs, nil
}

// loopbackSocket makes a socket that is connected to itself. What it is sent
// beyond its buffer is dropped, in a softirq as well.
func loopbackSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	var self unix.Sockaddr
	if err == nil {
		self, err = unix.Getsockname(fd)
	}
	if err == nil {
		err = unix.Connect(fd, self)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// ownPart sends some datagrams, and gives the part of the time that the kernel
// counts as the thread's.
func ownPart(fd int) (float64, error) {
	var payload [64]byte
	start := time.Now()
	before, err := clock(unix.CLOCK_THREAD_CPUTIME_ID)
	if err != nil {
		return 0, err
	}
	for range trialDatagrams {
		if _, err := unix.Write(fd, payload[:]); err != nil && err != unix.EAGAIN {
			return 0, err
		}
	}
	after, err := clock(unix.CLOCK_THREAD_CPUTIME_ID)
	if err != nil {
		return 0, err
	}
	return float64(after-before) / float64(time.Since(start)), nil
}
