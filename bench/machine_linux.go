package bench

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"umroute/bench/result"
)

// facts says what the figures depend on. The keys goos, goarch, pkg and cpu
// are those that "go test" writes.
func facts() []result.Fact {
	return []result.Fact{
		{Key: "goos", Value: runtime.GOOS},
		{Key: "goarch", Value: runtime.GOARCH},
		{Key: "pkg", Value: "umroute/bench"},
		{Key: "cpu", Value: processor()},
		{Key: "cores", Value: fmt.Sprint(runtime.NumCPU())},
		{Key: "kernel", Value: kernelRelease()},
		{Key: "go", Value: runtime.Version()},
		{Key: "commit", Value: commit()},
		{Key: "date", Value: time.Now().UTC().Format(time.RFC3339)},
		{Key: "rmem_max", Value: firstLine("/proc/sys/net/core/rmem_max")},
		{Key: "loadavg", Value: firstLine("/proc/loadavg")},
	}
}

// processor is the model name of the first processor.
func processor() string {
	const unknown = "unknown"
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return unknown
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return unknown
}

func kernelRelease() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(name.Release[:])
}

// commit is what this program was built from, with a mark where files had been
// changed.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, modified := "unknown", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+changes"
		}
	}
	return revision + modified
}

func firstLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
