package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"umroute/cmd/umroute/internal/doctor"
)

// TestDoctor examines this machine, which runs these tests and so lacks nothing
// that is essential.
func TestDoctor(t *testing.T) {
	t.Parallel()
	newStations(t, "red") // skips where the machine can't have namespaces
	stdout, stderr, status := run(t, "doctor", "--json")
	var findings []doctor.Finding
	if err := json.Unmarshal([]byte(stdout), &findings); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	if status != statusDone || stderr != "" || len(findings) < 10 {
		t.Errorf("status %d, %s, %+v", status, stderr, findings)
	}
	for _, f := range findings {
		if f.Check == "TUN devices" && f.Status != doctor.OK {
			t.Errorf("%+v", f)
		}
	}
	stdout, _, status = run(t, "doctor")
	if status != statusDone || !strings.Contains(stdout, "ok    TUN devices") {
		t.Errorf("status %d, %s", status, stdout)
	}
}

// TestDoctorWithoutPower examines it as somebody who may make no namespaces: a
// user without capabilities in a user namespace that allows none below.
func TestDoctorWithoutPower(t *testing.T) {
	t.Parallel()
	newStations(t, "red")
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("setpriv is not installed (package util-linux)")
	}
	umroute := command(t, "doctor")
	cmd := exec.Command("sh", "-c", "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv "+
		"--bounding-set=-all --inh-caps=-all "+filepath.Join(t.TempDir(), programName)+" doctor")
	program := strings.Fields(cmd.Args[2])
	if err := os.Symlink(umroute.Path, program[len(program)-2]); err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}}
	out, err := cmd.CombinedOutput()
	if status := cmd.ProcessState.ExitCode(); status != statusFailed ||
		!strings.Contains(string(out), "sysctl user.max_user_namespaces=10000") ||
		!strings.Contains(string(out), "something essential is missing") {
		t.Errorf("%v: %s", err, out)
	}
}
