package main

import (
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestVersion(t *testing.T) {
	build := func(module string, settings ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{Main: debug.Module{Version: module}}
		for i := 0; i < len(settings); i += 2 {
			info.Settings = append(info.Settings,
				debug.BuildSetting{Key: settings[i], Value: settings[i+1]})
		}
		return info
	}
	tests := []struct {
		info *debug.BuildInfo
		want string
	}{
		{build(""), release},
		{build("(devel)"), release},
		{build("v1.2.3"), "v1.2.3"},
		{build("v0.0.0-2026", "vcs.revision", "0123456789abcdef"), release + "+0123456789ab"},
		{build("", "vcs.revision", "0123", "vcs.modified", "true"), release + "+0123.modified"},
		{build("", "vcs.revision", "0123", "vcs.modified", "false"), release + "+0123"},
	}
	for _, test := range tests {
		if got := versionOf(test.info); got != test.want {
			t.Errorf("%+v: %s, want %s", test.info, got, test.want)
		}
	}
}

// TestManPage holds that every command and flag stands in the man page.
func TestManPage(t *testing.T) {
	t.Parallel()
	page, stderr, status := run(t, "man")
	if status != statusDone || stderr != "" || !strings.HasPrefix(page, ".nh\n.TH umroute 1\n") {
		t.Fatalf("status %d, %s, %.40q", status, stderr, page)
	}
	var check func(commands []*cli.Command)
	check = func(commands []*cli.Command) {
		for _, command := range commands {
			if command.Hidden {
				continue
			}
			if !strings.Contains(page, command.Name+"\n") {
				t.Errorf("the man page lacks %s", command.Name)
			}
			for _, flag := range command.Flags {
				if !strings.Contains(page, "--"+flag.Names()[0]) {
					t.Errorf("the man page lacks --%s of %s", flag.Names()[0], command.Name)
				}
			}
			check(command.Subcommands)
		}
	}
	check(newApp(os.Stdout, os.Stderr).Commands)
}

// TestContainerfile holds that the image is made of what is here.
func TestContainerfile(t *testing.T) {
	data, err := os.ReadFile("Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(module)) {
		version, found := strings.CutPrefix(line, "go ")
		if !found {
			continue
		}
		parts := strings.SplitN(strings.TrimSpace(version), ".", 3)
		if want := "golang:" + parts[0] + "." + parts[1]; !strings.Contains(string(data), want) {
			t.Errorf("the image is not built by %s", want)
		}
	}
	for _, want := range []string{"CGO_ENABLED=0", "./cmd/umroute", "FROM scratch", "LICENSE"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("Containerfile lacks %s", want)
		}
	}
}
