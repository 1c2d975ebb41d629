package doctor

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// sysctls looks at the settings of this network namespace that keep hosts from
// joining or receiving.
func (s System) sysctls() []Finding {
	return []Finding{
		s.atLeast("igmp_max_memberships", "proc/sys/net/ipv4/igmp_max_memberships", 100,
			"net.ipv4.igmp_max_memberships", "groups that one socket may join"),
		s.atLeast("igmp_max_msf", "proc/sys/net/ipv4/igmp_max_msf", 10,
			"net.ipv4.igmp_max_msf", "sources that one socket may name for a group"),
		s.atLeast("mld_max_msf", "proc/sys/net/ipv6/mld_max_msf", 64,
			"net.ipv6.mld_max_msf", "sources that one socket may name for a group"),
		s.atLeast("rmem_max", "proc/sys/net/core/rmem_max", 1<<20,
			"net.core.rmem_max", "bytes that a receiver may ask the kernel to keep"),
		s.reversePath(), s.forcedVersion(),
	}
}

// atLeast notes a setting below what larger set-ups need.
func (s System) atLeast(check, file string, enough int, name, meaning string) Finding {
	f := Finding{Check: check, Status: OK}
	value, there := s.number(file)
	switch {
	case !there:
		f.Found = "not there"
	case value < enough:
		f.Status, f.Found = Note, fmt.Sprintf("%d %s", value, meaning)
		f.Remedy = fmt.Sprintf("where that is too few: sudo sysctl %s=%d", name, enough)
	default:
		f.Found = fmt.Sprintf("%d %s", value, meaning)
	}
	return f
}

const devices = "proc/sys/net/ipv4/conf"

// reversePath looks for devices that check the sources of packets (RFC 3704):
// multicast from a source to which a host has no route by the device is dropped
// there, without a trace but for a counter.
func (s System) reversePath() Finding {
	f := Finding{Check: "rp_filter", Status: OK, Found: "off on all devices"}
	all, _ := s.number(path.Join(devices, "all", "rp_filter"))
	var strict, loose []string
	entries, err := fs.ReadDir(s.Root, devices)
	if err != nil {
		f.Found = "not there"
		return f
	}
	for _, entry := range entries {
		name := entry.Name()
		if name == "all" || name == "default" || name == "lo" {
			continue
		}
		// ip-sysctl: the larger of the two values is in force.
		own, _ := s.number(path.Join(devices, name, "rp_filter"))
		switch max(all, own) {
		case 1:
			strict = append(strict, name)
		case 2:
			loose = append(loose, name)
		}
	}
	if len(strict)+len(loose) == 0 {
		return f
	}
	f.Found = fmt.Sprintf("strict on [%s], loose on [%s]", strings.Join(strict, " "),
		strings.Join(loose, " "))
	if len(strict) > 0 {
		f.Status = Note
		f.Remedy = "hosts drop multicast whose source they would not reach by the same device; " +
			"where that happens: sudo sysctl net.ipv4.conf.DEVICE.rp_filter=2, and a default route"
	}
	return f
}

// forcedVersion looks for devices that speak an old IGMP or MLD: they can't join
// source-specific groups.
func (s System) forcedVersion() Finding {
	f := Finding{Check: "IGMP and MLD versions", Status: OK, Found: "none is forced"}
	var forced []string
	for _, each := range []struct{ family, setting string }{
		{"ipv4", "force_igmp_version"}, {"ipv6", "force_mld_version"},
	} {
		for _, device := range []string{"all", "default"} {
			file := path.Join("proc/sys/net", each.family, "conf", device, each.setting)
			if n, there := s.number(file); there && n != 0 {
				forced = append(forced, strings.Join([]string{"net", each.family, "conf", device,
					each.setting}, ".")+"="+strconv.Itoa(n))
			}
		}
	}
	if len(forced) > 0 {
		f.Status, f.Found = Note, strings.Join(forced, ", ")
		f.Remedy = "set them to 0, as older versions can't join source-specific groups"
	}
	return f
}

// limits looks at what the kernel lets this process have (getrlimit(2)).
func (s System) limits() []Finding {
	text, there := s.read("proc/self/limits")
	if !there {
		return []Finding{{Check: "limits", Status: OK, Found: "not there"}}
	}
	return []Finding{
		limit(text, "Max open files", "files", 4096,
			"each interface takes a few: ulimit -n 4096, or LimitNOFILE= of the systemd unit"),
		limit(text, "Max locked memory", "bytes", 8<<20,
			"io_uring takes some before Linux 5.12: ulimit -l 8192, or LimitMEMLOCK="),
	}
}

// limit reads a line of /proc/self/limits: name, soft limit, hard limit, units.
func limit(text, name, unit string, enough uint64, remedy string) Finding {
	f := Finding{Check: strings.ToLower(strings.TrimPrefix(name, "Max ")), Status: OK}
	for line := range strings.Lines(text) {
		rest, found := strings.CutPrefix(line, name)
		if !found {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			break
		}
		f.Found = fields[0] + " " + unit
		if soft, err := strconv.ParseUint(fields[0], 10, 64); err == nil && soft < enough {
			f.Status, f.Remedy = Note, remedy
		}
		return f
	}
	f.Found = "not there"
	return f
}

// programs looks for those that umroute starts.
func (s System) programs() []Finding {
	if s.Installed == nil {
		return nil
	}
	f := Finding{Check: "nsenter", Status: OK, Found: "installed"}
	if !s.Installed("nsenter") {
		f.Status, f.Found = Note, "not installed"
		f.Remedy = "install it (package util-linux) to attach containers of other user namespaces"
	}
	return []Finding{f}
}
