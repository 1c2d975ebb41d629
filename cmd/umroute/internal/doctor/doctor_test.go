package doctor

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// goodTree is a machine on which nothing is missing.
func goodTree() fstest.MapFS {
	tree := fstest.MapFS{"dev/net/tun": {Mode: fs.ModeDevice | fs.ModeCharDevice | 0o666}}
	for path, text := range map[string]string{
		"proc/sys/kernel/osrelease":                             "6.18.1-generic",
		"proc/sys/user/max_user_namespaces":                     "10000",
		"proc/sys/kernel/unprivileged_userns_clone":             "1",
		"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "0",
		"proc/sys/kernel/io_uring_disabled":                     "0",
		"proc/sys/net/ipv4/igmp_max_memberships":                "1000",
		"proc/sys/net/ipv4/igmp_max_msf":                        "10",
		"proc/sys/net/ipv6/mld_max_msf":                         "64",
		"proc/sys/net/core/rmem_max":                            "4194304",
		"proc/sys/net/ipv4/conf/all/rp_filter":                  "0",
		"proc/sys/net/ipv4/conf/all/force_igmp_version":         "0",
		"proc/sys/net/ipv4/conf/default/rp_filter":              "1",
		"proc/sys/net/ipv4/conf/lo/rp_filter":                   "1",
		"proc/sys/net/ipv4/conf/eth0/rp_filter":                 "0",
		"proc/self/status":                                      "Name:\tx\nCapEff:\t0000000000000000",
		"proc/self/limits": "Limit  Soft Limit  Hard Limit  Units\n" +
			"Max open files  20000  20000  files\nMax locked memory  unlimited  unlimited  bytes",
	} {
		tree[path] = &fstest.MapFile{Data: []byte(text + "\n")}
	}
	return tree
}

func goodProbe() Probe { return Probe{IO: "vectored", Offload: "segmentation"} }

// TestHealthy is a machine on which nothing is missing.
func TestHealthy(t *testing.T) {
	findings := Examine(System{Root: goodTree(), Probe: goodProbe(),
		Installed: func(string) bool { return true }})
	for _, f := range findings {
		if f.Status != OK || f.Remedy != "" || f.Found == "" || f.Check == "" {
			t.Errorf("%+v", f)
		}
	}
	if !Healthy(findings) || len(findings) < 15 {
		t.Errorf("%d findings", len(findings))
	}
}

// TestFindings takes one thing away at a time.
func TestFindings(t *testing.T) {
	const all = "Name:\tx\nCapEff:\t000001ffffffffff"
	forbidden := Probe{Namespaces: "make a user namespace: operation not permitted"}
	tests := []struct {
		name, path, text string // "-" removes the file
		probe            Probe
		check            string
		want             Status
		mentions         string // in what was found, or in the remedy
	}{
		{"no Linux", "proc/sys/kernel/osrelease", "-", goodProbe(), "kernel", Missing, "not Linux"},
		{"an old kernel", "proc/sys/kernel/osrelease", "5.10.0", goodProbe(), "kernel", Note, "6.2"},
		{"no namespaces", "proc/x", "", forbidden, "user namespaces", Missing, "allow them"},
		{"no namespaces for root", "proc/self/status", all, forbidden, "user namespaces", Note,
			"privileged"},
		{"none at all", "proc/sys/user/max_user_namespaces", "0", forbidden,
			"user.max_user_namespaces", Missing, "sysctl user.max_user_namespaces"},
		{"Debian's switch", "proc/sys/kernel/unprivileged_userns_clone", "0", forbidden,
			"kernel.unprivileged_userns_clone", Missing, "unprivileged_userns_clone=1"},
		{"AppArmor", "proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", forbidden,
			"AppArmor", Missing, "userns,"},
		{"AppArmor, with a profile", "proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
			goodProbe(), "AppArmor", Note, "userns,"},
		{"no node", "dev/net/tun", "-", goodProbe(), "/dev/net/tun", Missing, "modprobe tun"},
		{"no device", "dev/net/tun", "text", goodProbe(), "/dev/net/tun", Missing, "no device"},
		{"not allowed", "proc/x", "", Probe{TUN: "permission denied"}, "TUN devices", Missing,
			"chmod 0666"},
		{"not tried", "proc/x", "", forbidden, "TUN devices", Note, "not tried"},
		{"no USO", "proc/sys/kernel/osrelease", "6.1.0", Probe{IO: "vectored", Offload: "none"},
			"segmentation offload", Note, "6.2"},
		{"no io_uring", "proc/sys/kernel/io_uring_disabled", "2",
			Probe{IO: "vectored", URing: "operation not permitted"}, "io_uring", Note,
			"io_uring_disabled=0"},
		{"io_uring forbidden", "proc/x", "", Probe{IO: "vectored", URing: "not permitted"},
			"io_uring", Note, "sandbox"},
		{"few memberships", "proc/sys/net/ipv4/igmp_max_memberships", "20", goodProbe(),
			"igmp_max_memberships", Note, "20 groups"},
		{"no sysctls", "proc/sys/net/ipv4/igmp_max_memberships", "-", goodProbe(),
			"igmp_max_memberships", OK, "not there"},
		{"strict reverse path", "proc/sys/net/ipv4/conf/eth0/rp_filter", "1", goodProbe(),
			"rp_filter", Note, "strict on [eth0]"},
		{"loose reverse path", "proc/sys/net/ipv4/conf/all/rp_filter", "2", goodProbe(),
			"rp_filter", OK, "loose on [eth0]"},
		{"old IGMP", "proc/sys/net/ipv4/conf/all/force_igmp_version", "2", goodProbe(),
			"IGMP and MLD versions", Note, "net.ipv4.conf.all.force_igmp_version=2"},
		{"few files", "proc/self/limits", "Max open files  256  256  files", goodProbe(),
			"open files", Note, "ulimit -n"},
		{"no limits", "proc/self/limits", "-", goodProbe(), "limits", OK, "not there"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tree := goodTree()
			tree[test.path] = &fstest.MapFile{Data: []byte(test.text)}
			if test.text == "-" {
				delete(tree, test.path)
			}
			f := finding(t, Examine(System{Root: tree, Probe: test.probe}), test.check)
			if f.Status != test.want || !strings.Contains(f.Found+" "+f.Remedy, test.mentions) {
				t.Errorf("%+v, want %s, mentioning %q", f, test.want, test.mentions)
			}
			if f.Status == Missing && f.Remedy == "" {
				t.Error("no remedy")
			}
		})
	}
}

// TestEssential holds what makes a machine unfit.
func TestEssential(t *testing.T) {
	tree := goodTree()
	delete(tree, "dev/net/tun")
	if Healthy(Examine(System{Root: tree, Probe: goodProbe()})) {
		t.Error("healthy without TUN")
	}
	if !Healthy([]Finding{{Status: Note}, {Status: OK}}) {
		t.Error("a note is no illness")
	}
}

// TestPrograms has nothing installed.
func TestPrograms(t *testing.T) {
	findings := Examine(System{Root: goodTree(), Probe: goodProbe(),
		Installed: func(string) bool { return false }})
	if f := finding(t, findings, "nsenter"); f.Status != Note {
		t.Errorf("%+v", f)
	}
}

func finding(t *testing.T, findings []Finding, check string) Finding {
	t.Helper()
	for _, f := range findings {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("no finding %q in %+v", check, findings)
	return Finding{}
}
