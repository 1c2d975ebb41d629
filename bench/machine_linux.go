package bench

import (
	"bufio"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"umroute/bench/result"
)

// machine says what the figures depend on.
func machine(o Options) result.Machine {
	m := result.Machine{
		Date: time.Now().UTC().Truncate(time.Second), Command: o.Command, Version: o.Version,
		Commit: "unknown", Go: runtime.Version(), GOOS: runtime.GOOS, GOARCH: runtime.GOARCH,
		Cores: runtime.NumCPU(), Kernel: kernelRelease(),
		Memory:      memory(),
		Mitigations: make(map[string]string), Queues: make(map[string]int64),
		Versions: make(map[string]string), Offloads: make(map[string]string),
		LoadAvg:  firstLine("/proc/loadavg"),
		Governor: firstLine("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
		Repeats:  o.Repeats, Duration: o.Duration.Seconds(),
	}
	m.CPU, m.Virtualization = processor()
	build(&m)
	weaknesses, _ := filepath.Glob("/sys/devices/system/cpu/vulnerabilities/*")
	for _, path := range weaknesses {
		m.Mitigations[filepath.Base(path)] = firstLine(path)
	}
	for _, name := range []string{"rmem_max", "wmem_max", "netdev_max_backlog", "netdev_budget",
		"optmem_max"} {
		if n, err := strconv.ParseInt(firstLine("/proc/sys/net/core/"+name), 10, 64); err == nil {
			m.Queues["net.core."+name] = n
		}
	}
	return m
}

// build says what this program was built from: with a mark where files had been
// changed, and the modules that forward.
func build(m *result.Machine) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	modified := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			m.Commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+changes"
		}
	}
	m.Commit += modified
	for _, d := range info.Deps {
		switch d.Path {
		case "gvisor.dev/gvisor", "github.com/songgao/water":
			m.Versions[d.Path] = d.Version
		}
	}
}

// processor is the model name of the first processor, and "hypervisor" where
// there is one.
func processor() (name, virtual string) {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "", ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan() && (name == "" || virtual == ""); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		switch strings.TrimSpace(key) {
		case "model name":
			name = strings.TrimSpace(value)
		case "flags":
			if strings.Contains(value+" ", " hypervisor ") {
				virtual = "hypervisor"
			}
		}
	}
	return name, virtual
}

// memory is how many bytes the machine has.
func memory() uint64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return uint64(info.Totalram) * uint64(info.Unit)
}

func kernelRelease() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}

// firstLine is empty where there is no such file.
func firstLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
