package config

import (
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

const namePattern = "letters, digits, '.', '_' and '-', at most 64"

// validName says whether commands and sockets can carry this name of an
// interface, a router or a domain.
func validName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		case r == '.', r == '_', r == '-':
		default:
			return false
		}
	}
	return true
}

// name reads a name into target.
func (d *decoder) name(e entry, target *string) bool {
	var s string
	if !d.text(e, &s) {
		return false
	}
	if !validName(s) {
		d.mismatch(e.value, e.key, "a name", namePattern)
		return false
	}
	*target = s
	return true
}

// fitsSocket says whether a valid name can also be that of a socket: hidden
// files and names like options make a router hard to reach.
func fitsSocket(name string) bool { return name[0] != '.' && name[0] != '-' }

// routerName reads a name that a socket's file can have.
func (d *decoder) routerName(e entry, target *string) bool {
	var s string
	if !d.name(e, &s) {
		return false
	}
	if !fitsSocket(s) {
		d.mismatch(e.value, e.key, "a name for a socket", "begin with a letter or a digit")
		return false
	}
	*target = s
	return true
}

// device reads the name of a network device.
func (d *decoder) device(e entry, target *string) bool {
	var s string
	if !d.text(e, &s) {
		return false
	}
	// The kernel refuses the first set; it would replace a %d by a number.
	bad := func(r rune) bool { return r == '/' || r == ':' || r == '%' || unicode.IsSpace(r) }
	switch {
	case len(s) > maxDevice:
		d.problem(e.valueAt(), "", "%s: %s is longer than %d bytes", e.key, quote(s), maxDevice)
	case s == "" || s == "." || s == ".." || strings.ContainsFunc(s, bad):
		d.mismatch(e.value, e.key, "a device name", "as in "+defaultDevice)
	default:
		*target = s
		return true
	}
	return false
}

// netns reads where a device is.
func (d *decoder) netns(e entry, target *Netns) bool {
	const forms = `a name under /run/netns, an absolute path, pid:N or self`
	var s string
	if !d.text(e, &s) {
		return false
	}
	digits, isPID := strings.CutPrefix(s, "pid:")
	switch {
	case s == "self":
		*target = Netns{}
	case isPID:
		pid, err := strconv.ParseUint(digits, 10, 31)
		if err != nil || pid == 0 {
			d.mismatch(e.value, e.key, "a process", "as in pid:1234")
			return false
		}
		*target = Netns{PID: int(pid)}
	case strings.HasPrefix(s, "/"):
		*target = Netns{Path: filepath.Clean(s)}
	case s == "" || s == "." || s == ".." || strings.ContainsRune(s, '/'):
		d.mismatch(e.value, e.key, "a network namespace", forms)
		return false
	default:
		*target = Netns{Name: s}
	}
	return true
}

// canonical returns one value for the ways to name a namespace that can be
// told apart without looking at the system.
func (n Netns) canonical() Netns {
	path := strings.TrimPrefix(n.Path, "/var")
	if name, ok := strings.CutPrefix(path, "/run/netns/"); ok && !strings.ContainsRune(name, '/') {
		return Netns{Name: name}
	}
	if path == "/proc/self/ns/net" || path == "/proc/thread-self/ns/net" {
		return Netns{}
	}
	if s, ok := strings.CutPrefix(path, "/proc/"); ok {
		digits, _ := strings.CutSuffix(s, "/ns/net")
		if pid, err := strconv.ParseUint(digits, 10, 31); err == nil && digits != s {
			return Netns{PID: int(pid)}
		}
	}
	return n
}
