package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnits has systemd judge the unit files.
func TestUnits(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip(err)
	}
	for _, mode := range []struct{ flag, file string }{
		{"--system", "umroute.service"}, {"--user", "umroute-user.service"}} {
		text, err := os.ReadFile(filepath.Join("systemd", mode.file))
		if err != nil {
			t.Fatal(err)
		}
		// What a unit starts must be there for it to be right.
		unit := filepath.Join(t.TempDir(), mode.file)
		program, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/usr/local/bin/umroute", "%h/.local/bin/umroute"} {
			text = []byte(strings.ReplaceAll(string(text), path, program))
		}
		if err := os.WriteFile(unit, text, 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(analyze, "verify", "--man=no", mode.flag, unit)
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
		output, err := cmd.CombinedOutput()
		for line := range strings.Lines(string(output)) {
			if strings.Contains(line, mode.file) {
				t.Errorf("%s", line)
			}
		}
		t.Logf("%s: %v: %s", mode.file, err, output)
	}
}
