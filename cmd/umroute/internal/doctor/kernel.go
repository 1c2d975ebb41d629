package doctor

import (
	"fmt"
	"io/fs"
	"strings"
)

// version is of a kernel.
type version struct{ major, minor int }

func (v version) before(other version) bool {
	return v.major < other.major || v.major == other.major && v.minor < other.minor
}

// The kernels from which on something is there.
var (
	withUSO   = version{6, 2}  // TUN_F_USO4, TUN_F_USO6
	withURing = version{5, 19} // io_uring as umroute uses it
)

func (s System) version() (v version, text string) {
	text, _ = s.read("proc/sys/kernel/osrelease")
	if n, _ := fmt.Sscanf(text, "%d.%d", &v.major, &v.minor); n < 2 {
		return version{}, text
	}
	return v, text
}

func (s System) kernel() Finding {
	v, text := s.version()
	f := Finding{Check: "kernel", Status: OK, Found: "Linux " + text}
	switch {
	case v == version{}:
		f.Status, f.Found = Missing, "not Linux, or /proc is not mounted"
		f.Remedy = "run umroute on Linux"
	case v.before(withUSO):
		f.Status = Note
		f.Remedy = fmt.Sprintf("Linux %d.%d and later forward several times faster: many "+
			"datagrams in one read and write", withUSO.major, withUSO.minor)
	}
	return f
}

func (s System) namespaces() Finding {
	f := Finding{Check: "user namespaces", Status: OK, Found: "this user can make them"}
	if s.Probe.Namespaces == "" {
		return f
	}
	f.Found, f.Status = s.Probe.Namespaces, Missing
	f.Remedy = "allow them, or run umroute as root"
	if s.privileged() {
		f.Status = Note
		f.Remedy = "not needed, as this process is privileged; umroute demo and umroute lab need them"
	}
	return f
}

// switches are the kernel's settings that forbid user namespaces, each with the
// value that does.
var switches = []struct{ check, path, forbids, remedy string }{
	{"user.max_user_namespaces", "proc/sys/user/max_user_namespaces", "0",
		"sudo sysctl user.max_user_namespaces=10000"},
	{"kernel.unprivileged_userns_clone", "proc/sys/kernel/unprivileged_userns_clone", "0",
		"sudo sysctl kernel.unprivileged_userns_clone=1"},
	{"AppArmor", "proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
		"sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or give umroute an AppArmor " +
			"profile with the rule \"userns,\""},
}

// restrictions are the switches that are there. They matter where namespaces
// could not be made.
func (s System) restrictions() (all []Finding) {
	for _, each := range switches {
		value, there := s.read(each.path)
		if !there {
			continue
		}
		f := Finding{Check: each.check, Status: OK, Found: value}
		if value == each.forbids {
			f.Status, f.Remedy = Note, each.remedy
			if s.Probe.Namespaces != "" && !s.privileged() {
				f.Status = Missing
			}
		}
		all = append(all, f)
	}
	return all
}

const tunNode = "dev/net/tun"

func (s System) tunNode() Finding {
	f := Finding{Check: "/dev/net/tun", Status: OK, Found: "it is there"}
	info, err := fs.Stat(s.Root, tunNode)
	switch {
	case err != nil:
		f.Status, f.Found = Missing, "it is not there"
		f.Remedy = "sudo modprobe tun; in a container: pass the device in (podman run --device " +
			"/dev/net/tun)"
	case info.Mode()&fs.ModeCharDevice == 0:
		f.Status, f.Found = Missing, "it is no device"
		f.Remedy = "sudo rm /dev/net/tun && sudo modprobe tun"
	}
	return f
}

func (s System) tunDevice() Finding {
	f := Finding{Check: "TUN devices", Status: OK, Found: "this user can make them"}
	switch {
	case s.Probe.TUN != "":
		f.Status, f.Found = Missing, s.Probe.TUN
		f.Remedy = "sudo chmod 0666 /dev/net/tun, or have somebody pass the devices in (key fd)"
	case s.Probe.Namespaces != "":
		f.Status, f.Found = Note, "not tried, as no namespace could be made for it"
	}
	return f
}

func (s System) offload() Finding {
	f := Finding{Check: "segmentation offload", Status: OK,
		Found: "many datagrams in one read and write"}
	if s.Probe.Offload == "segmentation" {
		return f
	}
	f.Status, f.Found = Note, "datagrams are read and written one by one"
	f.Remedy = fmt.Sprintf("a kernel from Linux %d.%d on", withUSO.major, withUSO.minor)
	if v, _ := s.version(); s.Probe.TUN != "" || s.Probe.Namespaces != "" || !v.before(withUSO) {
		f.Found, f.Remedy = "not tried, as there is no device to try it with", ""
	}
	return f
}

func (s System) uring() Finding {
	f := Finding{Check: "io_uring", Status: OK, Found: "it works"}
	if s.Probe.URing == "" && s.Probe.IO != "" {
		return f
	}
	f.Status, f.Found = Note, s.Probe.URing
	v, _ := s.version()
	disabled, there := s.number("proc/sys/kernel/io_uring_disabled")
	switch {
	case there && disabled > 0:
		f.Found = fmt.Sprintf("kernel.io_uring_disabled is %d; %s", disabled, s.Probe.URing)
		f.Remedy = "sudo sysctl kernel.io_uring_disabled=0; umroute does well without"
	case v.before(withURing):
		f.Remedy = fmt.Sprintf("a kernel from Linux %d.%d on; umroute does well without",
			withURing.major, withURing.minor)
	default:
		f.Remedy = "allow it, if the sandbox forbids it; umroute does well without"
	}
	f.Found = strings.TrimSuffix(strings.TrimSpace(f.Found), ";")
	if f.Found == "" {
		f.Found, f.Remedy = "not tried, as there is no device to try it with", ""
	}
	return f
}
