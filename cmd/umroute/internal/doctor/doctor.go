// Package doctor looks whether a machine has what a router needs, and says what
// to do where it has not. What it reads, it reads from a file tree; what only
// trying tells, a Probe has tried.
package doctor

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Status is the outcome of a check.
type Status string

// The outcomes.
const (
	OK      Status = "ok"
	Note    Status = "note"    // it works, but more would be possible
	Missing Status = "missing" // a router can't run, or not for this user
)

// Finding is what one check found.
type Finding struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	Found  string `json:"found"`
	Remedy string `json:"remedy"` // a command, or a sentence; "" where none is needed
}

// System is what is looked at.
type System struct {
	Root  fs.FS // the file system, from "/"
	Probe Probe
	// Installed says whether a program is in the path.
	Installed func(program string) bool
}

// Probe is what was tried: a TUN device in a network namespace of its own.
type Probe struct {
	Namespaces string `json:"namespaces"` // why they could not be made, "" if they could
	TUN        string `json:"tun"`        // why no device could be opened
	IO         string `json:"io"`         // how it reads and writes
	Offload    string `json:"offload"`
	URing      string `json:"uring"` // why io_uring can't be used
}

// Examine makes all checks, in the order in which they are shown.
func Examine(s System) []Finding {
	return slices.Concat(
		[]Finding{s.kernel(), s.namespaces()}, s.restrictions(),
		[]Finding{s.tunNode(), s.tunDevice(), s.offload(), s.uring()},
		s.sysctls(), s.limits(), s.programs())
}

// Healthy says whether nothing essential is missing.
func Healthy(findings []Finding) bool {
	return !slices.ContainsFunc(findings, func(f Finding) bool { return f.Status == Missing })
}

// read gives a file of one line without its end; false if it is not there.
func (s System) read(path string) (string, bool) {
	text, err := fs.ReadFile(s.Root, path)
	return strings.TrimSpace(string(text)), err == nil
}

// number reads a file with a number.
func (s System) number(path string) (int, bool) {
	text, ok := s.read(path)
	n, err := strconv.Atoi(text)
	return n, ok && err == nil
}

// privileged says whether this process may make namespaces and devices without
// a user namespace: it has CAP_SYS_ADMIN and CAP_NET_ADMIN (capabilities(7)).
func (s System) privileged() bool {
	const netAdmin, sysAdmin = 1 << 12, 1 << 21
	status, _ := s.read("proc/self/status")
	for line := range strings.Lines(status) {
		if set, found := strings.CutPrefix(line, "CapEff:"); found {
			bits, err := strconv.ParseUint(strings.TrimSpace(set), 16, 64)
			return err == nil && bits&netAdmin != 0 && bits&sysAdmin != 0
		}
	}
	return false
}
