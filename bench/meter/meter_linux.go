package meter

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Reading is what has been used up at one moment. Two of them make a Usage.
type Reading struct {
	At      time.Time
	Own     time.Duration // by this process: senders and receivers
	Router  time.Duration // by the router's process, 0 without
	SoftIRQ time.Duration // in softirqs, as far as that is in none of the others
	Busy    time.Duration // by all processors of the machine
	Stolen  time.Duration // from all of them, by the host of a virtual machine
}

// Usage is the processor time of a benchmark over some time.
//
// What the kernel does for a packet inside a sender's call is the sender's
// time. So are the softirqs that come with it, unless the kernel was built with
// CONFIG_IRQ_TIME_ACCOUNTING: then they are nobody's, and Total has all of the
// machine's, those of others as well, in ticks of 10 ms.
type Usage struct {
	Elapsed time.Duration
	Total   time.Duration // of everything that takes part
	Router  time.Duration // the part of the router's process
	Foreign time.Duration // of everybody else on this machine
	Stolen  time.Duration // what the host of a virtual machine kept from it
}

// Since returns what was used from an earlier reading to r.
func (r Reading) Since(earlier Reading) Usage {
	u := Usage{
		Elapsed: r.At.Sub(earlier.At),
		Router:  r.Router - earlier.Router,
		Stolen:  r.Stolen - earlier.Stolen,
	}
	u.Total = r.Own - earlier.Own + u.Router + r.SoftIRQ - earlier.SoftIRQ
	// The kernel counts Busy in ticks of 10 ms, which may be behind.
	u.Foreign = max(0, r.Busy-earlier.Busy-u.Total)
	return u
}

// Meter knows whose time to read. Its methods are for one goroutine.
type Meter struct {
	threads []int // the kernel's softirq threads
	apart   bool  // softirqs are counted by themselves, those threads' included
}

// Open finds the kernel's threads, and how it counts. It needs loopback to be
// up.
func Open() (*Meter, error) {
	apart, err := softIRQsApart()
	if err != nil {
		return nil, err
	}
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil, err
	}
	m := &Meter{apart: apart}
	for _, name := range names {
		// A process may end meanwhile.
		text, err := os.ReadFile(name)
		if err != nil || !isSoftIRQ(string(bytes.TrimSpace(text))) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			m.threads = append(m.threads, pid)
		}
	}
	return m, nil
}

// isSoftIRQ says whether a thread of this name carries packets: ksoftirqd/N, or
// napi/DEVICE-N where NAPI has threads.
func isSoftIRQ(name string) bool {
	return strings.HasPrefix(name, "ksoftirqd/") || strings.HasPrefix(name, "napi/")
}

// Read reads the clocks. router is the process of the router, 0 for none.
func (m *Meter) Read(router int) (Reading, error) {
	r := Reading{At: time.Now()}
	var err error
	if r.Own, err = clock(unix.CLOCK_PROCESS_CPUTIME_ID); err != nil {
		return Reading{}, fmt.Errorf("read processor time: %w", err)
	}
	if router != 0 {
		if r.Router, err = clock(clockOf(router)); err != nil {
			return Reading{}, fmt.Errorf("read processor time of process %d: %w", router, err)
		}
	}
	used, err := readProcessors()
	if err != nil {
		return Reading{}, err
	}
	r.Busy, r.SoftIRQ, r.Stolen = used.busy, used.softIRQ, used.stolen
	if m.apart {
		return r, nil
	}
	r.SoftIRQ = 0
	for _, pid := range m.threads {
		// In a PID namespace of its own this process does not see them.
		if used, err := clock(clockOf(pid)); err == nil {
			r.SoftIRQ += used
		}
	}
	return r, nil
}

// clockOf is the processor clock of a process, as clock_getcpuclockid(3) makes
// it: the complement of the number, and CPUCLOCK_SCHED, which counts in
// nanoseconds.
func clockOf(pid int) int32 { return int32(^pid<<3 | 2) }

func clock(id int32) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0, err
	}
	return time.Duration(t.Nano()), nil
}

// processors is what all processors together have been used for.
type processors struct{ busy, softIRQ, stolen time.Duration }

func readProcessors() (processors, error) {
	const path = "/proc/stat"
	file, err := os.Open(path)
	if err != nil {
		return processors{}, err
	}
	defer file.Close()
	line, err := bufio.NewReader(file).ReadString('\n')
	if err != nil {
		return processors{}, fmt.Errorf("read %s: %w", path, err)
	}
	return parseProcessors(line)
}

// parseProcessors reads the first line of /proc/stat (proc_stat(5)): user, nice,
// system, idle, iowait, irq, softirq, steal, and guests, which are part of user.
// What was stolen was used by nobody here.
func parseProcessors(line string) (p processors, err error) {
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return processors{}, fmt.Errorf("read /proc/stat: unknown line %q", line)
	}
	const tick = 10 * time.Millisecond // USER_HZ, on all machines that Go knows
	const idle, ioWait, softIRQ, stolen = 4, 5, 7, 8
	for i := 1; i <= stolen; i++ {
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return processors{}, fmt.Errorf("read /proc/stat: %w", err)
		}
		used := time.Duration(ticks) * tick
		switch i {
		case idle, ioWait:
		case stolen:
			p.stolen = used
		case softIRQ:
			p.softIRQ = used
			p.busy += used
		default:
			p.busy += used
		}
	}
	return p, nil
}
